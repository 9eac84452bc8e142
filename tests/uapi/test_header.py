"""The printed C header, judged by C and C++ compilers, and the reference page beside it."""

from __future__ import annotations

import errno
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from qda import uapi
from qda.layout import Record
from qda.uapi import drm
from qda.uapi.header import FILE_NAME, header, number_of
from qda.uapi.interface import Command, Companion, Constant, Interface
from qda.uapi.reference import reference
from tests.uapi.facts import dialects, facts

LANGUAGES = {
    "C99": (("cc", "gcc", "clang"), "c", "c99"),
    "C++11": (("c++", "g++", "clang++"), "c++", "c++11"),
    "C++17": (("c++", "g++", "clang++"), "c++", "c++17"),
}
WARNINGS = ["-Wall", "-Wextra", "-Wcomment", "-pedantic", "-Werror"]

# What a drm.h of the kernel or of libdrm declares of the things that our header has too.
OTHER_DRM_H = """\
#ifndef _DRM_H_
#define _DRM_H_
#include <linux/types.h>
#include <asm/ioctl.h>
struct drm_version {
    int version_major; int version_minor; int version_patchlevel;
    __kernel_size_t name_len; char *name;
    __kernel_size_t date_len; char *date;
    __kernel_size_t desc_len; char *desc;
};
struct drm_gem_close { __u32 handle; __u32 pad; };
#define DRM_CLOEXEC O_CLOEXEC
#define DRM_RDWR O_RDWR
struct drm_prime_handle { __u32 handle; __u32 flags; __s32 fd; };
#define DRM_IOCTL_BASE 'd'
#define DRM_IOW(nr,type) _IOW(DRM_IOCTL_BASE,nr,type)
#define DRM_IOWR(nr,type) _IOWR(DRM_IOCTL_BASE,nr,type)
#define DRM_IOCTL_VERSION DRM_IOWR(0x00, struct drm_version)
#define DRM_IOCTL_GEM_CLOSE DRM_IOW (0x09, struct drm_gem_close)
#define DRM_IOCTL_PRIME_HANDLE_TO_FD DRM_IOWR(0x2d, struct drm_prime_handle)
#define DRM_IOCTL_PRIME_FD_TO_HANDLE DRM_IOWR(0x2e, struct drm_prime_handle)
#define DRM_COMMAND_BASE 0x40
#endif
"""

OTHER_DMA_HEAP_H = """\
#ifndef _LINUX_DMABUF_POOL_H
#define _LINUX_DMABUF_POOL_H
#include <linux/ioctl.h>
#include <linux/types.h>
struct dma_heap_allocation_data { __u64 len; __u32 fd; __u32 fd_flags; __u64 heap_flags; };
#define DMA_HEAP_IOC_MAGIC 'H'
#define DMA_HEAP_IOCTL_ALLOC _IOWR(DMA_HEAP_IOC_MAGIC, 0x0, struct dma_heap_allocation_data)
#endif
"""

Printer = Callable[[Interface], str]

languages = pytest.mark.parametrize("language", sorted(LANGUAGES))


