"""How much there may be of everything: one table of sizes, counts and times.

A limit is an ordinary number, `limits.HOST_FILES`, and stands here with its unit, its reason, and
what happens beyond it; `docs/limits.md` is printed from `SUBJECTS`.  A number that is not a choice
but a format stands with the format, unless a program can meet it as a limit.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

__all__ = ["SUBJECTS", "Limit", "Subject"]

Number = TypeVar("Number", int, float)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Limit(NamedTuple):
    """One limit: its name in this module, its value in `unit`s, the reason for it, and what happens
    beyond it."""

    name: str
    value: int | float
    unit: str
    why: str
    beyond: str


class Subject:
    """Limits of one subject, in the order of their declaration."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.limits: list[Limit] = []

    def limit(self, name: str, value: Number, unit: str, why: str, beyond: str) -> Number:
        """Add a limit to the table; returns its value."""
        self.limits.append(Limit(name, value, unit, why, beyond))
        return value


_calls = Subject("Calls")

BUFFERS: Final = _calls.limit(
    "BUFFERS",
    255,
    "in-buffers, and as many out-buffers, of a call",
    "eight bits each in the scalars word",
    "UsageError, or an error of the IDL compiler",
)
HANDLES: Final = _calls.limit(
    "HANDLES",
    15,
    "in-handles, and as many out-handles, of a call",
    "four bits each in the scalars word",
    "UsageError, or an error of the IDL compiler",
)
ARGUMENT: Final = _calls.limit(
    "ARGUMENT",
    (1 << 31) - 1,
    "bytes of an argument",
    "lengths are added up as signed 32-bit numbers on the way (H06)",
    "EINVAL",
)
MESSAGE: Final = _calls.limit(
    "MESSAGE",
    128 * MIB,
    "bytes of a call that are not in buffer objects, with the list of its arguments",
    "the driver allocates them; a profile may say another number",
    "ENOMEM",
)
CALLS: Final = _calls.limit(
    "CALLS",
    255,
    "calls of a session at a time",
    "eight bits of the context id number them, and 0 is no call",
    "ENOSPC",
)
GUEST_MESSAGES: Final = _calls.limit(
    "GUEST_MESSAGES",
    1024,
    "messages to a DSP that a kernel in QEMU waits for",
    "its driver numbers 256 calls; each takes a thread here",
    "the message is dropped",
)
STARTED: Final = _calls.limit(
    "STARTED",
    128,
    "calls that `qda.start` has on their way at a time",
    "each has a thread, and a session has a number of calls",
    "`qda.start` waits until one is over, in an event loop the call does",
)
LANES: Final = _calls.limit(
    "LANES",
    1,
    "lanes that a session begins with",
    "most programs call in one thread, and each lane is a thread of the DSP, which takes time",
    "more are made",
)
SLOT: Final = _calls.limit(
    "SLOT",
    64 * KIB,
    "bytes of message memory that a lane has",
    "most messages are short",
    "the lane gets memory of its own at the first such call, which takes time",
)
KEPT_MESSAGE: Final = _calls.limit(
    "KEPT_MESSAGE",
    8 * MIB,
    "bytes of such memory that stay for the next call",
    "calls of one program are alike",
    "it is given back after the call",
)
ARENA_SLOT: Final = _calls.limit(
    "ARENA_SLOT",
    64 * KIB,
    "bytes of a call's small arguments, packed into one slot of the client's arena",
    "most are short, and memory that is not used takes none",
    "the call gets a buffer of its own, which takes time",
)
ARENA_SLOTS: Final = _calls.limit(
    "ARENA_SLOTS",
    16,
    "slots of an arena, each for one call at a time",
    "few threads of a program call at once",
    "the client makes one arena more",
)
SPARE: Final = _calls.limit(
    "SPARE",
    64 * KIB,
    "bytes of a buffer object that may become the next one of its program when it is closed",
    "some libraries make one for the small arguments of each call",
    "a larger one is given back, and the next one takes longer to make",
)
RESUMED: Final = _calls.limit(
    "RESUMED",
    100,
    "times that an interrupted call is taken up again",
    "a method's own status of -4 looks like EINTR (8.3)",
    "InterruptedError",
)
CAPABILITIES: Final = _calls.limit(
    "CAPABILITIES",
    255,
    "capabilities of a DSP",
    "the driver asks for that many words (3.5)",
    "EOVERFLOW at a legacy node",
)
ERROR_TEXT: Final = _calls.limit(
    "ERROR_TEXT",
    4096,
    "bytes of words with which a module is refused",
    "they name all places that were searched (U9)",
    "the rest of the words is missing",
)
LOADER_TEXT: Final = _calls.limit(
    "LOADER_TEXT",
    1 * KIB,
    "bytes of words with which a skeleton class is refused, or a warning given",
    "one sentence",
    "the rest of the words is missing",
)
C_ERROR_TEXT: Final = _calls.limit(
    "C_ERROR_TEXT",
    255,
    "the same, for a client in C",
    "the C library has room for so many",
    "the rest is in the DSP's log",
)

