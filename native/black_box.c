/* What a process of the DSP says when it dies: by which signal, at which address, what it has done.
 *
 * A handler writes it to a descriptor, which the processor reads when the process has ended
 * (qda.dsp.ending makes sentences of it).  It runs on a stack of its own, since the stack may be
 * what is full, allocates nothing and takes no lock; names of functions are looked up later, by who
 * lives.  What is surest comes first: memory may be in any state, and a fault in here ends the
 * process at once.  Whoever had the signal before gets it next: Python's faulthandler, which writes
 * to the same descriptor, AddressSanitizer, or the system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#define PUBLIC __attribute__((visibility("default")))

enum {
    STACK = 64 << 10, /* of a handler: the unwinder's, and the state of the processor's registers */
    FRAMES = 64,
    TOO_LONG = 3, /* seconds, after which a handler that meets a lock is ended */
    TEXT = 1000,
};

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

enum { SIGNALS = sizeof fatal / sizeof fatal[0] };

static struct sigaction before[SIGNALS];
static int out = -1;
static pid_t process;
static pid_t speaker; /* the thread that says how it ends */
/* Whether this thread does; reading it in a handler must not allocate it. */
static __thread int runs_skeletons __attribute__((tls_model("initial-exec")));

/* glibc's: why it aborts, for example which assertion has failed. */
struct abort_message {
    unsigned int size;
    char text[];
};
static struct abort_message **abort_message;

/* Of a C++ library: the type of the exception that nobody has caught. */
struct type_info {
    void *table;
    const char *name;
};
static struct type_info *(*exception_type)(void);

static pid_t this_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Writing. */

static void put_bytes(const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(out, bytes, size);
        if (written <= 0)
            return;
        bytes += written;
        size -= (size_t)written;
    }
}

static void put(const char *text)
{
    put_bytes(text, strlen(text));
}

static void put_number(const char *name, uint64_t number)
{
    char text[2 * sizeof number + 3];
    char *end = text + sizeof text, *next = end;
    do
        *--next = "0123456789abcdef"[number & 15];
    while (number >>= 4);
    put(name);
    put_bytes(next, (size_t)(end - next));
}

/* A text of one line, whatever is in it. */
static void put_line(const char *name, const char *text)
{
    char line[TEXT];
    size_t size = 0;
    for (; text[size] && size < sizeof line; size++)
        line[size] = text[size] == '\n' ? ' ' : text[size];
    put(name);
    put_bytes(line, size);
    put("\n");
}

/* What lies where, as the kernel says it. */
static void put_maps(void)
{
    char part[4096];
    ssize_t size;
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0)
        return;
    put("maps\n");
    while ((size = read(maps, part, sizeof part)) > 0)
        put_bytes(part, (size_t)size);
    put("end\n");
    close(maps);
}

/* The frames of the thread. */

struct walk {
    uintptr_t from; /* the place where the signal came */
    int begun, frames;
};

