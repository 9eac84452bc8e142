"""What stubs share: helpers in C, each printed once for a file that needs it."""

from __future__ import annotations

from typing import Final

from qda.idl.c.blocks import memory_of_calls
from qda.idl.c.helpers import Helper
from qda.idl.c.text import code

__all__ = ["HELPERS", "named_handle"]


def named_handle(name: str) -> list[str]:
    """The handle of an interface whose callers hold none (idl.md 5.4).

    It is opened when it is first needed.  Threads that do so at once agree on the first's handle.
    """
    return code(
        f"""
        #ifndef _const_{name}_handle
        #define _const_{name}_handle ((remote_handle)-1)
        #endif

        /* The number that the build gave to the module, or else its handle, opened once. */
        __QAIC_STUB_EXPORT remote_handle _{name}_handle(void) {{
            static remote_handle known = _const_{name}_handle;
            remote_handle opened, found = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
            if (found != (remote_handle)-1) {{ return found; }}
            if (__QAIC_REMOTE(remote_handle_open)("{name}", &opened)) {{ return found; }}
            if (__atomic_compare_exchange_n(
                    &known, &found, opened, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {{
                return opened;
            }}
            /* Another thread was faster. */
            (void)__QAIC_REMOTE(remote_handle_close)(opened);
            return found;
        }}
        """
    )


_BLOCK, _ALLOCATE = memory_of_calls("stub")

