/* Calls of `everything` from its stub to its skeleton, through a client library of a few lines.  The
   skeleton is built so that it calls implementation_NAME.  Silent if all is as it should be. */

#include <stdio.h>

#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            printf("line %d: %s\n", __LINE__, #fact);                                              \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static int failures;

#include "everything.h"

extern uint32_t everything_skel_handle_invoke_qaic_version;
extern char everything_skel_handle_invoke_uri[];
int everything_skel_handle_invoke(remote_handle64 h, uint32_t sc, remote_arg* args);
remote_handle _named_handle(void);

/* The client library: buffers are carried over in memory of exactly their size. */

static uint32_t last_scalars;
static unsigned invocations, opened, closed, registered;
static int open_fails, registration_fails;

int remote_handle64_invoke(remote_handle64 h, uint32_t sc, remote_arg* args) {
    const uint32_t ins = REMOTE_SCALARS_INBUFS(sc), outs = REMOTE_SCALARS_OUTBUFS(sc);
    remote_arg* carried = (remote_arg*)malloc((REMOTE_SCALARS_LENGTH(sc) + 1) * sizeof *carried);
    uint32_t n;
    int result;
    last_scalars = sc;
    invocations++;
    for (n = 0; n < REMOTE_SCALARS_LENGTH(sc); n++) {
        carried[n] = args[n];
        if (n >= ins + outs) { continue; }
        carried[n].buf.pv = calloc(1, args[n].buf.nLen + !args[n].buf.nLen);
        if (n < ins && args[n].buf.nLen) {
            memcpy(carried[n].buf.pv, args[n].buf.pv, args[n].buf.nLen);
        }
    }
    result = everything_skel_handle_invoke(h, sc, carried);
    for (n = 0; n < ins + outs; n++) {
        if (n >= ins && args[n].buf.nLen) {
            memcpy(args[n].buf.pv, carried[n].buf.pv, args[n].buf.nLen);
        }
        free(carried[n].buf.pv);
    }
    free(carried);
    return result;
}

int remote_handle64_invoke_async(
    remote_handle64 h, fastrpc_async_descriptor_t* job, uint32_t sc, remote_arg* args) {
    job->jobid = 77;
    return remote_handle64_invoke(h, sc, args);
}

int remote_handle64_open(const char* uri, remote_handle64* handle) {
    uint32_t length = (uint32_t)strlen(uri) + 1;
    remote_arg args[3];
    int result;
    args[0].buf.pv = &length;
    args[0].buf.nLen = sizeof length;
    args[1].buf.pv = (void*)uri;
    args[1].buf.nLen = length;
    args[2].h64 = 0;
    result = everything_skel_handle_invoke(0, 0x00020001, args);
    *handle = args[2].h64;
    return result;
}

int remote_handle64_close(remote_handle64 h) {
    remote_arg arg;
    arg.h64 = h;
    return everything_skel_handle_invoke(0, 0x01000010, &arg);
}

int remote_handle_open(const char* name, remote_handle* handle) {
    CHECK(!strcmp(name, "named"));
    if (open_fails) { return AEE_ENOSUCHMOD; }
    *handle = 40 + opened++;
    return 0;
}

int remote_handle_close(remote_handle h) {
    (void)h;
    closed++;
    return 0;
}

static remote_handle last_handle;

int remote_handle_invoke(remote_handle h, uint32_t sc, remote_arg* args) {
    int numbers[2] = {0, 0};
    last_handle = h;
    CHECK(sc == 0x00010100);
    memcpy(numbers, args[0].buf.pv, 4);
    numbers[0]++;
    memcpy(args[1].buf.pv, numbers, 4);
    return 0;
}

int remote_handle_invoke_async(
    remote_handle h, fastrpc_async_descriptor_t* job, uint32_t sc, remote_arg* args) {
    (void)h, (void)job, (void)sc, (void)args;
    return 0;
}

int remote_register_dma_handle(int fd, uint32_t length) {
    registered += (unsigned)fd * 1000 + length;
    return registration_fails;
}