_processes = Subject("Processes of the DSP")

PROCESS_NAME: Final = _processes.limit(
    "PROCESS_NAME",
    16,
    "bytes of a process's name, with its NUL",
    "the kernel's `comm` is so long (3.1, H29)",
    "the name is cut",
)
PROCESS_MEMORY: Final = _processes.limit(
    "PROCESS_MEMORY",
    4 * MIB,
    "bytes that a process is given at first, whatever its image needs",
    "the kernel's driver does it so (3.2)",
    "the DSP asks for more",
)
BANKS: Final = _processes.limit(
    "BANKS",
    1024,
    "context banks of a DSP that `--banks` can ask for",
    "more than a build machine runs programs at once; each is a session, a process of the DSP",
    "an error of the command line",
)
LEGACY_SESSIONS: Final = _processes.limit(
    "LEGACY_SESSIONS",
    14,
    "open files of a DSP's legacy nodes",
    "the older driver has that many session ids (5.1)",
    "EBUSY",
)
GUEST_SESSIONS: Final = _processes.limit(
    "GUEST_SESSIONS",
    64,
    "sessions of a DSP that a kernel in QEMU has",
    "its driver has as many as context banks; each is a process here",
    "EBUSY is the DSP's answer",
)
STATIC_PROCESSES: Final = _processes.limit(
    "STATIC_PROCESSES",
    8,
    "static processes of a DSP, by name",
    "real ones have six at most, and ours stay until the DSP stops (1.3, R21)",
    "ENOMEM",
)
WINDOW: Final = _processes.limit(
    "WINDOW",
    2 * GIB,
    "bytes of DSP addresses of a process",
    "they are addresses of the process below 4 GiB, of which some are in use",
    "AEE_EMMAP",
)
KNOWN_MEMORY: Final = _processes.limit(
    "KNOWN_MEMORY",
    WINDOW // 2,
    "bytes of buffers that stay at DSP addresses for calls to come",
    "a call with a buffer that it has had before is faster; half of the window is for mappings",
    "those that no call and no mapping uses give up their addresses, the oldest first",
)
THREADED_WINDOW: Final = _processes.limit(
    "THREADED_WINDOW",
    256 * MIB,
    "the same, where the DSP is threads of this process",
    "all processes share the addresses below 4 GiB",
    "AEE_EMMAP",
)
GRANULE: Final = _processes.limit(
    "GRANULE",
    64 * KIB,
    "bytes between places where a mapping can begin",
    "the page size of some kernels",
    "a hint is rounded down",
)
LOG_LINES: Final = _processes.limit(
    "LOG_LINES",
    1000,
    "lines of a session's log that are kept",
    "a client may never read its log",
    "the oldest are lost",
)
LOG_LINE: Final = _processes.limit(
    "LOG_LINE", 4096, "bytes of a line of the log", "a traceback is many lines", "the line is cut"
)
LOG_ROOM: Final = _processes.limit(
    "LOG_ROOM",
    32 * KIB,
    "bytes of the log that are fetched at once",
    "they fit into a slot",
    "a further call fetches more",
)
KEPT_LOG: Final = _processes.limit(
    "KEPT_LOG",
    64 * KIB,
    "bytes of the log of a process that are told when it has died",
    "the last lines say most; each process has so much memory for them",
    "only the last ones are told",
)
KEPT_REPORT: Final = _processes.limit(
    "KEPT_REPORT",
    512 * KIB,
    "bytes that a process says when it dies: what is mapped, and backtraces",
    "it writes them to memory, which somebody else has to read",
    "the rest is not told",
)
OBITUARY: Final = _processes.limit(
    "OBITUARY",
    32 * KIB,
    "bytes of the words in which a process's end is told",
    "they fit into a pipe, for which nobody waits",
    "the rest is not told",
)
SYMBOL_FILE: Final = _processes.limit(
    "SYMBOL_FILE",
    256 * MIB,
    "bytes of a file in which names for a backtrace are looked up",
    "it is read whole, when a process has died",
    "its places in a backtrace are numbers",
)

