"""Names that C has already where the files that are made of an interface include its headers.

These are `AEEStdDef.h`, `AEEStdErr.h`, `remote.h`, and of C `stdio.h`, `stdlib.h` and `string.h`,
with what they include themselves.  Of the libraries of C there are several; what is here is in the
standard, or in the one that most Linux systems have.
"""

from __future__ import annotations

import re
from typing import Final

from qda.errors.statuses import STATUSES
from qda.idl.primitives import Primitive
from qda.idl.types import Type

__all__ = [
    "is_declared",
    "is_header",
    "is_macro",
    "is_made",
    "is_same_number",
    "is_same_status",
    "is_used",
]


def is_macro(name: str) -> bool:
    """Whether C takes a name for something else wherever it stands."""
    return name in _MACROS or name in _STATUSES or bool(_MACRO_FAMILIES.fullmatch(name))


def is_same_status(name: str, value: object) -> bool:
    """Whether a constant says of a status what the header says, too."""
    return name in _STATUSES and _STATUSES[name] == value


def is_declared(name: str) -> bool:
    """Whether a header has a function, type or enumerator of a name."""
    base = re.sub("(_r|_l|_unlocked|64)$", "", name)
    return name in _DECLARED or base in _DECLARED or bool(_DECLARED_FAMILIES.fullmatch(name))


def is_same_number(name: str, kind: Type) -> bool:
    """Whether a name in a header is just another one of this type: C takes that twice."""
    inner = kind.resolved
    return isinstance(inner, Primitive) and (inner.size, inner.signed) == _NUMBERS.get(name)


def is_header(library: str) -> bool:
    """Whether the header of a file of that name would be read in the place of one of C's."""
    return library in _HEADERS


def is_used(name: str, in_methods: bool = False) -> bool:
    """Whether the code that is made has a word: anywhere, or where a method's parameters are."""
    return name in (_USED_IN_METHODS if in_methods else _USED) or is_made(name)


def is_made(name: str) -> bool:
    """Whether the code that is made calls something of its own so, or may."""
    return bool(_MADE.fullmatch(name))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MADE: Final = re.compile(
    r"_(args|call|error|h|in|method|out|reply|sc)|_(const_)?\w+_handle|_(stub|STUB|skel|SKEL)_\w+"
    r"|_(c|w)string1_[st]|_dmahandle1_[st]|_wchar_t"
)

_STATUSES: Final = {
    symbol: one.number for one in STATUSES for symbol in (one.symbol, one.also) if symbol
}

_MACROS: Final = _words(
    """
    AEESTDDEF_H AEESTDERR_H AEE_EOFFSET DSP_AEE_EOFFSET FASTRPC_WAKELOCK_CONTROL_SUPPORTED
    ITRANSPORT_PREFIX MAX_DOMAIN_URI_SIZE REMOTE_H REMOTE_MODE_PARALLEL REMOTE_MODE_SERIAL

    BUFSIZ EOF FILENAME_MAX FOPEN_MAX L_ctermid L_cuserid L_tmpnam NULL P_tmpdir RENAME_EXCHANGE
    RENAME_NOREPLACE RENAME_WHITEOUT SEEK_CUR SEEK_DATA SEEK_END SEEK_HOLE SEEK_SET TMP_MAX
    stderr stdin stdout

    BIG_ENDIAN BYTE_ORDER EXIT_FAILURE EXIT_SUCCESS FD_SETSIZE LITTLE_ENDIAN MB_CUR_MAX NFDBITS
    PDP_ENDIAN RAND_MAX WCONTINUED WEXITED WNOHANG WNOWAIT WSTOPPED WUNTRACED

    errno linux unix

    _Alignas _Alignof _Atomic _Bool _Complex _Decimal128 _Decimal32 _Decimal64 _Generic _Imaginary
    _Noreturn _Pragma _Static_assert _Thread_local __asm__ __attribute__ __extension__ __func__
    __inline __inline__ __int128 __restrict __restrict__ __thread __typeof__ __volatile__
    """
)
"""Of our headers, of stdio.h, of stdlib.h; what a source's other headers have in any program, and
compilers without any, which have the last families, too; keywords for which there is no other name.
"""

