/* QuRT and the resource manager without a DSP: threads that compete, and what must hold.
 *
 * It is built with sanitizers, too.  Nothing here waits for time to pass but what is to run out. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "HAP_compute_res.h"
#include "HAP_mem.h"
#include "HAP_perf.h"
#include "HAP_power.h"
#include "HAP_vtcm_mgr.h"
#include "qurt.h"
#include "sysmon_cachelock.h"

enum { THREADS = 4, ROUNDS = 500 };

static qurt_thread_t started[THREADS];

static void start(void (*function)(void *))
{
    for (uintptr_t number = 0; number < THREADS; number++) {
        qurt_thread_attr_t attr;
        qurt_thread_attr_init(&attr);
        qurt_thread_attr_set_name(&attr, "a thread with a name of many letters");
        qurt_thread_attr_set_stack_size(&attr, 1024);
        qurt_thread_attr_set_priority(&attr, (unsigned short)(number + 1));
        assert(!qurt_thread_create(&started[number], &attr, function, (void *)number));
    }
}

static void join(void)
{
    for (int number = 0; number < THREADS; number++) {
        int status;
        assert(!qurt_thread_join(started[number], &status));
        assert(status == number);
        assert(qurt_thread_join(started[number], &status) == QURT_ENOTHREAD);
    }
}

static void run(void (*function)(void *))
{
    start(function);
    join();
}

/* Mutexes: each kind guards a sum. */

static qurt_mutex_t plain = QURT_MUTEX_INIT, recursive, forgotten;
static unsigned long sum;

static void guarded(void *number)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 3 == 0) {
            qurt_mutex_lock(&plain);
        } else if (round % 3 == 1) {
            while (qurt_mutex_try_lock(&plain))
                ;
        } else {
            while (qurt_mutex_lock_timed(&plain, 1000000))
                ;
        }
        qurt_rmutex_lock(&recursive);
        qurt_rmutex_lock(&recursive);
        assert(!qurt_rmutex_try_lock(&recursive));
        sum++;
        qurt_rmutex_unlock(&recursive);
        qurt_rmutex_unlock(&recursive);
        qurt_rmutex_unlock(&recursive);
        qurt_mutex_unlock(&plain);
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static unsigned long own_sum;