_host = Subject("What a DSP may ask of its host")

STREAM: Final = _host.limit(
    "STREAM",
    64 * MIB,
    "bytes of the arguments of a reverse call, and of its results",
    "a few lengths may ask for gigabytes",
    "AEE_EBADPARM",
)
POSTS: Final = _host.limit(
    "POSTS",
    64,
    "reverse calls under way that nobody waits for",
    "a host may take none of them",
    "the message is not sent",
)
NESTED_CALLS: Final = _host.limit(
    "NESTED_CALLS",
    32,
    "threads of a host that run reverse calls: how deep calls may nest",
    "each level holds one",
    "the host's call of the DSP is refused with EDEADLK: nobody could answer one back",
)
REQUEST_ROOM: Final = _host.limit(
    "REQUEST_ROOM",
    4096,
    "bytes of a request that come at once",
    "most are short",
    "a further call fetches the rest",
)
KEPT_ROOM: Final = _host.limit(
    "KEPT_ROOM",
    1 * MIB,
    "bytes of room for requests that a thread keeps",
    "one long request should not cost memory for ever",
    "the room is given back after the request",
)
HOST_MODULES: Final = _host.limit(
    "HOST_MODULES",
    256,
    "modules of the host that a DSP has open",
    "a skeleton may forget to close them",
    "AEE_EOUTOFHANDLES",
)
HOST_FILES: Final = _host.limit(
    "HOST_FILES",
    256,
    "files and folders of the host that a DSP has open",
    "a skeleton may forget to close them",
    "EMFILE",
)
HOST_FILE: Final = _host.limit(
    "HOST_FILE",
    64 * MIB,
    "bytes of a file that the host reads into a buffer as a whole",
    "larger ones are read in parts",
    "EFBIG",
)
HOST_NAME: Final = _host.limit(
    "HOST_NAME",
    254,
    "bytes of a name in a folder of the host",
    "the record has room for so many",
    "the entry is left out",
)
HOST_MEMORY: Final = _host.limit(
    "HOST_MEMORY",
    1 * GIB,
    "bytes that a DSP asks for at once",
    "a skeleton may ask for anything",
    "AEE_EBADPARM",
)
LOG_RECORDS: Final = _host.limit(
    "LOG_RECORDS",
    1000,
    "messages that are kept for the host",
    "the host may not take them",
    "the oldest are lost",
)
LOG_RECORDS_AT_ONCE: Final = _host.limit(
    "LOG_RECORDS_AT_ONCE",
    16,
    "messages in one call",
    "the call stays short",
    "a further call brings more",
)
MODULE_FILE: Final = _host.limit(
    "MODULE_FILE",
    64 * MIB,
    "bytes of a module's file",
    "it is held in memory",
    "AEE_EUNABLETOLOAD",
)
FILE_PART: Final = _host.limit(
    "FILE_PART",
    32 * KIB,
    "bytes of a file that are read at once",
    "request and reply fit into a slot",
    "a further call reads more",
)
PATHS_NAMED: Final = _host.limit(
    "PATHS_NAMED",
    16,
    "folders that an error names",
    "it is to be read",
    "the others are not named",
)