HELPERS: Final = (
    Helper(
        ("_stub_buffer",),
        """
        static remote_buf _stub_buffer(const void* data, size_t size) {
            remote_buf buffer;
            buffer.pv = (void*)data;
            buffer.nLen = size;
            return buffer;
        }
        """,
    ),
    Helper(
        ("_stub_wide_length",),
        """
        static size_t _stub_wide_length(const _wchar_t* text) {
            size_t length = 0;
            while (text[length]) { length++; }
            return length;
        }
        """,
    ),
    _BLOCK,
    Helper(
        ("_stub_call", "_stub_begin"),
        """
        /* A call whose number of buffers depends on its data.  They are collected in `args`, with
           gaps, in the order of travel: primIn, in-buffers, primROut, out-buffers, handles. */
        enum { _STUB_BUFFERS = 254, _STUB_HANDLES = 15 };

        /* Records that come back in a buffer, and the elements that they are about. */
        struct _stub_later {
            struct _stub_later* next;
            void (*collect)(const void* record, void* item);
            const char* records;
            char* items;
            size_t count, record_size, item_size;
        };

        struct _stub_call {
            int error, has_in, has_out;
            uint32_t ins, outs, in_handles, out_handles, dmas;
            remote_arg *first, *out;
            union _stub_block* blocks;
            struct _stub_later* later;
            remote_arg args[2 * (1 + _STUB_BUFFERS + _STUB_HANDLES)];
            unsigned char unit[_STUB_BUFFERS];
            int fd[2 * _STUB_HANDLES];
            uint32_t length[2 * _STUB_HANDLES];
        };

        static struct _stub_call* _stub_begin(
            void* in, size_t in_size, void* out, size_t out_size) {
            struct _stub_call* call = (struct _stub_call*)calloc(1, sizeof *call);
            if (!call) { return NULL; }
            call->has_in = in != NULL;
            call->has_out = out != NULL;
            call->args[0].buf = _stub_buffer(in, in_size);
            call->args[1 + _STUB_BUFFERS].buf = _stub_buffer(out, out_size);
            return call;
        }
        """,
        needs=("_stub_buffer", "_stub_block"),
    ),
    _ALLOCATE,
    Helper(
        ("_stub_in",),
        """
        static void _stub_in(struct _stub_call* call, const void* data, size_t size) {
            if (call->ins == _STUB_BUFFERS && !call->error) { call->error = AEE_EUNSUPPORTED; }
            if (!call->error) { call->args[1 + call->ins++].buf = _stub_buffer(data, size); }
        }
        """,
        needs=("_stub_buffer", "_stub_call"),
    ),
    Helper(
        ("_stub_out",),
        """
        /* `unit`: size of a text's units, of which the last will be the end mark.  0: no text. */
        static void _stub_out(
            struct _stub_call* call, void* data, size_t size, unsigned char unit) {
            if (call->outs == _STUB_BUFFERS && !call->error) { call->error = AEE_EUNSUPPORTED; }
            if (call->error) { return; }
            call->unit[call->outs] = unit;
            call->args[2 + _STUB_BUFFERS + call->outs++].buf = _stub_buffer(data, size);
        }
        """,
        needs=("_stub_buffer", "_stub_call"),
    ),
    Helper(
        ("_stub_expect",),
        """
        /* Offer a buffer for the records of elements, to be read after the call. */
        static void _stub_expect(
            struct _stub_call* call, void (*collect)(const void* record, void* item),
            size_t record_size, void* items, size_t item_size, size_t count) {
            struct _stub_later* later =
                (struct _stub_later*)_stub_allocate(call, 1, sizeof *later);
            char* records = (char*)_stub_allocate(call, count, record_size);
            _stub_out(call, records, count * record_size, 0);
            if (call->error) { return; }
            later->collect = collect;
            later->records = records;
            later->record_size = record_size;
            later->items = (char*)items;
            later->item_size = item_size;
            later->count = count;
            later->next = call->later;
            call->later = later;
        }
        """,
        needs=("_stub_call", "_stub_allocate", "_stub_out"),
    ),
    Helper(
        ("_stub_dma",),
        """
        static void _stub_dma(
            struct _stub_call* call, int out, int fd, uint32_t offset, uint32_t length) {
            uint32_t* number = out ? &call->out_handles : &call->in_handles;
            remote_arg* arg = call->args + 2 * (1 + _STUB_BUFFERS) + *number;
            if (*number == _STUB_HANDLES && !call->error) { call->error = AEE_EBADPARM; }
            if (call->error) { return; }
            arg += out ? _STUB_HANDLES : 0;
            arg->dma.fd = fd;
            arg->dma.offset = offset;
            ++*number;
            call->fd[call->dmas] = fd;
            call->length[call->dmas++] = length;
        }
        """,
        needs=("_stub_call",),
    ),
    Helper(
        ("_stub_ready", "_stub_scalars", "_stub_finish", "_stub_end"),
        """
        /* Close the gaps, and tell the client library how long the handles' buffers are. */
        static int _stub_ready(struct _stub_call* call) {
            const remote_arg* handles = call->args + 2 * (1 + _STUB_BUFFERS);
            remote_arg* end = call->args + 1 + call->ins;
            uint32_t n;
            call->first = call->args + !call->has_in;
            if (call->has_out) { *end++ = call->args[1 + _STUB_BUFFERS]; }
            call->out = end;
            memmove(end, call->args + 2 + _STUB_BUFFERS, call->outs * sizeof *end);
            end += call->outs;
            memmove(end, handles, call->in_handles * sizeof *end);
            end += call->in_handles;
            memmove(end, handles + _STUB_HANDLES, call->out_handles * sizeof *end);
            for (n = 0; n < call->dmas && !call->error; n++) {
                if (__QAIC_REMOTE(remote_register_dma_handle)(call->fd[n], call->length[n])) {
                    call->error = AEE_EBADPARM;
                }
            }
            return !call->error;
        }

        static uint32_t _stub_scalars(const struct _stub_call* call, uint32_t method) {
            const uint32_t ins = call->ins + (uint32_t)call->has_in;
            const uint32_t outs = call->outs + (uint32_t)call->has_out;
            return REMOTE_SCALARS_MAKEX(
                0, method, ins, outs, call->in_handles, call->out_handles);
        }

        /* After success: end the texts, and read the records of elements. */
        static void _stub_finish(const struct _stub_call* call) {
            const struct _stub_later* one;
            size_t n;
            for (n = 0; n < call->outs; n++) {
                const remote_buf text = call->out[n].buf;
                const size_t unit = call->unit[n];
                if (unit && text.nLen) { memset((char*)text.pv + text.nLen - unit, 0, unit); }
            }
            for (one = call->later; one; one = one->next) {
                for (n = 0; n < one->count; n++) {
                    one->collect(
                        one->records + n * one->record_size, one->items + n * one->item_size);
                }
            }
        }

        static void _stub_end(struct _stub_call* call) {
            while (call->blocks) {
                union _stub_block* next = call->blocks->next;
                free(call->blocks);
                call->blocks = next;
            }
            free(call);
        }
        """,
        needs=("_stub_block", "_stub_call"),
    ),
)
"""Each needs only earlier ones."""
