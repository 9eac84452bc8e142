"""Your own function on the DSP, in ten lines."""

import qda

calculator = qda.idl.load("""
    interface calculator {
        long sum(in sequence<long> numbers, rout long long total);
    };
""")


class Calculator(calculator.Skeleton):
    def sum(self, numbers):
        return numbers.sum()


if __name__ == "__main__":
    with qda.open("cdsp") as session, session.load(Calculator) as remote:
        print(remote.sum([1, 2, 3]))