int adsp_mmap_fd_getinfo(int fd, uint32_t* length) {
    *length = (uint32_t)fd + 100;
    return fd < 0;
}

/* The implementation: what goes in comes out. */

#define HANDLE remote_handle64 h
#define EMPTY(name)                                                                                \
    int implementation_everything_##name(HANDLE) { return h == 9 ? 0 : 1; }

int implementation_everything_open(const char* uri, remote_handle64* h) {
    CHECK(strstr(uri, "everything_skel_handle_invoke"));
    *h = 9;
    return 0;
}

int implementation_everything_close(remote_handle64 h) { return h == 9 ? 0 : 5; }
int implementation_everything_inherited(HANDLE, int a) { return h == 9 ? a : 1; }
AEEResult implementation_everything_Setlevel(HANDLE, int value) { return h == 9 ? value : 1; }

AEEResult implementation_everything_Getlevel(HANDLE, int* value) {
    *value = 12;
    return h == 9 ? 0 : 1;
}

EMPTY(empty)
EMPTY(m18) EMPTY(m19) EMPTY(m20) EMPTY(m21) EMPTY(m22) EMPTY(m23) EMPTY(m24) EMPTY(m25)
EMPTY(m26) EMPTY(m27) EMPTY(m28) EMPTY(m29) EMPTY(m30) EMPTY(far_empty)

#ifdef AEESTDDEF_H
typedef boolean flag;
typedef uint8 small;
typedef uint32 length;
#else
typedef bool flag;
typedef unsigned char small;
typedef uint32_t length;
#endif

int implementation_everything_numbers(
    HANDLE, flag a, char b, _wchar_t c, float d, flag* e, flag* f, color* g, color* i, color j,
    small k, int64_t* l) {
    CHECK(h == 9 && a && b == 'b' && c == 0x263a && d == 1.5f && *e && !*f && *g == green);
    CHECK(j == green && k == 200 && *l == -5);
    *e = 0;
    *f = 1;
    *g = _cxx_new;
    *i = green;
    *l = -6;
    return 0;
}

int implementation_everything_arrays(
    HANDLE, const matrix m, matrix n, matrix o, const row r, const row* rows, int rowsLen) {
    CHECK(m[1][2] == 12 && o[0][1] == 1 && r[2] == 3 && rowsLen == 2 && rows[1][0] == 7 && h == 9);
    memcpy(n, m, sizeof(matrix));
    o[0][1] = 2;
    return 0;
}

int implementation_everything_structures(
    HANDLE, const point* a, point* b, point* c, const everything_mine* m, const _cxx_class* d) {
    CHECK(a->x == 5 && c->x == 6 && m->q == 7 && d->_cxx_this == 8 && h == 9);
    *b = *a;
    c->d[1] = 2.5;
    return 0;
}

int implementation_everything_sequences(
    HANDLE, const unsigned char* a, int aLen, color* b, int bLen, point* c, int cLen, const char* s,
    int sLen, _wchar_t* w, int wLen, char* v, int vLen, flag* x, int xLen) {
    CHECK(h == 9 && aLen == 3 && a[2] == 'c' && bLen == 2 && cLen == 1 && c[0].x == 5);
    (void)x;
    CHECK(!strcmp(s, "text") && sLen == 99 && wLen == 4 && w[1] == 'w' && !w[2] && xLen == 0);
    b[1] = green;
    c[0].x = 50;
    w[0] = 'W';
    memset(v, 'v', (size_t)vLen);
    return 0;
}