_MACRO_FAMILIES: Final = re.compile(
    r"""
    U?INT(_FAST|_LEAST)?(8|16|32|64)_(MIN|MAX|WIDTH)
    | (U?INT(MAX|PTR)|SIZE|PTRDIFF|SIG_ATOMIC|WCHAR|WINT)_(MIN|MAX|WIDTH)
    | (ADSP|MDSP|SDSP|CDSP|CDSP1|GDSP0|GDSP1)_DOMAIN(_ID|_NAME)?
    | FASTRPC_ATTR_\w+ | _ATTRIBUTE_VISIBILITY | _[A-Z0-9]\w*_(DEFINED|H)
    | _LP64 | __[A-Z]\w*
    | __(aarch64|amd64|arm|code_model_\w+|clang\w*|gnu_linux|hexagon|i[3-6]86|k8|linux|llvm|pi[ce]
        |qdsp6|tune_\w+|unix|x86_64)(__)?
    """,
    re.VERBOSE,
)

_DECLARED_FAMILIES: Final = re.compile(
    r"u_?int(_fast|_least)?(8|16|32|64)_t|int(_fast|_least)?(8|16|32|64)_t|pthread_\w+_t"
    r"|cookie_\w+_t|strfrom[dfl]\w*|strto[dfl]\w*|std"
)

