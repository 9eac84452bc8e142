"""`apps_std` and `apps_mem` are the original's interfaces; `apps_std` method by method."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.client.host.apps_std import AppsStd
from qda.client.host.search import BUILT_IN, search_folders
from qda.client.host.service import system_skeleton
from qda.errors import HostError
from qda.idl.python.system import SYSTEM_INTERFACES, system_interface
from tests.client.hosts import (
    Direct,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "idl"


@pytest.fixture
def files() -> Iterator[Any]:
    shared: dict[int, bytes] = {}

    def share(data: bytes) -> int:
        shared[len(shared) + 1] = data
        return len(shared)

    def unshare(fd: int) -> None:
        del shared[fd]

    methods = AppsStd("cdsp", share, unshare)
    skeleton = system_skeleton("apps_std", methods)
    yield system_interface("apps_std")(Direct(skeleton))
    methods.close_all()


def status_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(HostError) as caught:
        call(*arguments)
    return caught.value.status


@pytest.mark.parametrize("name", SYSTEM_INTERFACES)
def test_interfaces_are_those_of_the_original(name: str) -> None:
    """Method by method (7.5, 7.6)."""
    original = json.loads((VECTORS / f"{name}.json").read_text())["methods"]
    ours = system_interface(name).interface.methods
    assert [f"{one};" for one in ours] == [one["idl"] for one in original]


def test_every_method_is_there(files: Any) -> None:
    """Each of the interface's has an implementation."""
    for name in SYSTEM_INTERFACES:
        for method in system_interface(name).interface.methods:
            if name == "apps_std":
                assert hasattr(AppsStd, method.name)


def test_reading(files: Any, tmp_path: Path) -> None:
    """fopen, fread, feof, fseek, ftell, flen, rewind, fgets, fclose."""
    (tmp_path / "f").write_bytes(b"one\ntwo")
    file = files.fopen(str(tmp_path / "f"), "r")
    assert files.flen(file) == 7
    found = files.fread(file, 4)
    assert (bytes(found.buf), found.bytesRead, found.bEOF) == (b"one\n", 4, 0)
    assert files.ftell(file) == 4
    assert files.feof(file) == 0
    found = files.fread(file, 10)
    assert (bytes(found.buf[:3]), found.bytesRead, found.bEOF) == (b"two", 3, 1)
    assert files.feof(file) == 1
    files.rewind(file)
    assert (files.feof(file), files.ftell(file)) == (0, 0)
    line = files.fgets(file, 10)
    assert (bytes(line.buf[:5]), line.bEOF) == (b"one\n\0", 0)
    assert bytes(files.fgets(file, 3).buf) == b"tw\0"
    files.fseek(file, -3, 2)
    assert files.fgets(file, 10).bEOF == 1
    assert status_of(files.fseek, file, -100, 1) == errno.EINVAL
    assert status_of(files.fseek, file, 0, 9) == 0xE
    assert status_of(files.fwrite, file, b"x") == errno.EBADF
    assert files.ferror(file) == 1
    files.clearerr(file)
    assert files.ferror(file) == 0
    files.fclose(file)
    assert status_of(files.fclose, file) == 0xE
    assert status_of(files.fread, file, 4) == 0xE


def test_writing(files: Any, tmp_path: Path) -> None:
    """fwrite, fflush, fsync, fgetpos, fsetpos, ftrunc, freopen."""
    path = tmp_path / "f"
    file = files.fopen(str(path), "w+")
    assert files.fwrite(file, b"hello").bytesWritten == 5
    assert files.flen(file) == 5
    files.fflush(file)
    assert path.read_bytes() == b"hello"
    place = files.fgetpos(file, 8)
    assert place.posLenReq == 8
    assert files.fgetpos(file, 2).posLenReq == 8
    files.fwrite(file, b"more")
    files.fsetpos(file, place.pos)
    assert files.ftell(file) == 5
    assert status_of(files.fsetpos, file, b"abc") == 0xE
    files.fsync(file)
    files.ftrunc(file, 2)
    assert path.read_bytes() == b"he"
    assert status_of(files.ftrunc, file, -1) == errno.EINVAL
    file = files.freopen(file, str(path), "a")
    files.fwrite(file, b"y")
    files.fclose(file)
    assert path.read_bytes() == b"hey"
    assert status_of(files.fopen, str(path), "q") == errno.EINVAL
    assert status_of(files.fopen, str(tmp_path / "none"), "r") == errno.ENOENT
    assert status_of(files.fopen, str(tmp_path), "r") == errno.EISDIR
    assert status_of(files.fdopen_decrypt, 100) == 0x14


