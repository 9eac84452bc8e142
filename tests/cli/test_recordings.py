"""`qda run --record`, `qda run --replay` and `qda replay`: a C program, played on both sides."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from qda.recording.events import Answered, Called
from qda.recording.file import Writer, read
from tests.cli.command import PROGRAM, qda
from tests.shim.conftest import programs as programs  # the fixture
from tests.shim.system import SKELETONS, Programs, needs_library


@needs_library
def test_a_c_program_is_recorded_and_played_on_both_sides(
    programs: Programs, tmp_path: Path
) -> None:
    """A program that has its own way with a node, with and without its skeleton; a field that has
    changed is told on either side.  The recording is right on another driver's node, too."""
    file, changed = tmp_path / "calls.qda", tmp_path / "changed.qda"
    program, skeletons = str(programs.build("calculator")), f"--skeletons={SKELETONS}"
    qda("run", f"--record={file}", skeletons, "--", program)
    qda("run", f"--replay={file}", "--", program)
    node = "/dev/fastrpc-cdsp"
    replay = [sys.executable, "-c", PROGRAM, "replay", str(file), f"--device={node}"]
    ran = qda("run", "--dialect=legacy", skeletons, "--", *replay)
    assert f"with {node}, dialect legacy:\nnothing differs" in ran.stdout
    writer, is_first = Writer(changed), True
    for event in read(file):
        if isinstance(event, Called) and event.module and is_first:
            is_first = False
            first, *others = event.arguments
            first = dataclasses.replace(first, data=b"\xff" + first.data[1:])
            event = dataclasses.replace(event, arguments=(first, *others))
        elif isinstance(event, Answered) and event.result:
            event = dataclasses.replace(event, result=1)
        writer.write(event)
    writer.close()
    ran = qda("run", f"--replay={changed}", "--", program, status=1)
    assert "byte 0 of in-buffer 0: ff" in ran.stderr
    played = qda("replay", "--device=virtual", skeletons, "--json", str(changed), status=1)
    told = json.loads(played.stdout)
    assert "result" in {one["field"] for one in told["differences"]}
    assert told["nodes"] == ["virtual cdsp, dialect rfc"]
