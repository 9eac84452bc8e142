/* The guest's first process: loads modules, waits for a node, runs one program, says how it ended.
 *
 * It is compiled for the guest without a C library, so any compiler for arm64 will do.  What it is
 * to do stands in files of the initial file system: /qda/modules and /qda/nodes (a path a line),
 * /qda/command (words that end with NUL).  The program has the first two ports of a virtio console
 * as its input, output and errors; the third gets its wait status, a line of decimal digits.
 */
typedef unsigned long word;

enum { /* arm64's system calls, include/uapi/asm-generic/unistd.h */
    SYS_DUP3 = 24, SYS_MKDIRAT = 34, SYS_MOUNT = 40, SYS_FACCESSAT = 48, SYS_OPENAT = 56,
    SYS_CLOSE = 57, SYS_READ = 63, SYS_WRITE = 64, SYS_EXIT = 93, SYS_NANOSLEEP = 101, SYS_REBOOT = 142,
    SYS_SETSID = 157, SYS_CLONE = 220, SYS_EXECVE = 221, SYS_WAIT4 = 260, SYS_FINIT_MODULE = 273,
};
enum { HERE = -100, SIGCHLD = 17, READ_ONLY = 0, READ_WRITE = 02, CLOSE_ON_EXEC = 02000000 };
enum { PATIENCE = 30000, NAP = 5 }; /* milliseconds in which nodes and ports have to appear */

static long call(long number, word a, word b, word c, word d, word e)
{
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    register long x8 __asm__("x8") = number;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x8) : "memory");
    return (long)x0;
}

static word length_of(const char *text)
{
    word length = 0;
    while (text[length])
        length++;
    return length;
}

static void say(int descriptor, const char *text)
{
    call(SYS_WRITE, (word)descriptor, (word)text, length_of(text), 0, 0);
}

static long open_file(const char *path, int flags)
{
    return call(SYS_OPENAT, (word)HERE, (word)path, (word)flags, 0, 0);
}

static void mount(const char *kind, const char *place)
{
    call(SYS_MKDIRAT, (word)HERE, (word)place, 0755, 0, 0);
    call(SYS_MOUNT, (word)kind, (word)place, (word)kind, 0, 0);
}

static void nap(void)
{
    const long time[2] = { 0, NAP * 1000000L };
    call(SYS_NANOSLEEP, (word)time, 0, 0, 0, 0);
}

/* A line for the console, which `qda.kernel.console` knows by its beginning. */
static void tell(const char *what, const char *path)
{
    say(1, "qda: ");
    say(1, what);
    say(1, path);
    say(1, "\n");
}

static void power_off(void)
{
    call(SYS_REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0, 0);
    for (;;)
        nap();
}

/* The whole of a file, with a NUL behind it; empty if there is none. */
static char *read_file(const char *path, char *into, word size)
{
    word filled = 0;
    long descriptor = open_file(path, READ_ONLY), got = 0;
    while (descriptor >= 0 && filled + 1 < size
           && (got = call(SYS_READ, (word)descriptor, (word)(into + filled), size - filled - 1, 0, 0)) > 0)
        filled += (word)got;
    if (descriptor >= 0)
        call(SYS_CLOSE, (word)descriptor, 0, 0, 0, 0);
    into[filled] = 0;
    return into;
}

/* The next line of a text, without its end; 0 after the last. */
static char *next_line(char **text)
{
    char *line = *text, *end = line;
    if (!*line)
        return 0;
    while (*end && *end != '\n')
        end++;
    *text = *end ? end + 1 : end;
    *end = 0;
    return line;
}

/* Nothing that is to be tried would be there without one of them. */
static void load_modules(char *list)
{
    for (char *path; (path = next_line(&list));) {
        long file = open_file(path, READ_ONLY);
        long result = file < 0 ? file : call(SYS_FINIT_MODULE, (word)file, (word) "", 0, 0, 0);
        if (result < 0 && result != -17) { /* EEXIST: it is built in */
            tell("cannot load ", path);
            power_off();
        }
        call(SYS_CLOSE, (word)file, 0, 0, 0, 0);
    }
}

static int is_there(const char *path)
{
    return !call(SYS_FACCESSAT, (word)HERE, (word)path, 0, 0, 0);
}

/* The patience is one for all nodes: where one is missing, mostly all are. */
static void wait_for_nodes(char *list)
{
    int waited = 0;
    for (char *path; (path = next_line(&list));) {
        for (; waited < PATIENCE && !is_there(path); waited += NAP)
            nap();
        if (!is_there(path))
            tell("no node ", path);
    }
}

/* A port can be opened somewhat later than it can be seen. */
static long open_port(const char *path)
{
    long port = -1;
    for (int waited = 0; port < 0 && waited < PATIENCE; waited += NAP) {
        port = open_file(path, READ_WRITE | CLOSE_ON_EXEC);
        if (port < 0)
            nap();
    }
    return port;
}

static char *print_number(word number, char *end)
{
    *--end = 0;
    *--end = '\n';
    do
        *--end = (char)('0' + number % 10);
    while (number /= 10);
    return end;
}

static void run(char *command, long output, long errors)
{
    static char *words[256];
    static char *environment[] = { "PATH=/bin:/usr/bin", "HOME=/", "TERM=dumb", 0 };
    int count = 0;
    for (char *at = command; *at && count < 255; at += length_of(at) + 1)
        words[count++] = at;
    call(SYS_SETSID, 0, 0, 0, 0, 0);
    call(SYS_DUP3, (word)output, 0, 0, 0, 0);
    call(SYS_DUP3, (word)output, 1, 0, 0, 0);
    call(SYS_DUP3, (word)errors, 2, 0, 0, 0);
    long result = call(SYS_EXECVE, (word)words[0], (word)words, (word)environment, 0, 0);
    say(2, "qda: cannot run ");
    say(2, words[0]);
    say(2, result == -2 ? ": no such file, or its loader is missing\n" : "\n");
    call(SYS_EXIT, 127, 0, 0, 0, 0);
}

void begin(void)
{
    static char text[65536], command[65536], digits[32];
    mount("proc", "/proc");
    mount("sysfs", "/sys");
    mount("devtmpfs", "/dev");
    mount("tmpfs", "/tmp");
    long console = open_file("/dev/console", READ_WRITE | CLOSE_ON_EXEC);
    for (word descriptor = 0; console >= 0 && descriptor < 3; descriptor++)
        call(SYS_DUP3, (word)console, descriptor, 0, 0, 0);
    load_modules(read_file("/qda/modules", text, sizeof text));
    wait_for_nodes(read_file("/qda/nodes", text, sizeof text));
    long output = open_port("/dev/vport0p1");
    long errors = open_port("/dev/vport0p2");
    long status = open_port("/dev/vport0p3");
    read_file("/qda/command", command, sizeof command);
    long child = call(SYS_CLONE, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        run(command, output < 0 ? 1 : output, errors < 0 ? 2 : errors);
    int ended = 0;
    while (call(SYS_WAIT4, (word)-1, (word)&ended, 0, 0, 0) != child)
        continue;
    say(status < 0 ? 1 : (int)status, print_number((word)ended, digits + sizeof digits));
    power_off();
}

/* The kernel leaves the stack as a function wants it. */
__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n b begin\n");