static void give(mixed* to, const mixed* from) {
    int n;
    CHECK(to->sLen == from->sLen && to->dataLen == from->dataLen && to->lLen == from->lLen);
    memcpy(to->s, from->s, (size_t)from->sLen);
    memcpy(to->w, from->w, 2 * (size_t)from->wLen);
    memcpy(to->data, from->data, (size_t)from->dataLen);
    memcpy(to->points, from->points, (size_t)from->pointsLen * sizeof(point));
    for (n = 0; n < from->nLen; n++) {
        memcpy(to->n[n].data, from->n[n].data, (size_t)from->n[n].dataLen);
    }
    for (n = 0; n < from->lLen; n++) {
        memcpy(to->l[n].data, from->l[n].data, (size_t)from->l[n].dataLen);
    }
    CHECK(from->h.fd == 3 && from->h.offset == 4 && from->h.len == 103 && to->h.fd == 6);
    to->p = from->p;
    to->f = from->f;
    to->c = from->c;
    memcpy(to->r, from->r, sizeof to->r);
}

int implementation_everything_complex(
    HANDLE, const mixed* a, mixed* b, const outer* c, outer* d, const matrix m, flag e, flag* f,
    _wchar_t* w, int wLen, int* q, int qLen, color g) {
    CHECK(h == 9 && m[1][2] == 12 && e && wLen == 3 && w[0] == 'x' && qLen == 2 && g == green);
    give(b, a);
    d->k = c->k;
    give(&d->inner, &c->inner);
    give(&d->many[0], &c->many[0]);
    CHECK(c->manyLen == 1 && d->manyLen == 1);
    *f = 1;
    q[1] += q[0];
    return 0;
}

int implementation_everything_nested(
    HANDLE, const mixed* a, int aLen, mixed* b, int bLen, const outer* c, int cLen, outer* d,
    int dLen, const _cstring1_t* e, int eLen, bytes* f, int fLen, const lists* g, int gLen, lists* i,
    int iLen, const name_t* j, int jLen, const _wstring1_t* k, int kLen) {
    CHECK(h == 9 && aLen == 1 && bLen == 1 && cLen == 0 && dLen == 0 && !c && !d && eLen == 2);
    CHECK(fLen == 1 && gLen == 2 && iLen == 2 && jLen == 1 && kLen == 1);
    give(&b[0], &a[0]);
    CHECK(!strcmp(e[1].data, "two") && e[1].dataLen == 4 && j[0].dataLen == 6 && k[0].dataLen == 2);
    f[0].data[0] = 'f';
    CHECK(g[0].dataLen == 1 && g[1].dataLen == 0);
    memcpy(i[0].data[0].data, g[0].data[0].data, (size_t)g[0].data[0].dataLen);
    return 0;
}

int implementation_everything_texts(
    HANDLE, const _cstring1_t* a, int aLen, _cstring1_t* b, int bLen) {
    (void)a, (void)b;
    return h == 9 ? 1000 * aLen + bLen : 1;
}

int implementation_everything_handles(
    HANDLE, int a, length aOffset, length aLen, int b, length bOffset, length bLen) {
    CHECK(h == 9 && a == 1 && aOffset == 2 && aLen == 101 && b == 4 && bOffset == 5 && bLen == 104);
    return 0;
}

int implementation_everything_many_handles(
    HANDLE, const _dmahandle1_t* a, int aLen, _dmahandle1_t* b, int bLen, const handled* c, int cLen,
    handled* d, int dLen, int* e) {
    CHECK(h == 9 && bLen <= 1 && (!bLen || b[0].fd == 8) && (!cLen || c[0].h.offset == 2));
    if (cLen && dLen) { d[0].x = c[0].x + 1; }
    *e = aLen ? a[aLen - 1].fd : -1;
    return 0;
}

int implementation_everything_keywords(
    HANDLE, int a, const int* b, int bLen, int* c, const char* d) {
    *c = a + bLen + b[0] + d[0];
    return h == 9 ? 0 : 1;
}

int implementation_everything_nothing(HANDLE, int a) { return h == 9 ? a : 1; }
int implementation_everything_told(HANDLE, int a) { return h == 9 ? a : 1; }

int implementation_everything_later(
    HANDLE, fastrpc_async_descriptor_t* job, const unsigned char* a, int aLen, unsigned char* b,
    int bLen, int z) {
    CHECK(!job && aLen == bLen && z == 4 && h == 9);
    memcpy(b, a, (size_t)aLen);
    return 0;
}

