"""Convolutional encoders of pictures: what a network makes of those among its observations.

Each picture has two convolutions and a linear layer, with ReLU after each (after Mnih et al. 2015,
"Human-level control through deep reinforcement learning", with fewer filters and layers). K agents
are computed one after another: on a processor, that is faster than one convolution of K groups.
Gradients are written out as those of the rest of the network (``policy/network.py``) are.

Bytes become numbers from 0 to 1, in pieces of a bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Shape = tuple[int, int, int]  # height, width, channels

FEATURES = 128  # of each picture
FILTERS = (16, 32)  # of the two convolutions
PIECE = 1 << 22  # bytes of pictures that are numbers at a time, unless a single one has more


@dataclass(frozen=True)
class Convolution:
    """One layer: heights and widths."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]  # of its outputs


def convolutions(shape: Shape) -> tuple[Convolution, Convolution]:
    """Choose the two layers for a picture: kernels that suit its height, and its width.

    From 36 pixels on they are 8 and 4 long with strides 4 and 2, below that 4 and 3 with strides of
    2; of less than 8 pixels, up to 3 with strides of 1.
    """
    first, second = (
        Convolution(*zip(high, wide, strict=True))
        for high, wide in zip(_along(shape[0]), _along(shape[1]), strict=True)
    )
    return first, second


def _along(side: int) -> list[tuple[int, int, int]]:
    """Kernel, stride and outputs of both layers along one side."""
    if side >= 36:
        layers = [(8, 4), (4, 2)]
    elif side >= 8:
        layers = [(4, 2), (3, 2)]
    else:
        layers = [(3, 1), (3, 1)]
    found = []
    for wanted, stride in layers:
        kernel = min(wanted, side)
        side = (side - kernel) // stride + 1
        found.append((kernel, stride, side))
    return found


