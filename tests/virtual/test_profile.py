from __future__ import annotations

from pathlib import Path

import pytest

import qda
from qda import limits
from qda.virtual import load_profile, nodes_of, profile_names

ARCHITECTURE = 6
GOOD = 'title = "Mine"\n[[dsp]]\nname = "cdsp"\nstream_ids = [1, 2]\n'


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_package_has_profiles_of_real_systems() -> None:
    assert {"generic", "qcs6490", "sm8550", "sm8650"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_has_adsp_and_cdsp(name: str) -> None:
    system = load_profile(name)
    assert system.name == name
    assert system.title
    assert {"adsp", "cdsp"} <= {dsp.name for dsp in system.dsps}
    assert all(dsp.stream_ids for dsp in system.dsps)


@pytest.mark.parametrize(
    ("name", "adsp", "cdsp", "architecture"),
    [
        ("qcs6490", range(3, 6), [*range(1, 9), *range(11, 15)], 0x68),
        ("sm8350", range(3, 6), range(1, 9), 0x68),
        ("sm8550", range(3, 8), range(1, 9), 0x73),
        ("sm8650", range(3, 8), [*range(1, 9), *range(12, 15)], 0x75),
    ],
)
def test_stream_ids_are_those_of_the_device_tree(
    name: str, adsp: range, cdsp: range | list[int], architecture: int
) -> None:
    dsps = {dsp.name: dsp for dsp in load_profile(name).dsps}
    first, second = dsps["adsp"], dsps["cdsp"]
    assert first.stream_ids == tuple(adsp)
    assert second.stream_ids == tuple(cdsp)
    assert second.capabilities[ARCHITECTURE] == architecture


def test_profile_from_a_file(profile: Path) -> None:
    profile.write_text(GOOD + "message_limit = 4096\n[dsp.capabilities]\n6 = 0x79\n")
    system = load_profile(str(profile))
    assert (system.name, system.title) == ("mine", "Mine")
    (dsp,) = system.dsps
    assert (dsp.stream_ids, dsp.message_limit) == ((1, 2), 4096)
    assert dsp.capabilities == {ARCHITECTURE: 0x79}


def test_what_a_profile_may_leave_out(profile: Path) -> None:
    profile.write_text(GOOD)
    (dsp,) = load_profile(str(profile)).dsps
    assert dsp.message_limit == limits.MESSAGE
    assert dsp.secure
    assert dsp.capabilities == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title =", "Invalid value"),
        (GOOD.replace('title = "Mine"', ""), "title None"),
        (GOOD.replace('"Mine"', "3"), "title 3"),
        ('title = "Mine"', "dsp None"),
        ('title = "Mine"\ndsp = []', "one or more DSPs"),
        ('title = "Mine"\ndsp = [3]', r"dsp \[3\]: is not a list of tables"),
        (GOOD + '[[dsp]]\nname = "cdsp"\nstream_ids = [3]', "each once"),
        (GOOD.replace("cdsp", "zdsp"), "zdsp"),
        (GOOD.replace("[1, 2]", "[1, 1]"), "distinct"),
        (GOOD.replace("[1, 2]", "[0]"), "above 0"),
        (GOOD.replace("[1, 2]", "[0x80000000]"), "2147483648"),
        (GOOD.replace("[1, 2]", "[1.5]"), "1.5"),
        (GOOD.replace("[1, 2]", '"12"'), "'12'"),
        (GOOD.replace("[1, 2]", "[[1]]"), r"\[\[1\]\]"),
        (GOOD + "message_limit = 0", "message_limit 0"),
        (GOOD + 'message_limit = "big"', "message_limit 'big'"),
        (GOOD + "messagelimit = 1", "'messagelimit' is no key: .*message_limit"),
        (GOOD + "capabilities = [1]", "capabilities"),
        (GOOD + "non_secure_domain = 1", "non_secure_domain 1: true or false"),
        (GOOD + "poll_mode = 0", "poll_mode 0: true or false"),
        ('fastrpc = "rfc"\n' + GOOD, "legacy or legacy-7.3 or legacy-signals"),
        (GOOD + "[dsp.capabilities]\nhvx = 1", "capability hvx"),
        (GOOD + "[dsp.capabilities]\n256 = 1", "capability 256"),
        (GOOD + "[dsp.capabilities]\n6 = -1", "capability 6 = -1"),
        (GOOD + "[dsp.capabilities]\n6 = 0x100000000", "capability 6"),
        (GOOD + "[dsp.capabilities]\n6 = true", "capability 6 = True"),
        (GOOD + 'policy = "nobody"', "policy 'nobody': one of nodes, privileges, applications"),
        (GOOD + "remote_heap = 0", "remote_heap 0: true or false"),
        (GOOD + "capability_status = 0", "capability_status 0: a status of the DSP"),
        (GOOD + 'refuses = { node = "EACCES" }', "'node' is no node: one of accel, plain, secure"),
        (GOOD + 'refuses = { plain = "EWHAT" }', "'EWHAT' is no errno"),
        (GOOD + "refuses = { plain = 13 }", "13 is no errno"),
        (GOOD + "switches = { attach = true }", "switch 'attach'"),
        (GOOD + 'switches = { removed = "EIO" }', "switch removed = 5"),
        (GOOD + "switches = [1]", "switches .*is not a table"),
        ("extra = 1\n" + GOOD, "'extra' is no key"),
    ],
)
def test_nonsense_is_refused_and_quoted(profile: Path, text: str, words: str) -> None:
    profile.write_text(text)
    with pytest.raises(qda.UsageError, match=words):
        load_profile(str(profile))


