"""Calls the skeleton in C, wherever the DSP finds it."""

from pathlib import Path

import qda

calculator = qda.idl.load(Path(__file__).with_name("calculator.idl"))

if __name__ == "__main__":
    with qda.open("cdsp") as session, session.load(calculator) as remote:
        print(remote.sum([1, 2, 3]), remote.max([4, 9, 2]), "by", session.node)
        try:
            remote.max([])
        except qda.DspError as error:
            print(error.symbol)