_DECLARED: Final = _words(
    """
    AECHAR AEECLSID AEEIID AEEPRIVID AEEResult AEEUID ARCH_VER ASYNC_FASTRPC_SUPPORT
    DOMAIN_SUPPORT DSPRPC_ASYNC_WAKE DSPRPC_CONTROL_LATENCY DSPRPC_CONTROL_UNSIGNED_MODULE
    DSPRPC_CONTROL_WAKELOCK DSPRPC_GET_DOMAIN DSPRPC_GET_DSP_INFO DSPRPC_GET_PATH
    DSPRPC_KALLOC_SUPPORT DSPRPC_NOTIF_WAKE DSPRPC_PM DSPRPC_REMOTE_PROCESS_KILL
    DSPRPC_RESERVED DSPRPC_RPC_POLL DSPRPC_SET_MODE DSPRPC_SET_PATH DSPRPC_SMMU_SUPPORT
    FASTRPC_ASYNC_CALLBACK FASTRPC_ASYNC_NO_SYNC FASTRPC_ASYNC_POLL FASTRPC_CONTEXT_CREATE
    FASTRPC_CONTEXT_DESTROY FASTRPC_CONTROL_PD_DUMP FASTRPC_DSP_SSR
    FASTRPC_GET_EFFECTIVE_DOMAIN_ID FASTRPC_GET_URI FASTRPC_MAP_FD FASTRPC_MAP_FD_DELAYED
    FASTRPC_MAP_FD_NOMAP FASTRPC_MAP_RESERVED FASTRPC_MAP_STATIC FASTRPC_MAX_THREAD_PARAM
    FASTRPC_PD_INITMEM_SIZE FASTRPC_REGISTER_STATUS_NOTIFICATIONS
    FASTRPC_RELATIVE_THREAD_PRIORITY FASTRPC_REMOTE_PROCESS_EXCEPTION
    FASTRPC_REMOTE_PROCESS_KILL FASTRPC_REMOTE_PROCESS_TYPE FASTRPC_RESERVED_1
    FASTRPC_RESERVED_2 FASTRPC_RESERVED_3 FASTRPC_RESERVE_NEW_SESSION FASTRPC_SESSION_CLOSE
    FASTRPC_THREAD_PARAMS FASTRPC_USER_PD_EXCEPTION FASTRPC_USER_PD_EXIT
    FASTRPC_USER_PD_FORCE_KILL FASTRPC_USER_PD_UP HMX_SUPPORT_DEPTH HMX_SUPPORT_SPATIAL
    HVX_SUPPORT_128B HVX_SUPPORT_64B MCID_MULTICAST PROCESS_TYPE_SIGNED
    PROCESS_TYPE_UNSIGNED REMOTE_MAP_MEM_STATIC RPC_ADAPTIVE_QOS RPC_DISABLE_QOS RPC_PM_QOS
    RPC_POLL_QOS STATUS_NOTIFICATION_SUPPORT UNSIGNED_PD_SUPPORT VTCM_COUNT VTCM_PAGE
    boolean byte domain domain_t fastrpc_async_callback fastrpc_async_callback_t
    fastrpc_async_descriptor fastrpc_async_descriptor_t fastrpc_async_get_status
    fastrpc_async_jobid fastrpc_async_notify_type fastrpc_capability fastrpc_context_create
    fastrpc_context_destroy fastrpc_map_flags fastrpc_mmap fastrpc_munmap fastrpc_notif_fn_t
    fastrpc_process_type fastrpc_release_async_job handle_control_req_id int16 int32 int64
    int8 remote_arg remote_arg64 remote_buf remote_buf64 remote_control_custom_path
    remote_dma_handle remote_dma_handle64 remote_dsp_attributes remote_dsp_capability
    remote_handle remote_handle64 remote_handle64_close remote_handle64_control
    remote_handle64_invoke remote_handle64_invoke_async remote_handle64_open
    remote_handle_close remote_handle_control remote_handle_invoke
    remote_handle_invoke_async remote_handle_open remote_mem_map remote_mem_map_flags
    remote_mem_unmap remote_mmap remote_mmap64 remote_munmap remote_munmap64
    remote_process_type remote_register_buf remote_register_buf_attr
    remote_register_buf_attr2 remote_register_dma_handle remote_register_dma_handle_attr
    remote_register_fd remote_register_fd2 remote_rpc_control_latency
    remote_rpc_control_pd_dump remote_rpc_control_unsigned_module
    remote_rpc_control_wakelock remote_rpc_effective_domain_id
    remote_rpc_effective_domain_id_t remote_rpc_get_domain remote_rpc_get_domain_t
    remote_rpc_get_uri remote_rpc_get_uri_t remote_rpc_latency_flags
    remote_rpc_notif_register remote_rpc_notif_register_t remote_rpc_pd_initmem_size
    remote_rpc_process_clean_params remote_rpc_process_exception
    remote_rpc_relative_thread_priority remote_rpc_reserve_new_session
    remote_rpc_reserve_new_session_t remote_rpc_session_close remote_rpc_status_flags
    remote_rpc_status_flags_t remote_rpc_thread_params remote_session_control
    session_control_req_id uint16 uint32 uint64 uint8

    FILE a64l abort abs aligned_alloc alloca arc4random arc4random_buf arc4random_uniform
    asprintf at_quick_exit atexit atof atoi atol atoll basename bcmp bcopy blkcnt64_t
    blkcnt_t blksize_t bsearch bzero caddr_t calloc canonicalize_file_name clearenv clearerr
    clock_t clockid_t comparison_fn_t ctermid cuserid daddr_t dev_t div div_t dprintf
    drand48 drand48_data ecvt erand48 exit explicit_bzero fclose fcloseall fcvt fd_mask
    fd_set fdopen feof ferror fflush ffs ffsl ffsll fgetc fgetpos fgets fileno flockfile
    fmemopen fopen fopencookie fpos64_t fpos_t fprintf fputc fputs fread free freopen
    fsblkcnt64_t fsblkcnt_t fscanf fseek fseeko fsetpos fsfilcnt64_t fsfilcnt_t fsid_t ftell
    ftello ftrylockfile funlockfile fwrite gcvt getc getchar getdelim getenv getline
    getloadavg getpt getsubopt getw gid_t grantpt id_t index initstate ino64_t ino_t
    intmax_t intptr_t jrand48 key_t l64a labs lcong48 ldiv ldiv_t llabs lldiv lldiv_t
    locale_t loff_t lrand48 malloc mblen mbstowcs mbtowc memccpy memchr memcmp memcpy
    memfrob memmem memmove mempcpy memrchr memset mkdtemp mkostemp mkostemps mkstemp
    mkstemps mktemp mode_t mrand48 nlink_t nrand48 obstack_printf obstack_vprintf off64_t
    off_t on_exit open_memstream pclose perror pid_t popen posix_memalign posix_openpt
    printf pselect pthread_t ptsname putc putchar putenv puts putw qecvt qfcvt qgcvt qsort
    quad_t quick_exit rand random random_data rawmemchr realloc reallocarray realpath
    register_t remove rename renameat renameat2 rewind rindex rpmatch scanf secure_getenv
    seed48 select setbuf setbuffer setenv setlinebuf setstate setvbuf sigabbrev_np
    sigdescr_np sigset_t size_t snprintf sprintf srand srand48 srandom sscanf ssize_t stpcpy
    stpncpy strcasecmp strcasestr strcat strchr strchrnul strcmp strcoll strcpy strcspn
    strdup strerror strerrordesc_np strerrorname_np strfry strlen strncasecmp strncat
    strncmp strncpy strndup strnlen strpbrk strrchr strsep strsignal strspn strstr strtok
    strtoq strtoul strtoull strtouq strverscmp strxfrm suseconds_t system tempnam time_t
    timer_t timespec timeval tmpfile tmpnam u_char u_int u_long u_quad_t u_short uid_t uint
    uintmax_t uintptr_t ulong ungetc unlockpt unsetenv useconds_t ushort va_list valloc
    vasprintf vdprintf vfprintf vfscanf vprintf vscanf vsnprintf vsprintf vsscanf wcstombs
    wctomb
    """
)
"""Of our headers, then of C's."""