def test_file_that_is_no_text(profile: Path) -> None:
    profile.write_bytes(b"\xff\xfe")
    with pytest.raises(qda.UsageError, match="decode"):
        load_profile(str(profile))


@pytest.mark.parametrize("name", ["", "nothing", "../generic", "/dev/nothing.toml"])
def test_profile_that_does_not_exist(name: str) -> None:
    with pytest.raises(qda.UsageError, match="profile"):
        load_profile(name)


@pytest.mark.parametrize(
    ("count", "ids"), [(1, (5,)), (3, (5, 2, 9)), (6, (5, 2, 9, 1, 3, 4)), (4, (5, 2, 9, 1))]
)
def test_a_profile_may_have_another_number_of_banks(
    profile: Path, count: int, ids: tuple[int, ...]
) -> None:
    """Its own stream ids first, then others."""
    profile.write_text(GOOD.replace("[1, 2]", "[5, 2, 9]"))
    (dsp,) = load_profile(str(profile)).with_banks(count).dsps
    assert dsp.stream_ids == ids


def test_limits_of_a_profile_are_enforced(profile: Path) -> None:
    """A session takes a context bank; the one after the last bank is refused."""
    profile.write_text(GOOD.replace("[1, 2]", "[7]") + "message_limit = 8192\n")
    with qda.open("cdsp", device="virtual", profile=str(profile)) as session:
        with pytest.raises(qda.DeviceError, match="ENOMEM"):
            qda.open("cdsp", device="virtual", profile=str(profile))
        with pytest.raises(qda.DeviceError, match="ENOMEM"):
            session.invoke(0x300, 2, ins=[bytes(16384)])


def test_an_adsp_has_the_node_that_its_device_tree_says() -> None:
    """Spec 5.1: qcom,non-secure-domain; the plain node, where hexagonrpcd looks for it."""
    paths = {name: {node.path for node in nodes_of(load_profile(name))} for name in profile_names()}
    for name in ("sm8350", "sm8550", "sm8650"):
        assert "/dev/fastrpc-adsp" in paths[name]
        assert "/dev/fastrpc-adsp-secure" not in paths[name]
    assert "/dev/fastrpc-sdsp" in paths["sm8350"]
    assert "/dev/fastrpc-adsp-secure" in paths["qcs6490"]
