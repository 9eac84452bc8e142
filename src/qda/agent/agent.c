/* The agent: makes system calls in a guest for a process outside of it.
 *
 * It is compiled for the guest as the first process is, without a C library.  Each of its threads
 * has one port of the virtio console, /dev/vport0p4 and on, and does there step by step what it is
 * told: a system call, bytes to an address, bytes from an address.  All threads share memory and
 * descriptors, so whatever is outside is one process here, and a call that waits holds up only its
 * own thread.  Bytes go between the port and their address by read and write themselves: a wrong
 * address is the kernel's EFAULT, and ends the thread.
 */
typedef unsigned long word;

enum { SYS_CLOSE = 57, SYS_FCNTL = 25, SYS_OPENAT = 56, SYS_READ = 63, SYS_WRITE = 64, SYS_EXIT = 93 };
enum { HERE = -100, READ_WRITE = 02, CLOSE_ON_EXEC = 02000000 };
enum { CALL, PUT, GET }; /* kinds of step */
enum { FIRST_PORT = 4, STACK = 4096, MOST = 16 };
enum { DUPLICATE = 0, ASIDE = 900 }; /* F_DUPFD, and where no descriptor of a program is */

struct step {
    word kind;
    word number;      /* of the system call */
    word argument[6]; /* of a step with bytes: address, length */
};

static word make(word number, const word *argument)
{
    register word x0 __asm__("x0") = argument[0];
    register word x1 __asm__("x1") = argument[1];
    register word x2 __asm__("x2") = argument[2];
    register word x3 __asm__("x3") = argument[3];
    register word x4 __asm__("x4") = argument[4];
    register word x5 __asm__("x5") = argument[5];
    register word x8 __asm__("x8") = number;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
    return x0;
}

/* All of `length` bytes by SYS_READ or SYS_WRITE; whether that was possible. */
static int move(word way, word port, word address, word length)
{
    while (length) {
        const word argument[6] = { port, address, length };
        long moved = (long)make(way, argument);
        if (moved <= 0)
            return 0;
        address += (word)moved;
        length -= (word)moved;
    }
    return 1;
}

static word open_port(int number)
{
    char path[] = "/dev/vport0p00", *digit = path + sizeof path - 3;
    if (number >= 10)
        *digit++ = (char)('0' + number / 10);
    *digit++ = (char)('0' + number % 10);
    *digit = 0;
    const word open[6] = { (word)HERE, (word)path, READ_WRITE | CLOSE_ON_EXEC };
    const word port = make(SYS_OPENAT, open);
    const word aside[6] = { port, DUPLICATE, ASIDE };
    const word moved = make(SYS_FCNTL, aside);
    make(SYS_CLOSE, aside);
    return moved;
}

static void serve(word port)
{
    struct step step;
    while (move(SYS_READ, port, (word)&step, sizeof step)) {
        if (step.kind == CALL) {
            word result = make(step.number, step.argument);
            if (!move(SYS_WRITE, port, (word)&result, sizeof result))
                break;
        } else if (!move(step.kind == PUT ? SYS_READ : SYS_WRITE, port, step.argument[0], step.argument[1]))
            break;
    }
    const word argument[6] = { 1 };
    make(SYS_EXIT, argument);
}

/* A thread, which serves a port: it shares all that threads share. */
enum { SHARES = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 };
long start(word flags, void *stack, word port);
void thread(word port)
{
    serve(port);
}
__asm__(".globl start\nstart: mov x9, x2\n mov x2, xzr\n mov x3, xzr\n mov x4, xzr\n mov x8, #220\n svc 0\n"
        " cbz x0, 1f\n ret\n1: mov x29, xzr\n mov x30, xzr\n mov x0, x9\n b thread\n");

void begin(void)
{
    static word stacks[MOST][STACK / sizeof(word)] __attribute__((aligned(16)));
    long port, first = (long)open_port(FIRST_PORT);
    for (int other = 0; other < MOST && (port = (long)open_port(FIRST_PORT + 1 + other)) >= 0; other++)
        start(SHARES, stacks[other] + STACK / sizeof(word), (word)port);
    serve((word)first);
}
__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n b begin\n");