_HEADERS: Final = _words(
    "alloca assert ctype endian errno features limits memory stdarg stdbool stddef stdint stdio"
    " stdlib string strings"
)

_NUMBERS: Final = {
    "AECHAR": (2, False),
    "AEECLSID": (4, False),
    "AEEIID": (4, False),
    "AEEPRIVID": (4, False),
    "AEEResult": (4, True),
    "AEEUID": (4, False),
    "byte": (1, False),
}

_USED_IN_METHODS: Final = _words(
    """
    fastrpc_async_descriptor_t memset remote_arg remote_handle remote_handle64
    remote_handle64_invoke remote_handle64_invoke_async remote_handle_invoke size_t
    """
)

_USED: Final = _USED_IN_METHODS | _words(
    """
    REMOTE_SCALARS_INBUFS REMOTE_SCALARS_INHANDLES REMOTE_SCALARS_MAKEX REMOTE_SCALARS_METHOD
    REMOTE_SCALARS_OUTBUFS REMOTE_SCALARS_OUTHANDLES

    adsp_mmap_fd_getinfo arg args asyncDesc block blocks buf buffer call calloc collect count data
    dataLen dma dmas end error fd ff first found free from h h64 h_ handles has_in has_out in_end
    in_handle in_handle_end in_handles in_size ins item item_size items known later len length mark
    memcmp memcpy memmove method n nLen next number offset one opened out out_end out_handle
    out_handle_end out_handles out_size outs pv real record record_size records remote_buf
    remote_handle64_close remote_handle64_open remote_handle_close remote_handle_open
    remote_register_dma_handle room scalars size strlen text to unit uri uriLen value visibility
    """
)
"""A constant, which is a macro, would replace these."""