def test_folders_and_names(files: Any, tmp_path: Path) -> None:
    """mkdir, opendir, readdir, closedir, stat, fileExists, frename, fremove, rmdir."""
    folder = tmp_path / "folder"
    files.mkdir(str(folder), 0o755)
    assert status_of(files.mkdir, str(folder), 0o755) == errno.EEXIST
    (folder / "one").write_bytes(b"12345")
    opened = files.opendir(str(folder))
    names = []
    while not (found := files.readdir(opened)).bEOF:
        names.append(np.array(found.dirent.name, np.int8).tobytes().rstrip(b"\0"))
    assert names == [b".", b"..", b"one"]
    assert found.dirent.ino == 0
    files.closedir(opened)
    assert status_of(files.readdir, opened) == 0xE
    assert status_of(files.opendir, str(folder / "one")) == errno.ENOTDIR
    known, real = files.stat(str(folder / "one")), os.stat(folder / "one")
    assert (known.size, known.mode, known.ino) == (5, real.st_mode, real.st_ino)
    assert known.mtime * 10**9 + known.mtimensec == real.st_mtime_ns
    assert status_of(files.stat, str(folder / "two")) == errno.ENOENT
    assert files.fileExists(str(folder / "one")) is True
    files.frename(str(folder / "one"), str(folder / "two"))
    assert files.fileExists(str(folder / "one")) is False
    assert status_of(files.rmdir, str(folder)) == errno.ENOTEMPTY
    files.fremove(str(folder / "two"))
    files.rmdir(str(folder))
    assert not folder.exists()


def test_environment(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """getenv with too little room says how much is needed; setenv, unsetenv."""
    monkeypatch.setenv("QDA_TEST", "value")
    assert files.getenv("QDA_TEST", 100) == ("value", 6)
    assert files.getenv("QDA_TEST", 3) == ("va", 6)
    assert status_of(files.getenv, "QDA_NOT_THERE", 3) == 0x63
    files.setenv("QDA_TEST", "other", 0)
    assert os.environ["QDA_TEST"] == "value"
    files.setenv("QDA_TEST", "other", 1)
    assert os.environ["QDA_TEST"] == "other"
    assert status_of(files.setenv, "A=B", "x", 1) == 0x64
    files.unsetenv("QDA_TEST")
    files.unsetenv("QDA_TEST")
    assert "QDA_TEST" not in os.environ


def test_print_string(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On the program's standard output (clients.md 10)."""
    files.print_string("hello\n")
    assert capsys.readouterr().out == "hello\n"


def test_files_along_a_search_path(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fopen_with_env, its variant in a buffer, and get_search_paths_with_env (U9)."""
    for name in ("a", "b", "b/cdsp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    monkeypatch.setenv("DSP_LIBRARY_PATH", f"{tmp_path}/none;{tmp_path}/b")
    monkeypatch.setenv("ADSP_LIBRARY_PATH", f"{tmp_path}/a")
    asked = ("ADSP_LIBRARY_PATH", ";", "f", "r")
    file = files.fopen_with_env(*asked)
    assert bytes(files.fread(file, 6).buf) == b"b/cdsp"
    assert files.fopen_with_env_fd(*asked) == (1, 6)
    files.fclose_fd(1)
    (tmp_path / "b" / "f").unlink()
    (tmp_path / "b" / "cdsp" / "f").unlink()
    assert bytes(files.fread(files.fopen_with_env(*asked), 1).buf) == b"a"
    assert status_of(files.fopen_with_env, *asked[:2], "g", "r") == errno.ENOENT
    absolute = str(tmp_path / "a" / "f")
    assert bytes(files.fread(files.fopen_with_env(*asked[:2], absolute, "r"), 1).buf) == b"a"
    folders = files.get_search_paths_with_env("ADSP_LIBRARY_PATH", ";", [200] * 3)
    want = [f"{tmp_path}/none/cdsp", f"{tmp_path}/none", f"{tmp_path}/b/cdsp"]
    assert folders.paths == want
    assert folders.numPaths == 6 + 2 * len(BUILT_IN)
    assert folders.maxPathLen == max(map(len, want)) + 1


@given(st.dictionaries(st.sampled_from(["DSP_LIBRARY_PATH", "ADSP_LIBRARY_PATH", "X"]), st.text()))
def test_search_folders_for_any_environment(environment: dict[str, str]) -> None:
    """Each once, that of the DSP before the general one, the built-in ones last."""
    found = search_folders("ADSP_LIBRARY_PATH", ";", "cdsp", environment)
    assert len(set(found)) == len(found)
    assert set(BUILT_IN) < set(found)
    assert search_folders("X", ":", "cdsp", {}) == []


def test_a_dsp_opens_only_so_many_files(files: Any, tmp_path: Path) -> None:
    """EMFILE, and nothing leaks."""
    (tmp_path / "f").touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(limits.HOST_FILES):
        files.fopen(str(tmp_path / "f"), "r")
    assert status_of(files.fopen, str(tmp_path / "f"), "r") == errno.EMFILE
    assert len(os.listdir("/proc/self/fd")) == before + limits.HOST_FILES