int implementation_everything_later_texts(
    HANDLE, fastrpc_async_descriptor_t* job, const _cstring1_t* a, int aLen) {
    CHECK(!job && aLen == 1 && !strcmp(a[0].data, "later") && h == 9);
    return 0;
}

int implementation_everything_far(
    HANDLE, unsigned char a, const unsigned char* b, int bLen, int* c) {
    *c = a + bLen + b[0];
    return h == 9 ? 0 : 1;
}

int implementation_everything_far_texts(HANDLE, const _cstring1_t* a, int aLen, int* c) {
    *c = a[aLen - 1].data[0];
    return h == 9 ? 0 : 1;
}

/* The calls. */

static point point_of(int x) {
    point made;
    memset(&made, 0, sizeof made);
    made.x = x;
    made.b = 1;
    made.c = green;
    made.d[0] = 0.5;
    return made;
}

static point two_points[2], point_room[2];
static _cstring1_t two_names[2] = {{(char*)"one", 0}, {(char*)"two", 0}};
static char name_room[2][4];
static _cstring1_t name_rooms[2] = {{name_room[0], 4}, {name_room[1], 4}};
static unsigned char byte_room[2][3];
static bytes two_lists[2] = {{(unsigned char*)"abc", 3}, {NULL, 0}};
static bytes list_rooms[2] = {{byte_room[0], 3}, {NULL, 0}};

static mixed mixed_value(void) {
    static const _wchar_t wide[3] = {0x263a, 'w', 0};
    mixed made;
    memset(&made, 0, sizeof made);
    two_points[0] = point_of(1);
    two_points[1] = point_of(2);
    made.s = (char*)"string";
    made.w = (_wchar_t*)wide;
    made.data = (unsigned char*)"data";
    made.dataLen = 4;
    made.points = two_points;
    made.pointsLen = 2;
    made.n = two_names;
    made.nLen = 2;
    made.l = two_lists;
    made.lLen = 2;
    made.h.fd = 3;
    made.h.offset = 4;
    made.h.len = 5;
    made.p = point_of(3);
    made.f = 1;
    made.c = green;
    made.r[2] = 33;
    return made;
}

static mixed mixed_room(char* text, _wchar_t* wide, unsigned char* data) {
    mixed made;
    memset(&made, 0, sizeof made);
    memset(byte_room, 0, sizeof byte_room);
    memset(name_room, '?', sizeof name_room);
    made.s = text;
    made.sLen = 7;
    made.w = wide;
    made.wLen = 3;
    made.data = data;
    made.dataLen = 4;
    made.points = point_room;
    made.pointsLen = 2;
    made.n = name_rooms;
    made.nLen = 2;
    made.l = list_rooms;
    made.lLen = 2;
    made.h.fd = 6;
    return made;
}

static void check_mixed(const mixed* one) {
    CHECK(!strcmp(one->s, "string") && one->w[0] == 0x263a && !memcmp(one->data, "data", 4));
    CHECK(one->points[1].x == 2 && one->points[1].d[0] == 0.5 && !strcmp(one->n[1].data, "two"));
    CHECK(!memcmp(one->l[0].data, "abc", 3) && one->p.x == 3 && one->f && one->c == green);
    CHECK(one->r[2] == 33 && one->h.fd == 6);
}