_queues = Subject("Queues")

QUEUES: Final = _queues.limit(
    "QUEUES",
    64,
    "queues of a session",
    "the block of counters that they share has room for so many",
    "UsageError; AEE_EBADPARM in C",
)
QUEUE_RING: Final = _queues.limit(
    "QUEUE_RING",
    16 * MIB,
    "bytes of a ring",
    "as in the public library",
    "UsageError; AEE_EBADPARM in C",
)
QUEUE_REQUESTS: Final = _queues.limit(
    "QUEUE_REQUESTS",
    64 * KIB,
    "bytes of a ring of requests, if nothing is said",
    "as in the public library",
    "a writer waits until there is room",
)
QUEUE_RESPONSES: Final = _queues.limit(
    "QUEUE_RESPONSES",
    16 * KIB,
    "bytes of a ring of responses, if nothing is said",
    "as in the public library",
    "a writer waits until there is room",
)
QUEUE_BUFFERS: Final = _queues.limit(
    "QUEUE_BUFFERS",
    64,
    "buffers that a packet refers to",
    "as in the public library",
    "UsageError; AEE_EBADPARM in C",
)
QUEUE_MESSAGE: Final = _queues.limit(
    "QUEUE_MESSAGE",
    64 * KIB,
    "bytes of a packet's message",
    "as in the public library",
    "UsageError; AEE_EBADPARM in C",
)
WAKEUP_WAIT: Final = _queues.limit(
    "WAKEUP_WAIT",
    1000,
    "microseconds that a reader looks out for the packet of an early wake-up which does not say",
    "as in the public library",
    "it sleeps",
)
WAKEUP_LONGEST: Final = _queues.limit(
    "WAKEUP_LONGEST",
    2500,
    "the same, for one that says more",
    "as in the public library",
    "it sleeps",
)

_pools = Subject("Pools")

POOL_AHEAD: Final = _pools.limit(
    "POOL_AHEAD",
    2,
    "items for each session that `map` of a pool has begun and not given back as results",
    "a session has its next item when it has done one, and memory holds no more than that",
    "the next item is asked for when a result has been taken; `buffersize` says another number",
)
POOL_CARRIED: Final = _pools.limit(
    "POOL_CARRIED",
    64 * KIB,
    "bytes of an argument from which on a pool puts it into shared memory",
    "below that a message costs less",
    "shorter ones travel in the message",
)
POOL_BUFFERS: Final = _pools.limit(
    "POOL_BUFFERS",
    8,
    "buffers for arguments that a session of a pool keeps for its next calls",
    "calls of one job are alike, and have few large arguments",
    "the one that has not been used for longest goes",
)

_waiting = Subject("Waiting")

