"""What the guest is given and what it says: archive, device tree, modules, console."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qda.errors import UsageError
from qda.kernel.board import Board
from qda.kernel.console import troubles
from qda.kernel.initramfs import Link, after, archive, tree
from qda.kernel.kernel import NEEDED, Kernel, missing_from
from qda.kernel.message_ram import fifos
from qda.virtual import load_profile

MIB = 1 << 20


def entries(packed: bytes) -> dict[str, tuple[int, bytes]]:
    """An archive as the kernel reads it (Documentation/driver-api/early-userspace)."""
    found, at = dict[str, tuple[int, bytes]](), 0
    while True:
        assert packed[at : at + 6] == b"070701"
        fields = [int(packed[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = at + 110
        name = packed[start : start + name_size - 1].decode()
        data = -(-(start + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = mode, packed[data : data + size]
        at = -(-(data + size) // 4) * 4


def test_an_archive_has_files_with_their_folders(tmp_path: Path) -> None:
    script = tmp_path / "a" / "script"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    (tmp_path / "near").symlink_to("a/script")
    (tmp_path / "a" / "far").symlink_to("/dev/null")
    (tmp_path / "out").symlink_to(f"../{tmp_path.name}/a/script")
    (tmp_path / "other").symlink_to(script)
    found = entries(archive({"/init": b"odd", "/lib": Link("usr"), **tree(tmp_path, "/opt")}))
    assert found == {
        "init": (0o100755, b"odd"),
        "lib": (0o120777, b"usr"),
        "opt": (0o040755, b""),
        "opt/a": (0o040755, b""),
        "opt/a/script": (0o100700, b"#!/bin/sh\n"),
        "opt/near": (0o120777, b"a/script"),
        "opt/other": (0o100700, b"#!/bin/sh\n"),
        "opt/out": (0o120777, f"../{tmp_path.name}/a/script".encode()),
    }


def test_an_archive_can_follow_another() -> None:
    """The kernel goes on at a multiple of four."""
    own = archive({"/etc/motd": b"hello"})
    both = after(own + bytes(3), archive({"/init": b"odd"}))
    assert both.startswith(own)
    assert both.index(b"070701", len(own) - 1) % 4 == 0
    assert "init" in entries(both[both.index(b"070701", len(own) - 1) :])


@pytest.mark.skipif(shutil.which("dtc") is None, reason="no dtc: device-tree-compiler has it")
@pytest.mark.parametrize("size", [256, 4096], ids="{} MiB".format)
def test_a_board_has_an_edge_for_each_dsp(tmp_path: Path, size: int) -> None:
    """Stream ids, labels and nodes are those of the profile; no two DSPs share anything."""
    dsps = load_profile("generic").dsps[:4]
    board = Board(dsps, size * MIB, smmu=True)
    base = "/dts-v1/; / { intc@8000000 {}; smmuv3@9050000 {}; pcie@10000000 {}; };"
    source = tmp_path / "board.dts"
    source.write_text(base + board.device_tree())
    done = subprocess.run(
        ["dtc", "-q", "-q", "-I", "dts", "-O", "dts", source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "pcie@" not in done.stdout
    for edge in board.edges:
        assert f'label = "{edge.dsp.name}"' in done.stdout
    for name in ("mailbox", "peer", "interrupt", "first_stream", "message_ram"):
        assert len({getattr(edge, name) for edge in board.edges}) == len(dsps)
    banks = sum(len(dsp.stream_ids) for dsp in dsps)
    assert done.stdout.count("qcom,fastrpc-compute-cb") == banks
    plain = [dsp for dsp in dsps if not dsp.secure]
    assert done.stdout.count("qcom,non-secure-domain") == len(plain)


def test_message_ram_says_where_its_fifos_are() -> None:
    memory = memoryview(bytearray(0x10000))
    reads, writes = fifos(memory)
    writes.write(b"abcdefgh")
    assert reads.filled == 0
    table = memory[-256:].cast("I")
    assert table[0] == 0x67727430
    offset, length = table[6], table[7]
    assert bytes(memory[offset + 8 : offset + 16]) == b"abcdefgh"
    assert table[4] == length == writes.capacity + 16


def module(folder: Path, name: str, depends: str = "") -> Path:
    path = folder / f"{name}.ko.xz"
    path.write_bytes(lzma.compress(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0"))
    return path


def test_modules_are_loaded_after_what_they_need(tmp_path: Path) -> None:
    """A module names what it depends on, in either spelling; what is built in is not looked for."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-1").touch()
    module(tmp_path, "fastrpc", "rpmsg_core")
    module(tmp_path, "qcom_glink_rpm", "qcom-glink")
    module(tmp_path, "qcom_glink", "rpmsg_core,built_in")
    module(tmp_path, "rpmsg_core")
    own = module(tmp_path, "own-driver", "fastrpc")
    kernel = Kernel.of_package(tmp_path, [own])
    assert [path.name.split(".")[0] for path in kernel.modules] == [
        "rpmsg_core",
        "fastrpc",
        "qcom_glink",
        "qcom_glink_rpm",
        "own-driver",
    ]