static void plain_calls(remote_handle64 h) {
    flag e = 1, f = 0;
    color g = green, i = red;
    int64_t k = -5;
    int level = 0;
    matrix m = {{10, 0, 0}, {0, 0, 12}}, n, o = {{0, 1, 0}, {0, 0, 0}};
    const row r = {1, 2, 3}, rows[2] = {{4, 5, 6}, {7, 8, 9}};
    point a = point_of(5), b, c = point_of(6), d = point_of(5);
    everything_mine mine = {7};
    _cxx_class other = {8};
    color colors[2] = {red, red};
    _wchar_t wide[4] = {'w', 'w', 0, 0};
    char text[3] = "??";
    int result = 0;

    CHECK(everything_empty(h) == 0 && last_scalars == 0x05000000);
    CHECK(everything_inherited(h, 0) == 0 && everything_inherited(h, 21) == 21);
    CHECK(everything_Getlevel(h, &level) == 0 && level == 12 && everything_Setlevel(h, 0) == 0);
    CHECK(!everything_numbers(h, 1, 'b', 0x263a, 1.5f, &e, &f, &g, &i, green, 200, &k));
    CHECK(!e && f && g == _cxx_new && i == green && k == -6);
    CHECK(!everything_arrays(h, (const row*)m, n, o, r, rows, 2));
    CHECK(!memcmp(m, n, sizeof m) && o[0][1] == 2);
    CHECK(!everything_structures(h, &a, &b, &c, &mine, &other));
    CHECK(!memcmp(&a, &b, sizeof a) && c.d[1] == 2.5);
    CHECK(!everything_sequences(
        h, (const unsigned char*)"abc", 3, colors, 2, &d, 1, "text", 99, wide, 4, text, 3, NULL, 0));
    CHECK(colors[1] == green && d.x == 50 && wide[0] == 'W' && !strcmp(text, "vv"));
    CHECK(!everything_keywords(h, 1, &level, 1, &result, "A") && result == 1 + 1 + 12 + 'A');
    CHECK(everything_nothing(h, 17) == 17 && everything_told(h, 18) == 18);
    registered = 0;
    CHECK(!everything_handles(h, 1, 2, 3, 4, 5, 6) && registered == 5009);
    CHECK(last_scalars == 0x0d000011);
    registration_fails = 1;
    invocations = 0;
    CHECK(everything_handles(h, 1, 2, 3, 4, 5, 6) == AEE_EBADPARM && !invocations);
    registration_fails = 0;
}

static void complex_calls(remote_handle64 h) {
    char text[3][7];
    _wchar_t wide[3][3], both[3] = {'x', 0, 0};
    unsigned char data[3][4];
    matrix m = {{0, 0, 0}, {0, 0, 12}};
    mixed a = mixed_value(), b = mixed_room(text[0], wide[0], data[0]);
    mixed deep = mixed_value(), deep_room = mixed_room(text[1], wide[1], data[1]);
    outer c, d;
    flag f = 0;
    int q[2] = {2, 3};
    bytes inner = {(unsigned char*)"xyz", 3}, out = {byte_room[1], 1}, inner_room = {byte_room[0], 3};
    lists g[2] = {{&inner, 1}, {NULL, 0}}, i[2] = {{&inner_room, 1}, {NULL, 0}};
    name_t alias = {(char*)"alias", 0};
    _wstring1_t wides = {both, 0};

    c.k = 77;
    c.inner = mixed_value();
    c.many = &deep;
    c.manyLen = 1;
    d.inner = mixed_room(text[2], wide[2], data[2]);
    d.many = &deep_room;
    d.manyLen = 1;
    CHECK(!everything_complex(h, &a, &b, &c, &d, (const row*)m, 1, &f, both, 3, q, 2, green));
    check_mixed(&b);
    check_mixed(&d.inner);
    check_mixed(&deep_room);
    CHECK(d.k == 77 && f && q[1] == 5 && both[0] == 'x');

    b = mixed_room(text[0], wide[0], data[0]);
    CHECK(!everything_nested(
        h, &a, 1, &b, 1, NULL, 0, NULL, 0, two_names, 2, &out, 1, g, 2, i, 2, &alias, 1, &wides, 1));
    CHECK(b.p.x == 3 && b.f && byte_room[1][0] == 'f' && !memcmp(byte_room[0], "xyz", 3));
    CHECK(two_names[1].dataLen == 0); /* the caller's values stay as they are */
}