LOOK: Final = _waiting.limit(
    "LOOK",
    20,
    "microseconds that a side of a lane looks for the other's message before it sleeps; five times"
    " as long where that has found something",
    "to wake a CPU takes longer; QDA_PATIENCE says another number",
    "it sleeps, and is woken",
)
POLL: Final = _waiting.limit(
    "POLL",
    10_000,
    "microseconds that a call in poll mode looks for its answer before it sleeps",
    "as a kernel does: the client has asked for it, and it takes a CPU",
    "it sleeps, and is woken",
)
PATIENCE: Final = _waiting.limit(
    "PATIENCE",
    10.0,
    "seconds for the DSP's answer to the driver itself, and for what still runs at a close",
    "longer than a healthy DSP takes (H32)",
    "ETIMEDOUT; a close goes on without it",
)
GRACE: Final = _waiting.limit(
    "GRACE",
    1.0,
    "seconds that the DSP has to answer the driver after Ctrl-C, or when all patience is spent",
    "a healthy DSP answers sooner, and what has been begun is whole",
    "the operation is broken off; a process that is to end is killed",
)
FIRST_LOOK: Final = _waiting.limit(
    "FIRST_LOOK",
    1.0,
    "seconds after which it is looked whether a call that waits has been missed",
    "a call that takes as long is not held up by a look, and no user has given up",
    "the next looks are after twice as long each, up to LAST_LOOK",
)
LAST_LOOK: Final = _waiting.limit(
    "LAST_LOOK",
    60.0,
    "seconds between two looks at a call that waits, at most",
    "calls that are parked for hours cost nothing",
    "none",
)
SERVER_PATIENCE: Final = _waiting.limit(
    "SERVER_PATIENCE",
    PATIENCE + 2,
    "seconds that a device server waits for files that are being closed",
    "longer than PATIENCE, which the driver may need",
    "it goes on without them",
)
HOST_PATIENCE: Final = _waiting.limit(
    "HOST_PATIENCE",
    2.0,
    "seconds that a reverse call waits for a thread of a host that listens",
    "the listener of a program in C is a race with the program (clients.md 4)",
    "AEE_ENOSUCHTHREAD",
)
ANNOUNCEMENT: Final = _waiting.limit(
    "ANNOUNCEMENT",
    0.5,
    "seconds that the DSP waits for a host to say that it listens",
    "programs in C open modules before their listener has said anything (clients.md 4)",
    "modules in files are not found",
)
LAST_WORDS: Final = _waiting.limit(
    "LAST_WORDS",
    0.1,
    "seconds that a host has to take the log of a session that ends",
    "an end should not wait for readers",
    "the messages are lost",
)
SYMBOL_TIME: Final = _waiting.limit(
    "SYMBOL_TIME",
    2.0,
    "seconds that addr2line has for the places of a backtrace in one file",
    "who has lost a process waits for the words",
    "they are given without lines",
)
EPITAPH: Final = _waiting.limit(
    "EPITAPH",
    5.0,
    "seconds to wait for the words in which a process's end is told",
    "they are made by the processor, which looks up names",
    "the end is told without them",
)
BANK_WAIT: Final = _waiting.limit(
    "BANK_WAIT",
    60.0,
    "seconds that a program under `qda run` or `qda serve` waits for a context bank that other"
    " programs have",
    "programs that run side by side, as under `make -j`, know nothing of each other; `--wait` says"
    " another number, and 0 is what a kernel does",
    "the errno of a DSP without a free bank, ENOMEM or EBUSY",
)
BANK_LOOK: Final = _waiting.limit(
    "BANK_LOOK",
    0.1,
    "seconds after which `qda.open(wait=...)` looks for a context bank again",
    "a kernel does not say when one is free",
    "it looks again, until its time is over",
)
BOOT: Final = _waiting.limit(
    "BOOT",
    30.0,
    "seconds that a DSP has to come up",
    "a busy machine takes long to start a Python",
    "TimeoutError",
)
BREATH: Final = _waiting.limit(
    "BREATH",
    0.01,
    "seconds before a connection that could not be accepted is tried again",
    "the server has no descriptors left at the moment",
    "it is tried again",
)

_connections = Subject("Transport, and programs in other processes")