static void guarded_by_zeros(void *number)
{
    for (int round = 0; round < ROUNDS; round++) {
        qurt_pimutex_lock(&forgotten);
        own_sum++;
        qurt_pimutex_unlock(&forgotten);
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static void mutexes(void)
{
    qurt_rmutex_init(&recursive);
    run(guarded);
    assert(sum == THREADS * ROUNDS);
    qurt_mutex_lock(&forgotten); /* memory of zeros, which nobody has initialised */
    start(guarded_by_zeros);
    assert(own_sum == 0);
    qurt_mutex_unlock(&forgotten);
    join();
    assert(own_sum == THREADS * ROUNDS);
    qurt_mutex_lock(&plain);
    assert(qurt_mutex_try_lock(&plain));
    assert(qurt_mutex_lock_timed(&plain, 1000) == QURT_ETIMEDOUT);
    qurt_mutex_unlock(&plain);
    assert(!qurt_mutex_try_lock(&plain));
    qurt_mutex_unlock(&plain);
    qurt_mutex_destroy(&plain);
}

/* Those who wait come in by priority, whatever the order in which they have come. */

static unsigned int served;

static void by_priority(void *number)
{
    qurt_mutex_lock(&plain);
    assert(served++ == (uintptr_t)number); /* the priorities are 1, 2, 3 and 4 */
    qurt_mutex_unlock(&plain);
    qurt_thread_exit((int)(uintptr_t)number);
}

static void in_order(void)
{
    qurt_mutex_init(&plain);
    qurt_mutex_lock(&plain);
    start(by_priority);
    while (__atomic_load_n(&plain.wait_count, __ATOMIC_SEQ_CST) < THREADS)
        qurt_timer_sleep(1000);
    qurt_mutex_unlock(&plain);
    join();
}

/* A queue of one place: what one sends, another gets. */

static qurt_cond_t changed;
static unsigned int place, taken;

static void hand_over(void *number)
{
    int is_giver = (uintptr_t)number % 2;
    for (int round = 0; round < ROUNDS; round++) {
        qurt_mutex_lock(&plain);
        while ((place == 0) != is_giver)
            qurt_cond_wait(&changed, &plain);
        taken += place;
        place = is_giver ? 1 : 0;
        qurt_cond_broadcast(&changed);
        qurt_mutex_unlock(&plain);
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static qurt_sem_t places, words;
static qurt_pipe_t *pipe_of_words;
static qurt_mutex_t total_lock = QURT_MUTEX_INIT;
static unsigned long long total;

static void through_semaphores(void *number)
{
    for (int round = 0; round < ROUNDS; round++) {
        if ((uintptr_t)number % 2) {
            qurt_sem_down(&places);
            qurt_sem_up(&words);
            qurt_pipe_send(pipe_of_words, (unsigned long long)round);
        } else {
            while (qurt_sem_down_timed(&words, 1000000))
                ;
            qurt_sem_up(&places);
            unsigned long long word = qurt_pipe_receive(pipe_of_words);
            qurt_mutex_lock(&total_lock);
            total += word;
            qurt_mutex_unlock(&total_lock);
        }
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static void queues(void)
{
    qurt_cond_init(&changed);
    run(hand_over);
    assert(taken == THREADS / 2 * ROUNDS && place == 0);
    qurt_cond_destroy(&changed);

    qurt_pipe_attr_t attr;
    qurt_pipe_attr_init(&attr);
    assert(qurt_pipe_create(&pipe_of_words, &attr) == QURT_EINVALID);
    qurt_pipe_attr_set_elements(&attr, 3);
    assert(!qurt_pipe_create(&pipe_of_words, &attr));
    qurt_sem_init_val(&places, 2);
    qurt_sem_init_val(&words, 0);
    run(through_semaphores);
    assert(total == (unsigned long long)THREADS / 2 * ROUNDS * (ROUNDS - 1) / 2);
    assert(qurt_sem_get_val(&places) == 2 && qurt_sem_try_down(&words));
    assert(qurt_sem_down_timed(&words, 1000) == QURT_ETIMEDOUT);
    assert(qurt_sem_add(&words, 0xffff) == QURT_EOK && qurt_sem_up(&words) == QURT_EVAL);
    int success;
    assert(qurt_pipe_is_empty(pipe_of_words));
    assert((qurt_pipe_try_receive(pipe_of_words, &success), success));
    for (int i = 0; i < 3; i++)
        assert(!qurt_pipe_try_send(pipe_of_words, 7));
    assert(qurt_pipe_try_send(pipe_of_words, 7));
    qurt_pipe_delete(pipe_of_words);
}

/* Barriers: nobody is a round ahead. */

static qurt_barrier_t barrier;
static unsigned int arrived[ROUNDS], serial;

static void in_step(void *number)
{
    for (int round = 0; round < ROUNDS; round++) {
        __atomic_fetch_add(&arrived[round], 1, __ATOMIC_SEQ_CST);
        if (qurt_barrier_wait(&barrier) == QURT_BARRIER_SERIAL_THREAD)
            __atomic_fetch_add(&serial, 1, __ATOMIC_SEQ_CST);
        assert(__atomic_load_n(&arrived[round], __ATOMIC_SEQ_CST) == THREADS);
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static void barriers(void)
{
    assert(qurt_barrier_init(&barrier, 0) == QURT_EINVALID);
    assert(!qurt_barrier_init(&barrier, THREADS));
    run(in_step);
    assert(serial == ROUNDS);
    assert(!qurt_barrier_destroy(&barrier));
}

/* Signals: a request for each thread, and its answer. */

static qurt_signal_t requests, answers;
static qurt_allsignal_t all;
static qurt_signal2_t second;
static qurt_signal_64_t wide;

static void answer(void *number)
{
    unsigned int bit = 1u << (uintptr_t)number;
    for (int round = 0; round < ROUNDS; round++) {
        assert(qurt_signal_wait_any(&requests, bit) & bit);
        qurt_signal_clear(&requests, bit);
        qurt_signal_set(&answers, bit);
    }
    qurt_allsignal_set(&all, bit);
    qurt_signal2_set(&second, bit);
    qurt_signal_64_set(&wide, (unsigned long long)bit << 32);
    qurt_thread_exit((int)(uintptr_t)number);
}

static void signals(void)
{
    unsigned int found, every = (1u << THREADS) - 1;
    qurt_signal_init(&requests);
    qurt_anysignal_init(&answers);
    qurt_allsignal_init(&all);
    qurt_signal2_init(&second);
    qurt_signal_64_init(&wide);
    start(answer);
    for (int round = 0; round < ROUNDS; round++) {
        qurt_signal_set(&requests, every);
        assert((qurt_signal_wait_all(&answers, every) & every) == every);
        assert(qurt_anysignal_clear(&answers, every) == every);
    }
    qurt_allsignal_wait(&all, every);
    assert(!(qurt_allsignal_get(&all) & every));
    assert(qurt_signal2_wait(&second, every, QURT_SIGNAL_ATTR_WAIT_ALL) == every);
    qurt_signal2_clear(&second, 1);
    assert(qurt_signal2_get(&second) == (every & ~1u));
    unsigned long long high = (unsigned long long)every << 32;
    assert(qurt_signal_64_wait(&wide, high, QURT_SIGNAL_ATTR_WAIT_ALL) == high);
    qurt_signal_64_clear(&wide, high);
    assert(!qurt_signal_64_get(&wide));
    join();
    assert(qurt_anysignal_set(&answers, 2) == 0 && qurt_anysignal_get(&answers) == 2);
    assert(qurt_anysignal_wait_timed(&answers, 1, &found, 1000) == QURT_ETIMEDOUT && found == 2);
    assert(!qurt_signal_wait_timed(&answers, 3, QURT_SIGNAL_ATTR_WAIT_ANY, &found, 1000));
    qurt_signal_destroy(&answers);
}

/* Timers. */

static unsigned int ticks;

static void tick(void) { __atomic_fetch_add(&ticks, 1, __ATOMIC_SEQ_CST); }

static void timers(void)
{
    qurt_timer_attr_t attr, found;
    qurt_timer_t once, again, call;
    qurt_timer_attr_init(&attr);
    qurt_anysignal_t signal;
    qurt_anysignal_init(&signal);
    qurt_timer_attr_set_duration(&attr, 1);
    assert(qurt_timer_create(&once, &attr, &signal, 1) == QURT_EINVALID);
    qurt_timer_attr_set_duration(&attr, 3600ull * 1000000);
    assert(!qurt_timer_create(&once, &attr, &signal, 1));
    assert(!qurt_timer_get_attr(once, &found) && found.remaining > 3500ull * 1000000);
    qurt_timer_attr_set_duration(&attr, 200);
    qurt_timer_attr_set_type(&attr, QURT_TIMER_PERIODIC);
    assert(!qurt_timer_create(&again, &attr, &signal, 2));
    for (int i = 0; i < 3; i++) {
        assert(qurt_anysignal_wait(&signal, 3) == 2); /* not the one that is an hour away */
        qurt_anysignal_clear(&signal, 2);
    }
    assert(!qurt_timer_restart(once, 200));
    assert(qurt_anysignal_wait(&signal, 1) & 1);
    assert(qurt_timer_stop(once) == QURT_ENOTALLOWED);
    assert(!qurt_timer_delete(once) && qurt_timer_delete(once) == QURT_EINVALID);
    assert(!qurt_timer_delete(again));
    qurt_anysignal_clear(&signal, 3);
    qurt_timer_attr_set_pfn(&attr, tick);
    qurt_timer_attr_set_group(&attr, 1);
    assert(!qurt_timer_group_disable(1));
    assert(!qurt_timer_create(&call, &attr, &signal, 4));
    assert(!qurt_timer_sleep(1000) && !qurt_anysignal_get(&signal));
    assert(!qurt_timer_group_enable(1));
    for (int i = 0; i < 3; i++) {
        assert(qurt_anysignal_wait(&signal, 4) == 4);
        qurt_anysignal_clear(&signal, 4);
    }
    assert(!qurt_timer_delete(call));
    unsigned int last = __atomic_load_n(&ticks, __ATOMIC_SEQ_CST);
    assert(last >= 2); /* of three that have come, the third may have been on its way */
    assert(!HAP_timer_sleep(1000) && last == __atomic_load_n(&ticks, __ATOMIC_SEQ_CST));
    unsigned long long before = qurt_timer_get_ticks();
    qurt_busywait(100);
    assert(qurt_timer_timetick_to_us(qurt_sysclock_get_hw_ticks() - before) >= 99);
}

/* Threads. */

static int key;
static unsigned int destroyed;

static void destroy(void *value) { __atomic_fetch_add(&destroyed, (uintptr_t)value, __ATOMIC_SEQ_CST); }

static void with_variables(void *number)
{
    char name[32];
    qurt_thread_get_name(name, sizeof name);
    assert(!strcmp(name, "a thread with a"));
    assert(qurt_thread_get_priority(qurt_thread_get_id()) == (int)(uintptr_t)number + 1);
    assert(!qurt_thread_set_priority(qurt_thread_get_id(), 200));
    assert(HAP_mem_available_stack() > 4096 && HAP_mem_available_stack() < 16 << 20);
    assert(!qurt_tls_get_specific(key));
    assert(!qurt_tls_set_specific(key, (void *)1));
    assert(!qurt_hvx_lock(QURT_HVX_MODE_128B) && qurt_hvx_get_mode() == QURT_HVX_MODE_128B);
    qurt_thread_exit((int)(uintptr_t)number);
}

static void return_at_once(void *argument) { qurt_sem_up(argument); }

static void threads(void)
{
    int status;
    qurt_thread_attr_t attr;
    qurt_sem_t ended;
    assert(!qurt_tls_create_key(&key, destroy));
    run(with_variables);
    assert(destroyed == THREADS); /* a join comes after them */
    assert(!qurt_tls_delete_key(key));
    qurt_sem_init_val(&ended, 0);
    qurt_thread_attr_init(&attr);
    qurt_thread_attr_set_detachstate(&attr, QURT_THREAD_ATTR_CREATE_DETACHED);
    assert(!qurt_thread_create(&started[0], &attr, return_at_once, &ended));
    assert(qurt_thread_join(started[0], &status) == QURT_ENOTHREAD);
    qurt_sem_down(&ended);
    qurt_thread_attr_set_detachstate(&attr, QURT_THREAD_ATTR_CREATE_JOINABLE);
    assert(!qurt_thread_create(&started[0], &attr, return_at_once, &ended));
    assert(!qurt_thread_join(started[0], &status) && status == 0);
    assert(qurt_thread_get_id() == qurt_thread_get_id());
    assert(qurt_thread_join(qurt_thread_get_id(), &status) == QURT_ENOTHREAD);
}

/* Resources. */

static unsigned int asked_for;

static int let_go(unsigned int context, void *place_of_it)
{
    __atomic_store_n((unsigned int *)place_of_it, context, __ATOMIC_SEQ_CST);
    return HAP_compute_res_release_cached(context);
}

static void compete(void *number)
{
    compute_res_attr_t attr;
    for (int round = 0; round < ROUNDS / 10; round++) {
        void *memory;
        unsigned int size, context;
        HAP_compute_res_attr_init(&attr);
        HAP_compute_res_attr_set_vtcm_param(&attr, 3 << 20, 1);
        HAP_compute_res_attr_set_hmx_param(&attr, round % 2);
        while (!(context = HAP_compute_res_acquire(&attr, 1000000)))
            ;
        assert(!HAP_compute_res_attr_get_vtcm_ptr_v2(&attr, &memory, &size) && size == 3 << 20);
        memset(memory, (int)(uintptr_t)number, 4096);
        if (round % 2)
            assert(!HAP_compute_res_hmx_lock(context) && !HAP_compute_res_hmx_unlock(context));
        assert(*(unsigned char *)memory == (uintptr_t)number);
        assert(!HAP_compute_res_release(context));
    }
    qurt_thread_exit((int)(uintptr_t)number);
}

static void resources(void)
{
    unsigned int size, pages, total_size, context, cached, most;
    compute_res_attr_t attr, other;
    void *first, *second_one, *memory;
    assert(!HAP_query_total_VTCM(&size, &pages));
    total_size = size * pages;
    assert(!HAP_request_VTCM(total_size + 1, 0));
    first = HAP_request_VTCM(total_size / 2, 1);
    second_one = HAP_request_VTCM(total_size / 2, 1);
    assert(first && second_one && first != second_one);
    assert(!HAP_request_async_VTCM(4096, 1, 1000));
    assert(!HAP_release_VTCM(first) && HAP_release_VTCM(first));
    assert(!HAP_query_avail_VTCM(&size, &most, &pages) && size == total_size / 2);
    HAP_compute_res_attr_init(&attr);
    HAP_compute_res_attr_set_vtcm_param_v2(&attr, total_size, 0, 4096);
    assert((context = HAP_compute_res_acquire(&attr, 0)));
    assert(!HAP_compute_res_attr_get_vtcm_ptr_v2(&attr, &memory, &size));
    assert(memory == first && size == total_size / 2);
    assert(!HAP_compute_res_release(context) && !HAP_release_VTCM(second_one));

    run(compete);

    /* Who waits asks the one who has it only for the time being. */
    HAP_compute_res_attr_set_vtcm_param(&attr, total_size, 1);
    HAP_compute_res_attr_set_cache_mode(&attr, 1);
    HAP_compute_res_attr_set_release_callback(&attr, let_go, &asked_for);
    assert((cached = HAP_compute_res_acquire(&attr, 0)));
    assert(!HAP_compute_res_acquire_cached(cached, 0));
    assert(!HAP_compute_res_check_release_request(cached));
    HAP_compute_res_attr_init(&other);
    HAP_compute_res_attr_set_vtcm_param(&other, 4096, 0);
    assert((context = HAP_compute_res_acquire(&other, 1000000)));
    assert(asked_for == cached);
    assert(HAP_compute_res_acquire_cached(cached, 1000)); /* it is taken */
    assert(!HAP_compute_res_release(context));
    assert(!HAP_compute_res_acquire_cached(cached, 0));
    assert(HAP_compute_res_attr_get_vtcm_ptr(&attr));
    assert(!HAP_compute_res_release(cached) && HAP_compute_res_release(cached));
    memset(&other, 0, sizeof other);
    assert(!HAP_compute_res_acquire(&other, 0) && HAP_compute_res_attr_set_serialize(&other, 1));

    unsigned long long physical;
    int lockable = HAP_query_total_cachelock();
    assert(!HAP_cache_lock((unsigned int)lockable + 1, &physical));
    assert((first = HAP_cache_lock(1024, &physical)) && physical == (uintptr_t)first);
    assert(HAP_query_avail_cachelock() == lockable - 1024);
    assert(!HAP_cache_unlock(first) && HAP_cache_unlock(first));
}

static void votes(void)
{
    HAP_power_request_t request;
    HAP_power_response_t response = { .type = HAP_power_get_clk_Freq };
    int mine, other;
    assert(!HAP_power_get(&mine, &response));
    unsigned int idle = response.clkFreqHz;
    memset(&request, 0, sizeof request);
    request.type = HAP_power_set_apptype;
    request.apptype = HAP_POWER_COMPUTE_CLIENT_CLASS;
    assert(!HAP_power_set(&mine, &request));
    assert(!HAP_power_set_core_corner(&mine, HAP_DCVS_VCORNER_MAX, HAP_DCVS_VCORNER_NOM,
                                      HAP_DCVS_VCORNER_MAX));
    assert(!HAP_power_set_core_corner(&other, HAP_DCVS_VCORNER_SVS, 0, 0));
    assert(!HAP_power_get(&mine, &response) && response.clkFreqHz > idle);
    assert(HAP_power_set_core_corner(&other, 0, HAP_DCVS_VCORNER_MAX, HAP_DCVS_VCORNER_SVS)
           == HAP_POWER_ERR_INVALID_PARAM);
    assert(!HAP_power_set_dcvs_option(&other, FALSE, HAP_DCVS_V2_PERFORMANCE_MODE));
    response.type = HAP_power_get_dcvsEnabled;
    assert(!HAP_power_get(&other, &response) && !response.dcvsEnabled);
    response.type = HAP_power_get_client_class;
    assert(!HAP_power_get(&mine, &response));
    assert(response.client_class == HAP_POWER_COMPUTE_CLIENT_CLASS);
    request.type = (HAP_Power_request_type)99;
    assert(HAP_power_set(&mine, &request) == HAP_POWER_ERR_UNSUPPORTED_API);
    assert(HAP_power_set(&mine, NULL) == HAP_POWER_ERR_INVALID_PARAM);
    assert(!HAP_power_destroy(&mine) && !HAP_power_destroy(&other) && HAP_power_destroy(&other));
    response.type = HAP_power_get_clk_Freq;
    assert(!HAP_power_get(&mine, &response) && response.clkFreqHz == idle);
}

static void memory(void)
{
    qurt_mem_region_attr_t attr;
    qurt_mem_region_t region;
    qurt_addr_t address;
    qurt_mem_region_attr_init(&attr);
    assert(!qurt_mem_region_create(&region, 5000, qurt_mem_default_pool, &attr));
    assert(!qurt_mem_region_attr_get(region, &attr));
    qurt_mem_region_attr_get_virtaddr(&attr, &address);
    assert(attr.size == 8192 && address % 4096 == 0);
    memset((void *)address, 1, attr.size);
    assert(!qurt_mem_cache_clean(address, 8192, QURT_MEM_CACHE_FLUSH, QURT_MEM_DCACHE));
    assert(qurt_lookup_physaddr(address) == address);
    assert(!qurt_mem_region_delete(region));
    void *lines = qurt_memalign(128, 1024);
    assert((uintptr_t)lines % 128 == 0);
    qurt_free(lines);
}

int main(void)
{
    mutexes();
    in_order();
    queues();
    barriers();
    signals();
    timers();
    threads();
    resources();
    votes();
    memory();
    puts("good");
    return 0;
}