/* 255 buffers and 15 handles are the most that a call has (6.7). */
static void limits(remote_handle64 h) {
    static _cstring1_t texts[300];
    static _dmahandle1_t handles[17];
    static handled pairs[300], pair_rooms[300];
    char room[4];
    int n, fd = 0;
    for (n = 0; n < 300; n++) {
        texts[n].data = room;
        texts[n].dataLen = 4;
    }
    memset(room, 0, sizeof room);
    CHECK(everything_texts(h, texts, 252, NULL, 0) == 252000 && last_scalars == 0x0cff0000);
    CHECK(everything_texts(h, NULL, 0, texts, 254) == 254 && last_scalars == 0x0c03fe00);
    invocations = 0;
    CHECK(everything_texts(h, texts, 253, NULL, 0) == AEE_EUNSUPPORTED);
    CHECK(everything_texts(h, NULL, 0, texts, 255) == AEE_EUNSUPPORTED);
    CHECK(everything_texts(h, texts, 0x7fffffff, NULL, 0) == AEE_EUNSUPPORTED);
    CHECK(everything_texts(h, texts, -1, NULL, 0) == AEE_EUNSUPPORTED);
    for (n = 0; n < 17; n++) { handles[n].fd = n; }
    CHECK(everything_many_handles(h, handles, 16, NULL, 0, NULL, 0, NULL, 0, &fd) == AEE_EBADPARM);
    CHECK(everything_many_handles(h, NULL, 0, NULL, 0, pairs, 300, NULL, 0, &fd) == AEE_EBADPARM);
    CHECK(!invocations);
    CHECK(!everything_many_handles(h, handles, 15, NULL, 0, NULL, 0, NULL, 0, &fd) && fd == 14);
    pairs[0].h.offset = 2;
    pairs[0].x = 5;
    handles[8].offset = 1;
    CHECK(!everything_many_handles(h, handles, 2, &handles[8], 1, pairs, 1, pair_rooms, 1, &fd));
    CHECK(pair_rooms[0].x == 6 && fd == 1 && last_scalars == 0x0e020232);
}

static void other_methods(remote_handle64 h) {
    fastrpc_async_descriptor_t job;
    unsigned char out[3] = {0, 0, 0};
    _cstring1_t text = {(char*)"later", 6};
    int result = 0;
    memset(&job, 0, sizeof job);
    CHECK(!everything_later(h, &job, (const unsigned char*)"abc", 3, out, 3, 4));
    CHECK(job.jobid == 77 && !memcmp(out, "abc", 3));
    CHECK(!everything_later_texts(h, &job, &text, 1));
    CHECK(!everything_far(h, 1, (const unsigned char*)"A", 1, &result) && result == 67);
    CHECK(last_scalars == 0x1f020100);
    CHECK(!everything_far_texts(h, &text, 1, &result) && result == 'l' && last_scalars == 0x1f030100);
    CHECK(!everything_far_empty(h) && last_scalars == 0x1f010000);
    CHECK(everything_skel_handle_invoke(h, 0x1f000000, NULL) == AEE_EBADPARM);
}

static void handles_of_modules(void) {
    int b = 0;
    open_fails = 1;
    CHECK(named_m(1, &b) == AEE_EINVHANDLE && !b);
    open_fails = 0;
    CHECK(!named_m(1, &b) && b == 2 && last_handle == 40 && !named_m(2, &b) && opened == 1);
    CHECK(_named_handle() == 40 && !closed);
    CHECK(!fixed_m(7, &b) && b == 8 && last_handle == 3 && opened == 1);
}

int main(void) {
    remote_handle64 h = 0;
    CHECK(everything_skel_handle_invoke_qaic_version == 10051);
    CHECK(!strcmp(everything_skel_handle_invoke_uri, everything_URI));
    CHECK(everything_open("everything_skel_handle_invoke&_idlver=1.2.1", &h) == 0x194);
    CHECK(everything_open("everything_skel_handle_invoke", &h) == AEE_ESTUBSKELVERMISMATCH);
    CHECK(!everything_open(everything_URI CDSP_DOMAIN, &h) && h == 9);
    plain_calls(h);
    complex_calls(h);
    limits(h);
    other_methods(h);
    handles_of_modules();
    CHECK(!everything_close(h) && everything_close(8) == 5);
    return failures != 0;
}
