"""Memory until the end of a call, in C: what stubs and skeletons have in the same words."""

from __future__ import annotations

from qda.idl.c.helpers import Helper

__all__ = ["memory_of_calls"]


def memory_of_calls(side: str) -> tuple[Helper, Helper]:
    """The type of a block, and the function that allocates one, for "stub" or "skel"."""
    block = Helper(
        (f"_{side}_block",),
        f"""
        union _{side}_block {{
            union _{side}_block* next;
            uint64_t number;
            double real;
        }};
        """,
    )
    allocate = Helper(
        (f"_{side}_allocate",),
        f"""
        /* Memory until the end of the call, filled with zeros.  NULL for nothing. */
        static void* _{side}_allocate(struct _{side}_call* call, size_t count, size_t size) {{
            union _{side}_block* block = NULL;
            if (call->error || !count) {{ return NULL; }}
            if (count <= (SIZE_MAX - sizeof *block) / size) {{
                block = (union _{side}_block*)calloc(1, sizeof *block + count * size);
            }}
            if (!block) {{
                call->error = -1;
                return NULL;
            }}
            block->next = call->blocks;
            call->blocks = block;
            return block + 1;
        }}
        """,
        needs=(f"_{side}_call", f"_{side}_block"),
    )
    return block, allocate
