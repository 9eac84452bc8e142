"""The methods that the benchmark of C programs calls."""

import qda


class Touch(qda.Skeleton, name="touch"):
    """What is called."""

    @qda.method(2)
    def empty(self) -> None:
        """Do nothing."""

    @qda.method(3)
    def touch(self, given: memoryview, result: memoryview) -> None:
        """Touch the first and the last byte of both."""
        result[0] = given[0]
        result[-1] = given[-1]
