"""Tests with each fixture."""

import numpy as np
import pytest
from meter import Meter, loudest

import qda


def test_level(dsp):
    assert dsp.load(Meter).level([3, 4]) == pytest.approx(12.5**0.5)


@pytest.mark.dsp(dialects="all")
def test_shared_memory_in_each_dialect(dsp):
    samples = dsp.empty(1000, np.float32)
    samples[:] = 2
    assert dsp.load(Meter).level(samples) == 2


def test_what_it_says(virtual_machine, dsp, capfd, caplog):
    remote = dsp.load(Meter)
    remote.level([1, 2])
    assert capfd.readouterr().out == "2 samples\n"
    with pytest.raises(qda.DspError, match="no samples"):
        remote.level([])
    assert caplog.messages[0] == "nothing to measure"


def test_the_program(virtual_machine):
    assert loudest([[1], [3], [2]]) == [3]


def test_with_a_mean_of_my_own(dsp_debug, monkeypatch):
    monkeypatch.setattr(np, "mean", lambda squares: 4.0)
    assert dsp_debug.load(Meter).level([1]) == 2