@dataclass
class Compiler:
    """Compiles texts in a directory of their own, with all warnings as errors."""

    program: str
    options: Sequence[str]
    folder: Path

    def run(self, source: str, *extra: str) -> subprocess.CompletedProcess[str]:
        path = self.folder / "program.c"
        path.write_text(source, "ascii")
        command = [self.program, *self.options, *WARNINGS, f"-I{self.folder}", *extra, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def accept(self, source: str) -> None:
        """Compile; fail with the compiler's messages."""
        done = self.run(source, "-fsyntax-only")
        assert done.returncode == 0, done.stderr

    def output(self, source: str) -> str:
        """Compile and run; give back what the program prints."""
        binary = self.folder / "program"
        done = self.run(source, "-o", str(binary))
        assert done.returncode == 0, done.stderr
        return subprocess.run(
            [str(binary)], capture_output=True, text=True, timeout=60, check=True
        ).stdout


@pytest.fixture
def compiler(language: str, dialect: str, tmp_path: Path) -> Compiler:
    """A compiler of the language, with the dialect's header in its search path."""
    programs, kind, standard = LANGUAGES[language]
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None:
        pytest.skip(f"this machine has no {language} compiler (looked for {', '.join(programs)})")
    (tmp_path / FILE_NAME).write_text(header(uapi.DIALECTS[dialect]), "ascii")
    return Compiler(found, ["-x", kind, f"-std={standard}"], tmp_path)


def companion_of(interface: Interface) -> Companion:
    assert interface.companion
    return interface.companion


def commands_of(interface: Interface) -> list[Command[Record]]:
    return [*interface.commands, *companion_of(interface).commands]


def records_of(interface: Interface) -> list[type[Record]]:
    return list(dict.fromkeys([*interface.records, *companion_of(interface).records]))


def constants_of(interface: Interface) -> list[Constant]:
    own = (c for _, group in interface.constants for c in group)
    return [*companion_of(interface).constants, *own]


def measurements(interface: Interface) -> Iterator[tuple[str, str, int]]:
    """Everything that can be measured in C: (name, C expression, declared value)."""
    for record in records_of(interface):
        name = record.spelling
        yield f"{name} size", f"sizeof(struct {name})", record.byte_size
        yield f"{name} align", f"offsetof(struct align_{name}, it)", record.alignment
        for f in record.fields:
            yield f"{name}.{f.spelling} offset", f"offsetof(struct {name}, {f.spelling})", f.offset
            yield f"{name}.{f.spelling} size", f"sizeof(((struct {name} *)0)->{f.spelling})", f.size
    for command in commands_of(interface):
        yield command.spelling, command.spelling, command.code
    for command in interface.commands if companion_of(interface) is drm.CORE else ():
        yield number_of(command), f"DRM_COMMAND_BASE + {number_of(command)}", command.number
    for constant in constants_of(interface):
        yield constant.spelling, constant.spelling, constant.value


def measuring_program(interface: Interface) -> str:
    """A program that prints each measurement, and does not compile if a field's type differs."""
    # A drm.h of the system makes DRM_CLOEXEC of O_CLOEXEC, which is not in plain C99.
    lines = ["#define _POSIX_C_SOURCE 200809L", "#include <fcntl.h>", f'#include "{FILE_NAME}"']
    lines += ["#include <stddef.h>", "#include <stdio.h>"]
    for record in records_of(interface):
        name = record.spelling
        lines.append(f"struct align_{name} {{ char first; struct {name} it; }};")
        if record in companion_of(interface).c_types:
            continue
        lines.append(f"void types_of_{name}(struct {name} *it);")
        lines.append(f"void types_of_{name}(struct {name} *it) {{")
        for field in record.fields:
            pointer = f"(*p)[{field.count}]" if field.count else "*p"
            kind = f"__{field.scalar.name}"
            lines.append(f"    {{ {kind} {pointer} = &it->{field.spelling}; (void)p; }}")
        lines.append("}")
    lines.append("int main(void) {")
    for name, expression, _ in measurements(interface):
        lines.append(f'    printf("{name}=%llu\\n", (unsigned long long)({expression}));')
    return "\n".join([*lines, "    return 0;", "}", ""])


@languages
@dialects
def test_header_measures_as_declared(compiler: Compiler, dialect: str) -> None:
    """R4: sizes, offsets, alignments, types, codes and constants, as the C compiler sees them."""
    interface = uapi.DIALECTS[dialect]
    printed = compiler.output(measuring_program(interface))
    measured = {
        name: int(value) for name, value in (line.split("=") for line in printed.splitlines())
    }
    assert measured == {name: value for name, _, value in measurements(interface)}
    original = facts(dialect)
    assert {name: measured[name] for name in original["ioctls"]} == {
        name: fact["value"] for name, fact in original["ioctls"].items()
    }
    for name, fact in original["uapi"].items():
        assert measured[f"{name} size"] == fact["size"]
        assert measured[f"{name} align"] == fact["align"]
        for field, (offset, size, _) in fact["fields"].items():
            assert measured[f"{name}.{field} offset"] == offset
            assert measured[f"{name}.{field} size"] == size


@languages
@dialects
def test_scalars_macros_put_and_take_each_part(compiler: Compiler, dialect: str) -> None:
    """R4: how is the word encoded?  Each part at its bits, for the ends of its range."""
    constants = {c.spelling: c.value for c in constants_of(uapi.DIALECTS[dialect])}
    parts = ("METHOD", "IN", "OUT", "IN_HANDLES", "OUT_HANDLES")
    ends = [(0, 1, constants[f"QDA_SCALARS_{part}_MASK"]) for part in parts]
    shapes = list(itertools.product(*ends))
    lines = [f'#include "{FILE_NAME}"', "#include <stdio.h>", "int main(void) {"]
    for shape in shapes:
        word = f"QDA_SCALARS_WITH_HANDLES({', '.join(map(str, shape))})"
        taken = [f"QDA_SCALARS_{part}({word})" for part in (*parts, "LENGTH", "ATTRIBUTES")]
        form = " ".join(["%lu"] * (1 + len(taken)))
        given = ", ".join(f"(unsigned long)({value})" for value in (word, *taken))
        lines.append(f'    printf("{form}\\n", {given});')
    lines.append('    printf("%lx\\n", (unsigned long)QDA_SCALARS(31, 2, 1));')
    *printed, last = compiler.output("\n".join([*lines, "    return 0;", "}", ""])).splitlines()
    for shape, line in zip(shapes, printed, strict=True):
        packed = sum(
            value << constants[f"QDA_SCALARS_{part}_SHIFT"]
            for part, value in zip(parts, shape, strict=True)
        )
        assert [int(n) for n in line.split()] == [packed, *shape, sum(shape[1:]), 0]
    assert last == "1f020100"  # the worked example of apps_std's stat


@languages
@dialects
def test_example_compiles_and_is_in_the_header(compiler: Compiler, dialect: str) -> None:
    """R4: the user code can be written by looking at the header, which shows it."""
    interface = uapi.DIALECTS[dialect]
    source = interface.example
    compiler.accept(source)
    shown = [line[3:].rstrip() for line in header(interface).splitlines()]
    for line in source.splitlines():
        assert line in shown or line.strip() in map(str.strip, shown)
    assert f"```c\n{source}\n```" in reference(interface)


@languages
@pytest.mark.parametrize("dialect", sorted(uapi.ACCEL_DIALECTS))
@pytest.mark.parametrize("first", ["drm", "ours"])
def test_header_lives_with_drm_h(compiler: Compiler, first: str) -> None:
    """R7: the DRM core's names are not declared twice, whichever header comes first."""
    (compiler.folder / "drm").mkdir()
    (compiler.folder / "drm" / "drm.h").write_text(OTHER_DRM_H, "ascii")
    includes = ["#include <drm/drm.h>", f'#include "{FILE_NAME}"']
    if first == "ours":
        includes.reverse()
    main = "int main(void) { return DRM_IOCTL_VERSION == DRM_IOCTL_QDA_QUERY; }\n"
    compiler.accept("\n".join(["#include <fcntl.h>", *includes, *includes, main]))


@languages
@pytest.mark.parametrize("dialect", ["legacy", "legacy-7.3"])
@pytest.mark.parametrize("first", ["heap", "ours"])
@pytest.mark.parametrize("there", [True, False], ids=["with dma-heap.h", "without"])
def test_header_lives_with_dma_heap_h(compiler: Compiler, first: str, there: bool) -> None:
    """R7: the heap's names are not declared twice, and always once."""
    includes = [f'#include "{FILE_NAME}"'] * 2
    if there:
        (compiler.folder / "linux").mkdir()
        (compiler.folder / "linux" / "dma-heap.h").write_text(OTHER_DMA_HEAP_H, "ascii")
        includes.insert(0 if first == "heap" else 2, "#include <linux/dma-heap.h>")
    else:
        ours = compiler.folder / FILE_NAME
        ours.write_text(ours.read_text().replace("defined(__has_include)", "0"))
    main = (
        "int main(void) { struct dma_heap_allocation_data request; request.len = 1;"
        " return request.len == DMA_HEAP_IOCTL_ALLOC; }\n"
    )
    compiler.accept("\n".join([*includes, main]))


@languages
@dialects
def test_two_dialects_do_not_mix(compiler: Compiler, dialect: str) -> None:
    """R4: their structures have the same names and other layouts, so one program has one."""
    (compiler.folder / "other.h").write_text(
        header(uapi.V1 if dialect == "rfc" else uapi.RFC), "ascii"
    )
    done = compiler.run(f'#include "{FILE_NAME}"\n#include "other.h"\n', "-fsyntax-only")
    assert done.returncode != 0
    assert "another dialect" in done.stderr


def flat(text: str) -> str:
    """Text without comment marks, line ends and Markdown escapes, for comparison of sentences."""
    lines = (line.removeprefix(" *").strip() for line in text.splitlines())
    return " ".join(" ".join(lines).replace("\\", "").replace("`", "").split())


@dialects
@pytest.mark.parametrize("printer", [header, reference], ids=["header", "reference"])
class TestDocumentation:
    """R4: what is declared is documented, in the header as on the reference page."""

    def test_text_is_ascii_without_trailing_space(self, dialect: str, printer: Printer) -> None:
        text = printer(uapi.DIALECTS[dialect])
        assert text.isascii()
        assert text.endswith("\n")
        assert not [line for line in text.splitlines() if line != line.rstrip()]

    def test_every_field_with_its_sentence(self, dialect: str, printer: Printer) -> None:
        text = flat(printer(uapi.DIALECTS[dialect]))
        for record in records_of(uapi.DIALECTS[dialect]):
            assert f"struct {record.spelling}" in text
            for field in record.fields:
                assert field.spelling in text
                assert flat(field.text) in text
                assert flat(field.points_to) in text
                assert field.legal.words in text or field.legal.words == "any value"

    def test_every_constant_with_its_value(self, dialect: str, printer: Printer) -> None:
        text = flat(printer(uapi.DIALECTS[dialect]))
        for constant in constants_of(uapi.DIALECTS[dialect]):
            value = hex(constant.value) if constant.hexadecimal else str(constant.value)
            assert f"{constant.spelling} {value}" in text.replace(" | ", " ")
            assert constant.text in text

    def test_every_command_with_its_errors(self, dialect: str, printer: Printer) -> None:
        text = flat(printer(uapi.DIALECTS[dialect]))
        for command in commands_of(uapi.DIALECTS[dialect]):
            assert command.spelling in text
            assert f"0x{command.code:08x}" in text
            assert flat(command.text) in text
            for number, condition in command.errors:
                assert errno.errorcode[number] in text
                assert flat(condition) in text

    def test_breaches_are_among_the_errors(self, dialect: str, printer: Printer) -> None:
        text = flat(printer(uapi.DIALECTS[dialect])).replace(" | ", ": ")
        for record in records_of(uapi.DIALECTS[dialect]):
            for field in record.fields:
                if field.breach:
                    symbol = errno.errorcode[field.breach]
                    assert f"{symbol}: {field.spelling} is illegal" in text

    def test_rules_of_use(self, dialect: str, printer: Printer) -> None:
        """R8, R9, R12, R17: context id, modes, imports, and the states of a mapping."""
        text = flat(printer(uapi.DIALECTS[dialect]))
        for words in (
            "bits 11..4",
            "CREATE_ATTR",
            "which belongs to its descriptor" if "legacy" in dialect else "An imported object can",
            "absent:",
            "mapped for a call:",
            "mapped until further notice:",
            "input buffers, then output buffers, then input handles, then output handles",
        ):
            assert words in text
