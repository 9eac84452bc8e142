"""The shortest program there is: a skeleton, a session, a call.  It says when it has the answer."""

import qda


class Answer(qda.Skeleton):
    """What is called."""

    @qda.method(2)
    def answer(self, result: memoryview) -> None:
        """Answer."""
        result[0] = 42


if __name__ == "__main__":
    with qda.open("cdsp", device="virtual") as session, session.load(Answer) as module:
        assert bytes(module.invoke(2, outs=[1])[0]) == b"*"
        print("ready", flush=True)