FRAME: Final = _connections.limit(
    "FRAME",
    64 * KIB,
    "bytes of a message that comes with descriptors",
    "the first message to a DSP says what it is",
    "the message is refused",
)
DESCRIPTORS: Final = _connections.limit(
    "DESCRIPTORS",
    63,
    "descriptors of a message",
    "a session begins with far fewer endpoints",
    "the message is refused",
)
SHORT_MESSAGE: Final = _connections.limit(
    "SHORT_MESSAGE",
    4096,
    "bytes of a message without descriptors",
    "FastRPC needs 40",
    "the rest is lost, and the message refused",
)
SOCKET_PATH: Final = _connections.limit(
    "SOCKET_PATH",
    107,
    "bytes of the path of a device server's socket",
    "`sun_path` without its NUL",
    "UsageError",
)
NODE_NAME: Final = _connections.limit(
    "NODE_NAME",
    64,
    "bytes of a node's name below /dev, with its NUL",
    "the longest of ours is half of it",
    "the path is not a node of ours",
)
LENT_LANES: Final = _connections.limit(
    "LENT_LANES",
    16,
    "lanes on which a program calls without the device server",
    "more threads of it seldom call at once, and each takes two descriptors of the program",
    "the call goes through the server",
)
LENT_OBJECTS: Final = _connections.limit(
    "LENT_OBJECTS",
    2048,
    "buffers of an open node that such calls can name",
    "a table that both share",
    "the call goes through the server",
)
LEASES: Final = _connections.limit(
    "LEASES",
    8,
    "times that a program is lent lanes of one open node",
    "it may close the descriptors each time",
    "its calls go through the server",
)
PARKED: Final = _connections.limit(
    "PARKED",
    0.5,
    "seconds that a server which is to see all calls waits for those it does not see",
    "a call that takes longer may be one that listens, for ever",
    "it goes on without them",
)
BACKLOG: Final = _connections.limit(
    "BACKLOG",
    512,
    "programs that wait for their connection to be accepted",
    "many programs may start at once",
    "connecting waits",
)
NODES_REMEMBERED: Final = _connections.limit(
    "NODES_REMEMBERED",
    64,
    "nodes of which a connection remembers that its process has had them",
    "each request asks",
    "it is found out again",
)
ENCLOSED: Final = _connections.limit(
    "ENCLOSED",
    256,
    "bytes of an ioctl's structure that travel with a request and its answer",
    "the structures of all commands are shorter",
    "the server reads and writes it in the program's memory",
)
SHORT_ACCESS: Final = _connections.limit(
    "SHORT_ACCESS",
    16 * KIB,
    "bytes of client memory that a connection keeps room for",
    "an ioctl's structure can have so many",
    "room is made for the access",
)

_traces = Subject("Traces")

TRACED_ARGUMENTS: Final = _traces.limit(
    "TRACED_ARGUMENTS", 32, "arguments of a call in a trace", "a line is to be read", "..."
)
TRACED_BYTES: Final = _traces.limit(
    "TRACED_BYTES", 32, "bytes of a buffer in a trace", "a line is to be read", "..."
)
TRACED_MESSAGE: Final = _traces.limit(
    "TRACED_MESSAGE",
    64 * KIB,
    "bytes of a call's message that a trace keeps",
    "it is copied while the call waits",
    "arguments that lie behind are shown by their length",
)
TRACED_EVENTS: Final = _traces.limit(
    "TRACED_EVENTS",
    50_000,
    "events of programs that wait to be shown",
    "about 50 MB",
    "who makes a call shows the first of them meanwhile",
)
TRACED_CALLS: Final = _traces.limit(
    "TRACED_CALLS",
    1 << 16,
    "calls of this process that a trace keeps",
    "112 bytes each",
    "the oldest are lost, and the trace says how many",
)
TIMELINE_EVENTS: Final = _traces.limit(
    "TIMELINE_EVENTS",
    1_000_000,
    "events of a timeline or summary",
    "it is written when the program has ended",
    "what comes later is left out, and a warning says so",
)
ADVISED_INLINE: Final = _traces.limit(
    "ADVISED_INLINE",
    64 * KIB,
    "bytes of an argument that is copied, before a summary advises otherwise",
    "the copies take longer than the rest of the call",
    "advice",
)
NAMED_MODULES: Final = _traces.limit(
    "NAMED_MODULES",
    1024,
    "modules whose names a session remembers for its profile",
    "about 100 bytes each",
    "older ones are shown by their handles",
)
TRACE_QUIET: Final = _traces.limit(
    "TRACE_QUIET",
    0.01,
    "seconds without an event before what waits is shown",
    "a call and who shows the one before would take each other's time",
    "events come too fast to be shown at once, and are shown later",
)
TRACE_LATE: Final = _traces.limit(
    "TRACE_LATE",
    0.32,
    "seconds after the last event before what waits is shown, at most",
    "who looks for a pause among many events disturbs the calls that they are of",
    "events come too fast to be shown at once, and are shown later",
)

