"""Let the DSP compute a layer of a PyTorch model: a custom operator whose kernel is in C.

`torch.compile`, `torch.export` and autograd know the operator as any other.  It needs PyTorch, and
the library of linear8_imp.c in DSP_LIBRARY_PATH, as README.md says.

    DSP_LIBRARY_PATH=build python layer.py
"""

from pathlib import Path

import numpy as np
import torch

import qda

linear8 = qda.idl.load(Path(__file__).with_name("linear8.idl"))
session = qda.open("cdsp")
remote = session.load(linear8)


@torch.library.custom_op("dsp::linear8", mutates_args=())
def linear(
    inputs: torch.Tensor, weights: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """inputs: ... x in features; weights: out x in features, int8; scales and bias: out."""
    shape = (*inputs.shape[:-1], len(bias))
    results = torch.from_numpy(session.empty(shape, np.float32))
    arrays = (tensor.detach().contiguous().numpy().ravel() for tensor in (weights, scales, bias))
    remote.forward(*arrays, inputs.detach().contiguous().numpy().ravel(), results.numpy().ravel())
    return results


@linear.register_fake
def _(inputs, weights, scales, bias):
    return inputs.new_empty((*inputs.shape[:-1], len(bias)))


class Linear(torch.nn.Module):
    """Takes the place of a `torch.nn.Linear`: the weights lie in memory that the DSP shares."""

    def __init__(self, layer: torch.nn.Linear):
        super().__init__()
        scales = layer.weight.detach().abs().amax(1) / 127
        weights = torch.from_numpy(session.empty(layer.weight.shape, np.int8))
        weights.copy_((layer.weight.detach() / scales[:, None]).round())
        for name, tensor in (("weights", weights), ("scales", scales), ("bias", layer.bias)):
            self.register_buffer(name, tensor.detach())

    def forward(self, inputs):
        return linear(inputs, self.weights, self.scales, self.bias)


def main():
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    ).eval()
    inputs = torch.randn(8, 64)
    expected = model(inputs)

    model[0], model[2] = Linear(model[0]), Linear(model[2])
    with torch.no_grad():
        results = model(inputs)
        exported = torch.export.export(model, (inputs,)).module()(inputs)
    difference = ((results - expected).abs().max() / expected.abs().max()).item()
    print(f"8 inputs on {session.node}: largest difference {difference:.1%}")
    print("the exported model gives the same:", torch.equal(results, exported))
    if difference > 0.05:
        raise SystemExit("that is more than 8 bits explain")


if __name__ == "__main__":
    with session, remote:
        main()