static void put_frame(struct walk *walk, uintptr_t place)
{
    put_number("frame ", place);
    put("\n");
    walk->frames++;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *given)
{
    struct walk *walk = given;
    int exact = 0;
    uintptr_t place = _Unwind_GetIPInfo(context, &exact);
    if (place == walk->from)
        walk->begun = 1;
    if (walk->begun) /* a return address lies behind the call, perhaps in another function */
        put_frame(walk, place - (exact || !place ? 0 : 1));
    return walk->frames < FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static int read_words(uintptr_t address, uintptr_t *words, size_t count)
{
    struct iovec here = { words, count * sizeof *words }, there = { (void *)address, here.iov_len };
    return process_vm_readv(process, &here, 1, &there, 1, 0) == (ssize_t)here.iov_len;
}

/* By frame pointers, where code has no tables, or was jumped to where there is none. */
static void walk_pointers(struct walk *walk, uintptr_t caller, uintptr_t frame)
{
    uintptr_t words[2]; /* the caller's frame pointer, and where it goes on */
    if (caller)
        put_frame(walk, caller - 1);
    while (walk->frames < FRAMES && read_words(frame, words, 2) && words[1]) {
        if (words[1] != caller)
            put_frame(walk, words[1] - 1);
        if (words[0] <= frame)
            return;
        frame = words[0];
    }
}

struct registers {
    uintptr_t place, stack, frame, link;
};

static struct registers registers_of(const ucontext_t *context)
{
    struct registers found = { 0 };
#if defined(__x86_64__)
    found.place = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    found.stack = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    found.frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    read_words(found.stack, &found.link, 1); /* true right after a call */
#elif defined(__aarch64__)
    found.place = (uintptr_t)context->uc_mcontext.pc;
    found.stack = (uintptr_t)context->uc_mcontext.sp;
    found.frame = (uintptr_t)context->uc_mcontext.regs[29];
    found.link = (uintptr_t)context->uc_mcontext.regs[30];
#else
    (void)context;
#endif
    return found;
}

static void put_frames(const struct registers *at)
{
    struct walk walk = { .from = at ? at->place : 0, .begun = !at };
    _Unwind_Backtrace(step, &walk);
    if (!at || walk.frames > 1)
        return;
    if (!walk.frames)
        put_frame(&walk, at->place);
    walk_pointers(&walk, at->link, at->frame);
}

/* What happens. */

static void say_signal(int number, const siginfo_t *info, const ucontext_t *context)
{
    struct registers at = registers_of(context);
    put_number("signal ", (uint64_t)number);
    put_number(" code ", (uint32_t)info->si_code);
    put_number(" address ", info->si_code > 0 ? (uintptr_t)info->si_addr : 0);
    put_number(" sender ", info->si_code > 0 ? 0 : (uint64_t)info->si_pid);
    put_number(" place ", at.place);
    put_number(" stack ", at.stack);
    put("\n");
    put_maps();
    if (number == SIGABRT && abort_message && *abort_message)
        put_line("message ", (*abort_message)->text);
    put_frames(&at);
    if (number == SIGABRT && exception_type) {
        struct type_info *type = exception_type();
        if (type && type->name)
            put_line("exception ", type->name + (*type->name == '*'));
    }
}

/* Whether this thread is the one to speak; another one that dies at the same moment waits for the
 * end, which the first one brings. */
static int may_speak(void)
{
    pid_t nobody = 0;
    if (getpid() != process) /* a child that a skeleton has forked */
        return 0;
    if (__atomic_compare_exchange_n(&speaker, &nobody, this_thread(), 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        struct sigaction end = { .sa_handler = SIG_DFL };
        sigaction(SIGALRM, &end, NULL);
        alarm(TOO_LONG);
        return 1;
    }
    if (nobody != this_thread()) {
        struct timespec pause = { TOO_LONG, 0 };
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* Let whoever had the signal before get it next. */
static void pass_on(int number, const siginfo_t *info)
{
    for (int index = 0; index < SIGNALS; index++)
        if (fatal[index] == number)
            sigaction(number, &before[index], NULL);
    if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS)
        syscall(SYS_tgkill, getpid(), this_thread(), number);
    /* Anything else happens again as soon as this returns. */
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    if (may_speak()) {
        say_signal(number, info, context);
        alarm(0);
    }
    pass_on(number, info);
}

/* The same where the DSP is threads of a program, which faulthandler tells the rest. */
static void on_signal_of_program(int number, siginfo_t *info, void *context)
{
    if (runs_skeletons && info->si_code > 0 && getpid() == process) {
        uintptr_t place = registers_of(context).place;
        Dl_info found;
        put("qda: a fault in a skeleton");
        if (number == SIGSEGV || number == SIGBUS)
            put_number(", at address 0x", (uintptr_t)info->si_addr);
        put_number(", by code at 0x", place);
        if (dladdr((void *)place, &found) && found.dli_fname) {
            put(" of ");
            put(found.dli_fname);
            put_number(" + 0x", place - (uintptr_t)found.dli_fbase);
        }
        put("\n");
    }
    pass_on(number, info);
}

static void on_exit_called(void *nothing)
{
    (void)nothing;
    if (!may_speak())
        return;
    put("exit\n");
    put_maps();
    put_frames(NULL);
    alarm(0);
}

/* Threads. */

/* Give this thread, which runs skeletons, a stack for its last words. */
PUBLIC void qda_black_box_thread(void)
{
    runs_skeletons = 1;
    stack_t stack = { .ss_size = STACK };
    stack.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL))
        munmap(stack.ss_sp, STACK);
}

/* Functions that C++ code in a library brings along: by which type an exception has. */
PUBLIC void qda_black_box_exceptions(struct type_info *(*type)(void))
{
    exception_type = type;
}

/* What AddressSanitizer reports, before it ends the process. */
static void on_report(const char *text)
{
    if (getpid() != process)
        return;
    put("report\n");
    put(text);
    put("\nend\n");
}

/* Whether AddressSanitizer is in this process. */
PUBLIC int qda_black_box_sanitized(void)
{
    return dlsym(RTLD_DEFAULT, "__asan_init") != NULL;
}

int __cxa_atexit(void (*function)(void *), void *argument, void *library);

static void handle(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&action.sa_mask); /* so a fault in the handler is the end */
    sigdelset(&action.sa_mask, SIGALRM);
    for (int index = 0; index < SIGNALS; index++)
        sigaction(fatal[index], &action, &before[index]);
}

/* Have faults of skeletons told at a descriptor, which is not closed, in a program that has its DSP
 * as threads. */
PUBLIC void qda_black_box_tell(int descriptor)
{
    out = descriptor;
    process = getpid();
    handle(on_signal_of_program);
}

/* Have what this process says at its end written to a descriptor, which is not closed. */
PUBLIC void qda_black_box_begin(int descriptor)
{
    void (*have_reported)(void (*)(const char *)) = NULL;
    out = -1;
    put_frames(NULL); /* what the unwinder does when it is first used is done now, unseen */
    out = descriptor;
    process = getpid();
    abort_message = dlsym(RTLD_DEFAULT, "__abort_msg");
    *(void **)&have_reported = dlsym(RTLD_DEFAULT, "__asan_set_error_report_callback");
    if (have_reported)
        have_reported(on_report);
    handle(on_signal);
    __cxa_atexit(on_exit_called, NULL, NULL);
}
