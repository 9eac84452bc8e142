"""The device interface's rules as tests that are named for the rule, for any node.

    qda conformance                                        the virtual device, all dialects
    qda conformance --device=/dev/accel/accel0             a kernel's device, in its dialect
    qda conformance --device=/dev/fastrpc-cdsp-secure      that of the older driver

In a checkout `pytest src/qda/conformance` takes the same options.

The tests reach the device by `Node.ioctl`, `Node.mmap` and `Node.close` only.  What a node lacks
is skipped with a sentence.  Sources in the docstrings: H.. are rules of the hazards list, R.. of
the requirements, "spec" with a number is a section of the protocol notes, "uapi" the declarations
in `qda.uapi`.
"""
