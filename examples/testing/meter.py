"""A skeleton, and a program that uses it."""

from pathlib import Path

import numpy as np

import qda

meter = qda.idl.load(Path(__file__).with_name("meter.idl"))


class Meter(meter.Skeleton):
    def level(self, samples):
        if not len(samples):
            self.dsp.log.warning("nothing to measure")
            raise qda.StatusError(14, "no samples")
        print(f"{len(samples)} samples")
        return np.sqrt(np.mean(samples.astype(float) ** 2))


def loudest(signals):
    with qda.open("cdsp", skeletons=[Meter]) as session, session.load(meter) as remote:
        return max(signals, key=remote.level)