def test_a_kernel_that_lacks_something_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    with pytest.raises(UsageError, match="no boot/vmlinuz"):
        Kernel.of_package(tmp_path)
    (tmp_path / "boot" / "vmlinuz-1").touch()
    on = "".join(f"{option}=m\n" for option in NEEDED[1:])
    (tmp_path / "boot" / "config-1").write_text(f"# {NEEDED[0]} is not set\n{on}")
    with pytest.raises(UsageError, match=f"config-1 has not {NEEDED[0]}$"):
        Kernel.of_package(tmp_path)
    assert not missing_from(f"{NEEDED[0]}=y\n{on}")
    with pytest.raises(UsageError, match="nothing: no such file"):
        Kernel.of_image(Path("nothing"), [])


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_the_config_in_an_image_is_looked_at(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    image = tmp_path / "Image"
    config = "".join(f"{option}=y\n" for option in NEEDED)
    for text in (config, config.replace(f"{NEEDED[-1]}=y\n", "")):
        inside = b"MZ odd" + b"IKCFG_ST" + gzip.compress(text.encode()) + b"IKCFG_ED" + bytes(9)
        image.write_bytes(pack(inside))
        if text == config:
            assert Kernel.of_image(image, []).image == image
    with pytest.raises(UsageError, match=f"the config of Image has not {NEEDED[-1]}$"):
        Kernel.of_image(image, [])
    image.write_bytes(pack(b"MZ IKCFG_ST, and nothing behind it"))
    Kernel.of_image(image, [])


def test_what_goes_wrong_in_the_kernel_is_told_once() -> None:
    """An oops, a warning, a panic; the lines of one trouble are not another."""
    console = "\n".join(
        [
            "[    1.000000] all is well",
            "[    2.000000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 f+0x10/0x20",
            "[    2.000001]  f+0x10/0x20",
            *(f"[    3.{n:06}] line" for n in range(20)),
            "[    4.000000] Unable to handle kernel NULL pointer dereference at 0",
            "[    4.000001] Internal error: Oops: 96000004 [#1] SMP",
            "[    4.000002] Kernel panic - not syncing: Oops: Fatal exception",
        ]
    )
    found = list(troubles(console))
    assert [trouble.words for trouble in found] == ["the kernel warns", "the kernel has oopsed"]
    assert found[0].lines[1] == " f+0x10/0x20"
    assert str(found[1]).startswith("the kernel has oopsed:\n  Unable to handle")
    assert not list(troubles("[ 1.0] all is well\n[ 2.0] reboot: Power down"))


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: possible circular locking dependency detected",
        "WARNING: possible irq lock inversion dependency detected",
        "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        "WARNING: inconsistent lock state",
        "WARNING: bad unlock balance detected!",
        "WARNING: suspicious RCU usage",
    ],
)
def test_what_lockdep_finds_is_told(line: str) -> None:
    (found,) = troubles(f"[    1.000000] {line}\n[    1.000001] 7.2.0 #1 Not tainted")
    assert found.words == "lockdep has found an error"


def test_a_module_that_the_kernel_refuses_is_told_with_the_reason() -> None:
    (found,) = troubles("[ 1.0] all is well\n[ 2.0] odd: wrong magic\nqda: cannot load /qda/odd.ko")
    assert found.words == "a module cannot be loaded"
    assert found.lines[1:] == ("odd: wrong magic", "qda: cannot load /qda/odd.ko")


def test_what_the_kernel_says_again_is_counted() -> None:
    """Of whatever process and processor it is said."""
    line = "WARNING: drivers/x.c:12 at f+0x10/0x20, CPU#{}: crowd/{}\n" + " x\n" * 12
    (found,) = troubles("".join(line.format(number % 2, number) for number in range(3)))
    assert found.times == 3
    assert str(found).startswith("the kernel warns, 3 times:\n  WARNING: drivers/x.c:12")
