"""Your own function on the DSP, in ten lines."""

import qda


class Doubler(qda.Skeleton):
    @qda.method(2)
    def double(self, numbers: memoryview, doubled: memoryview) -> None:
        doubled[:] = bytes(2 * number for number in numbers)


if __name__ == "__main__":
    with qda.open("cdsp") as session, session.load(Doubler) as doubler:
        print(list(doubler.invoke(2, ins=[b"\1\2\3"], outs=[3])[0]))