def parameter_shapes(pictures: Sequence[Shape]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor: kernels ``[filters, channels, height, width]``, linear ``[in, out]``.

    What goes into the linear layer are the second convolution's outputs row by row, with all
    filters of a place together.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for number, picture in enumerate(pictures):
        first, second = convolutions(picture)
        one, two = FILTERS
        shapes |= {
            f"picture{number}.conv1.weight": (one, picture[2], *first.kernel),
            f"picture{number}.conv1.bias": (one,),
            f"picture{number}.conv2.weight": (two, one, *second.kernel),
            f"picture{number}.conv2.bias": (two,),
            f"picture{number}.linear.weight": (two * prod(second.size), FEATURES),
            f"picture{number}.linear.bias": (FEATURES,),
        }
    return shapes


def forward_flops(pictures: Sequence[Shape]) -> int:
    """Floating-point operations of the convolutions of one observation."""
    shapes = parameter_shapes(pictures)
    return sum(
        2 * prod(shapes[f"picture{number}.conv{layer}.weight"]) * prod(convolution.size)
        for number, picture in enumerate(pictures)
        for layer, convolution in enumerate(convolutions(picture), start=1)
    )


@dataclass(frozen=True)
class _Kept:
    """What the forward pass of a piece leaves for the backward pass."""

    agent: int
    rows: slice
    conv1: Tensor  # [r, filters, height, width], after ReLU, as conv2
    conv2: Tensor


class Encoders:
    """Encoders of all pictures of an observation.

    Parameters
    ----------
    pictures
        Their shapes.

    Attributes
    ----------
    num_features
        Length Z of what they make of an observation.
    """

    def __init__(self, pictures: Sequence[Shape]) -> None:
        self._layers = [(shape, *convolutions(shape)) for shape in pictures]
        self._ends = [sum(map(prod, pictures[: i + 1])) for i in range(len(pictures))]
        self._kept: list[list[_Kept]] = [[] for _ in pictures]
        self.num_features = FEATURES * len(pictures)

    def forward(self, parameters: Mapping[str, Tensor], pictures: Tensor, out: Tensor) -> None:
        """Encode uint8 ``[K, R, P]`` into ``out`` ``[K, R, Z]``.

        ``parameters`` are ``Network.views`` of rows ``[K, D]``.
        """
        for number, (_, first, second) in enumerate(self._layers):
            p = _named(parameters, number)
            columns = slice(number * FEATURES, (number + 1) * FEATURES)
            kept = self._kept[number] = []
            for agent, rows in self._pieces(number, pictures):
                seen = self._numbers(number, pictures[agent, rows], out.dtype)
                conv1 = conv2d(
                    seen, p["conv1.weight"][agent], p["conv1.bias"][agent], first.stride
                ).relu_()
                conv2 = conv2d(
                    conv1, p["conv2.weight"][agent], p["conv2.bias"][agent], second.stride
                ).relu_()
                features = torch.addmm(
                    p["linear.bias"][agent], _flat(conv2), p["linear.weight"][agent]
                )
                out[agent, rows, columns] = features.relu_()
                kept.append(_Kept(agent, rows, conv1, conv2))

    def backward(
        self,
        parameters: Mapping[str, Tensor],
        pictures: Tensor,
        features: Tensor,
        gradient: Tensor,
        into: Mapping[str, Tensor],
    ) -> None:
        """Find the gradient of a loss for every parameter, after :meth:`forward`.

        Parameters
        ----------
        parameters, pictures, features
            As in the forward pass, and what it made of them.
        gradient
            That for the features, ``[K, R, Z]``; overwritten.
        into
            Views of the gradients' rows, by name.
        """
        torch.ops.aten.threshold_backward.grad_input(gradient, features, 0.0, grad_input=gradient)
        for number, (_, first, second) in enumerate(self._layers):
            p, g = _named(parameters, number), _named(into, number)
            for each in g.values():
                each.zero_()
            columns = slice(number * FEATURES, (number + 1) * FEATURES)
            for kept in self._kept[number]:
                agent = kept.agent
                by_feature = gradient[agent, kept.rows, columns]
                flat = _flat(kept.conv2)
                g["linear.weight"][agent].addmm_(flat.T, by_feature)
                g["linear.bias"][agent].add_(by_feature.sum(0))
                by_conv2 = (by_feature @ p["linear.weight"][agent].T).view(_rows_first(kept.conv2))
                by_conv2 = _through_relu(by_conv2.permute(0, 3, 1, 2), kept.conv2)
                weight = p["conv2.weight"][agent]
                by_conv1, *found = _convolution_backward(
                    by_conv2, kept.conv1, weight, second, inputs=True
                )
                g["conv2.weight"][agent].add_(found[0])
                g["conv2.bias"][agent].add_(found[1])
                seen = self._numbers(number, pictures[agent, kept.rows], gradient.dtype)
                by_conv1, weight = _through_relu(by_conv1, kept.conv1), p["conv1.weight"][agent]
                _, *found = _convolution_backward(by_conv1, seen, weight, first, inputs=False)
                g["conv1.weight"][agent].add_(found[0])
                g["conv1.bias"][agent].add_(found[1])

    def _pieces(self, number: int, pictures: Tensor) -> Iterator[tuple[int, slice]]:
        """Deal the rows of each agent into pieces."""
        agents, rows = pictures.shape[:2]
        size = max(1, PIECE // prod(self._layers[number][0]))
        for agent in range(agents):
            for start in range(0, rows, size):
                yield agent, slice(start, min(start + size, rows))

    def _numbers(self, number: int, pictures: Tensor, dtype: torch.dtype) -> Tensor:
        """Of bytes ``[r, P]`` one picture as numbers from 0 to 1, ``[r, channels, height, width]``.

        Channels of a pixel lie together, as in the bytes.
        """
        shape = self._layers[number][0]
        end = self._ends[number]
        own = pictures[:, end - prod(shape) : end].reshape(-1, *shape)
        return own.permute(0, 3, 1, 2).to(dtype).div_(255)


def _named(parameters: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The tensors of one picture's encoder."""
    prefix = f"picture{number}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in parameters.items()
        if name.startswith(prefix)
    }


def _rows_first(outputs: Tensor) -> tuple[int, ...]:
    rows, filters, height, width = outputs.shape
    return rows, height, width, filters


def _flat(outputs: Tensor) -> Tensor:
    """Outputs ``[r, filters, height, width]`` as rows ``[r, n]``."""
    return outputs.permute(0, 2, 3, 1).flatten(1)


def _through_relu(gradient: Tensor, outputs: Tensor) -> Tensor:
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, outputs, 0.0)
    return passed


def _convolution_backward(
    gradient: Tensor, inputs_: Tensor, weight: Tensor, layer: Convolution, *, inputs: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for the inputs, if they are wanted, for the kernels and for the biases."""
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient,
        inputs_,
        weight,
        [len(weight)],
        list(layer.stride),
        [0, 0],
        [1, 1],
        False,
        [0, 0],
        1,
        [inputs, True, True],
    )
    return found
