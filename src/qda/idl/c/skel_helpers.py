"""What skeletons share: helpers in C, each printed once for a file that needs it."""

from __future__ import annotations

from typing import Final

from qda.idl.c.blocks import memory_of_calls
from qda.idl.c.helpers import Helper
from qda.idl.c.text import code

__all__ = ["HELPERS", "version_check"]

HELPERS: Final = (
    Helper(
        ("adsp_mmap_fd_getinfo",),  # of the DSP's runtime
        "extern int adsp_mmap_fd_getinfo(int fd, uint32_t* length);",
    ),
    Helper(
        ("_skel_read",),
        """
        /* Copy a record out of its buffer, unless that is shorter. */
        static int _skel_read(const remote_arg* arg, void* record, size_t size) {
            if (!arg->buf.pv || arg->buf.nLen < size) { return 0; }
            memcpy(record, arg->buf.pv, size);
            return 1;
        }
        """,
    ),
    Helper(
        ("_skel_holds",),
        """
        /* Whether a buffer has room for `count` elements. */
        static int _skel_holds(const remote_arg* arg, uint32_t count, size_t size) {
            return count <= 0x7fffffff && arg->buf.nLen / size >= count && (arg->buf.pv || !count);
        }
        """,
    ),
    Helper(
        ("_skel_is_text",),
        """
        /* Whether a buffer has a text of `count` units, the last of which is the end mark. */
        static int _skel_is_text(const remote_arg* arg, uint32_t count, size_t unit) {
            static const char mark[2] = {0, 0};
            if (!count || !_skel_holds(arg, count, unit)) { return 0; }
            return !memcmp((const char*)arg->buf.pv + (count - 1) * unit, mark, unit);
        }
        """,
        needs=("_skel_holds",),
    ),
    Helper(
        ("_skel_passes",),
        """
        /* Let an out-buffer with room for `room` elements begin with the `count` that came in. */
        static int _skel_passes(
            const remote_arg* in, uint32_t count, const remote_arg* out, uint32_t room,
            size_t size) {
            if (room < count || !_skel_holds(out, room, size)) { return 0; }
            if (count) { memmove(out->buf.pv, in->buf.pv, count * size); }
            return 1;
        }
        """,
        needs=("_skel_holds",),
    ),
    Helper(
        ("_skel_call", "_skel_begin", "_skel_take"),
        """
        /* A call whose number of buffers depends on its data.  They are taken one after the other;
           after an error nothing is taken any more. */
        struct _skel_call {
            int error;
            const remote_arg *in, *in_end, *out, *out_end;
            const remote_arg *in_handle, *in_handle_end, *out_handle, *out_handle_end;
            union _skel_block* blocks;
            struct _skel_later* later;
        };

        static void _skel_begin(struct _skel_call* call, uint32_t scalars, const remote_arg* args) {
            memset(call, 0, sizeof *call);
            call->in = args;
            call->out = call->in_end = args + REMOTE_SCALARS_INBUFS(scalars);
            call->in_handle = call->out_end = call->out + REMOTE_SCALARS_OUTBUFS(scalars);
            args = call->in_handle + REMOTE_SCALARS_INHANDLES(scalars);
            call->out_handle = call->in_handle_end = args;
            call->out_handle_end = args + REMOTE_SCALARS_OUTHANDLES(scalars);
        }

        /* The data of the next buffer, which has to have `count` elements. */
        static void* _skel_take(
            struct _skel_call* call, const remote_arg** next, const remote_arg* end, uint32_t count,
            size_t size) {
            if (!call->error && (*next == end || !_skel_holds(*next, count, size))) {
                call->error = AEE_EBADPARM;
            }
            return call->error ? NULL : (*next)++->buf.pv;
        }
        """,
        needs=("_skel_holds",),
    ),
    Helper(
        ("_skel_in",),
        """
        static void* _skel_in(struct _skel_call* call, uint32_t count, size_t size) {
            return _skel_take(call, &call->in, call->in_end, count, size);
        }
        """,
        needs=("_skel_call",),
    ),
    Helper(
        ("_skel_out",),
        """
        static void* _skel_out(struct _skel_call* call, uint32_t count, size_t size) {
            return _skel_take(call, &call->out, call->out_end, count, size);
        }
        """,
        needs=("_skel_call",),
    ),
    Helper(
        ("_skel_record",),
        """
        /* Copy primIn. */
        static void _skel_record(struct _skel_call* call, void* record, size_t size) {
            const void* data = _skel_in(call, 1, size);
            if (data) { memcpy(record, data, size); }
        }
        """,
        needs=("_skel_call", "_skel_in"),
    ),
    Helper(
        ("_skel_text",),
        """
        static void* _skel_text(struct _skel_call* call, uint32_t count, size_t unit) {
            const remote_arg* arg = call->in;
            void* data = _skel_in(call, count, unit);
            if (!call->error && !_skel_is_text(arg, count, unit)) { call->error = AEE_EBADPARM; }
            return data;
        }
        """,
        needs=("_skel_is_text", "_skel_call", "_skel_in"),
    ),
    Helper(
        ("_skel_inout",),
        """
        /* The next out-buffer, which begins with what the last in-buffer has. */
        static void* _skel_inout(
            struct _skel_call* call, uint32_t count, uint32_t room, size_t size) {
            const remote_arg* arg = call->out;
            void* data = _skel_out(call, room, size);
            if (!call->error && !_skel_passes(call->in - 1, count, arg, room, size)) {
                call->error = AEE_EBADPARM;
            }
            return data;
        }
        """,
        needs=("_skel_passes", "_skel_call", "_skel_out"),
    ),
    Helper(
        ("_skel_dma",),
        """
        /* The next handle; the runtime knows how long its buffer is. */
        static void _skel_dma(
            struct _skel_call* call, int out, int* fd, uint32_t* offset, uint32_t* length) {
            const remote_arg** next = out ? &call->out_handle : &call->in_handle;
            if (*next == (out ? call->out_handle_end : call->in_handle_end) && !call->error) {
                call->error = AEE_EBADPARM;
            }
            if (call->error) { return; }
            *fd = (*next)->dma.fd;
            *offset = (*next)++->dma.offset;
            if (adsp_mmap_fd_getinfo(*fd, length)) { call->error = AEE_EBADPARM; }
        }
        """,
        needs=("adsp_mmap_fd_getinfo", "_skel_call"),
    ),
    *memory_of_calls("skel"),
    Helper(
        ("_skel_expect", "_skel_finish"),
        """
        /* Elements whose records go out after the call. */
        struct _skel_later {
            struct _skel_later* next;
            void (*write)(const void* item, void* record);
            const char* items;
            char* records;
            size_t count, item_size, record_size;
        };

        static void _skel_expect(
            struct _skel_call* call, void (*write)(const void* item, void* record),
            const void* items, size_t item_size, void* records, size_t record_size, size_t count) {
            struct _skel_later* later =
                (struct _skel_later*)_skel_allocate(call, 1, sizeof *later);
            if (!later) { return; }
            later->write = write;
            later->items = (const char*)items;
            later->item_size = item_size;
            later->records = (char*)records;
            later->record_size = record_size;
            later->count = count;
            later->next = call->later;
            call->later = later;
        }

        static void _skel_finish(struct _skel_call* call) {
            const struct _skel_later* one;
            size_t n;
            for (one = call->later; one; one = one->next) {
                for (n = 0; n < one->count; n++) {
                    one->write(
                        one->items + n * one->item_size, one->records + n * one->record_size);
                }
            }
        }
        """,
        needs=("_skel_call", "_skel_allocate"),
    ),
    Helper(
        ("_skel_end",),
        """
        static void _skel_end(struct _skel_call* call) {
            while (call->blocks) {
                union _skel_block* next = call->blocks->next;
                free(call->blocks);
                call->blocks = next;
            }
        }
        """,
        needs=("_skel_call", "_skel_block"),
    ),
)
"""Each needs only earlier ones."""


def version_check(parts: tuple[int, int, int]) -> list[str]:
    """The function that compares the version in a URI with the skeleton's (idl.md 7)."""
    return code(
        f"""
        /* Whether a caller's version is not newer than this skeleton's. */
        static int _skel_accepts(const char* uri) {{
            static const unsigned offered[3] = {{{parts[0]}, {parts[1]}, {parts[2]}}};
            unsigned asked[3] = {{0, 0, 0}};
            int part = -1, dots = 0;
            const char* at = strstr(uri, "_idlver=");
            if (!at) {{ return 0; }}
            for (at += 8; *at && (*at != '&' || dots == 3); at++) {{
                if (dots == 3 || (*at != '.' && (*at < '0' || *at > '9'))) {{ return 0; }}
                if (*at == '.') {{
                    dots++;
                }} else {{
                    /* A number begins behind a dot, or at the beginning. */
                    if (at[-1] == '.' || at[-1] == '=') {{ part++; }}
                    asked[part] = 10 * asked[part] + (unsigned)(*at - '0');
                    if (asked[part] > 999) {{ return 0; }}
                }}
            }}
            for (part = 0; part < 2 && asked[part] == offered[part]; part++) {{ }}
            return asked[part] <= offered[part];
        }}
        """
    )