_LEFT_OUT = "what comes later is left out, and a warning says so"

RECORDED_INLINE: Final = _traces.limit(
    "RECORDED_INLINE",
    64,
    "bytes that stand in a line of a recording",
    "short arguments are to be read there",
    "they are a file of the archive, once",
)
RECORDED_EVENTS: Final = _traces.limit(
    "RECORDED_EVENTS", 1_000_000, "events of a recording", "about 300 MB of lines", _LEFT_OUT
)
RECORDED_BYTES: Final = _traces.limit(
    "RECORDED_BYTES",
    2 * GIB,
    "bytes of different arguments and of memory that has changed, in a recording",
    "it is a file for tests",
    _LEFT_OUT,
)
DIFFERENCES: Final = _traces.limit(
    "DIFFERENCES",
    100,
    "differences that a replay tells of",
    "after so many they are those of another program",
    "a line says how many more there are",
)
REPLAY_PATIENCE: Final = _traces.limit(
    "REPLAY_PATIENCE",
    10.0,
    "seconds in which a replay waits for what had happened before, while nothing happens",
    "a method may take its time",
    "a difference says what did not happen, and the replay goes on",
)

_AN_ERROR = "an error at that place"
_NO_ATTACK = "more is an attack, or a mistake"
_idl = Subject("Texts in the interface language")

IDL_INCLUDES: Final = _idl.limit(
    "IDL_INCLUDES", 64, "includes within includes", "a file may include itself", _AN_ERROR
)
IDL_FILE: Final = _idl.limit(
    "IDL_FILE",
    16 << 20,
    "bytes of a file, and of all that it includes",
    "what is larger is no interface",
    _AN_ERROR,
)
IDL_FILES: Final = _idl.limit(
    "IDL_FILES", 10_000, "includes in a file and all that it includes", _NO_ATTACK, _AN_ERROR
)
IDL_TOKENS: Final = _idl.limit(
    "IDL_TOKENS", 1 << 20, "words and signs of a text", "each takes 300 bytes", _AN_ERROR
)
IDL_BRACKETS: Final = _idl.limit(
    "IDL_BRACKETS", 100, "brackets within brackets", _NO_ATTACK, _AN_ERROR
)
IDL_ERRORS: Final = _idl.limit(
    "IDL_ERRORS", 50, "errors that are shown of a text", "the first ones tell", "it is left there"
)
IDL_DIGITS: Final = _idl.limit(
    "IDL_DIGITS", 1000, "digits of a number", "reading it takes time by their square", _AN_ERROR
)
IDL_BITS: Final = _idl.limit(
    "IDL_BITS",
    4096,
    "bits of what a constant is calculated from, and of a shift",
    "no text can ask for gigabytes",
    _AN_ERROR,
)
IDL_OPERATORS: Final = _idl.limit(
    "IDL_OPERATORS", 400, "operators within operators", _NO_ATTACK, _AN_ERROR
)
IDL_BYTES: Final = _idl.limit(
    "IDL_BYTES", (1 << 31) - 1, "bytes of a type", "lengths on the wire have 32 bits", _AN_ERROR
)
IDL_MEMBERS: Final = _idl.limit(
    "IDL_MEMBERS", 10_000, "members of a type, with those of its members", _NO_ATTACK, _AN_ERROR
)
IDL_TYPES: Final = _idl.limit("IDL_TYPES", 64, "types within types", _NO_ATTACK, _AN_ERROR)

SUBJECTS: Final = (
    _calls,
    _processes,
    _host,
    _queues,
    _pools,
    _waiting,
    _connections,
    _traces,
    _idl,
)
