"""Convolutions by AMX, beside those by vectors, on whole numbers, which both compute exactly."""

from __future__ import annotations

import numpy as np
import pytest

from wsi_seg.inference.fast.flow import Flow
from wsi_seg.inference.fast.kernels import Convolution, Finish, Normaliser
from wsi_seg.inference.fast.library import has_amx
from wsi_seg.inference.fast.maps import Maps
from wsi_seg.inference.fast.products import Products, nearest
from wsi_seg.inference.fast.program import Program
from wsi_seg.inference.fast.windows import Windows
from wsi_seg.models.header import InputSpec

AS_IT_IS = InputSpec(channels="rgb", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale=1.0)
HEIGHT, WIDTH = 88, 168


@pytest.fixture(autouse=True)
def amx(kernels: None) -> None:
    if not has_amx():
        pytest.skip("this processor has no AMX")


def convolved(
    kind: type[Convolution] | type[Products], weights: list[np.ndarray], stride: int, widening: np.ndarray
) -> np.ndarray:
    """Branches of convolutions of an image whose three channels were first added up to many."""
    outputs, inputs, size, _ = weights[0].shape
    dilations = [1] if size == 1 else [2**k for k in range(len(weights))]
    program, image = Program(), Maps.new(3, 1, 16, seen_throughout=True)
    wide, out = Maps.new(inputs, 1, 16), Maps.new(outputs * len(weights), stride, 0)
    Normaliser(AS_IT_IS)(program, image)
    Convolution([widening], Finish.nothing(inputs))(program, image, wide)
    layer = kind(weights, Finish.nothing(out.channels), stride=stride, dilations=dilations)
    layer(program, layer.prepared(program, wide, max(dilations)), out)
    flow = Flow(program, HEIGHT, WIDTH, 16)
    rgb = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    flow(rgb, Windows.inside(HEIGHT, WIDTH, 0), 1)
    return flow.array(out)


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "stride", "branches"),
    [
        (8, 1, 3, 1, 1),
        (12, 12, 3, 1, 4),
        (19, 12, 3, 2, 1),
        (25, 28, 3, 1, 1),
        (25, 25, 3, 1, 4),
        (39, 20, 3, 1, 1),
        (131, 25, 3, 2, 1),
        (131, 40, 1, 1, 1),
    ],
)
def test_they_compute_what_vectors_compute(
    inputs: int, outputs: int, size: int, stride: int, branches: int
) -> None:
    rng = np.random.default_rng(0)
    # Inputs of up to 11 bits, of which a bfloat16 holds 8: what is missing counts, and all sums are exact.
    widening = rng.integers(-2, 3, (inputs, 3, 1, 1)).astype(np.float32)
    shape = (outputs, inputs, size, size)
    weights = [rng.integers(-2, 3, shape).astype(np.float32) for _ in range(branches)]
    expected = convolved(Convolution, weights, stride, widening)
    assert 1000 < np.abs(expected).max() < 2**24
    np.testing.assert_array_equal(convolved(Products, weights, stride, widening), expected)


def test_weights_of_more_than_8_bits_count_whole() -> None:
    rng = np.random.default_rng(0)
    widening = np.eye(3, dtype=np.float32)[np.arange(12) % 3][:, :, None, None]
    weights = [rng.integers(-1000, 1001, (5, 12, 3, 3)).astype(np.float32)]
    expected = convolved(Convolution, weights, 1, widening)
    assert 1000 < np.abs(expected).max() < 2**24
    np.testing.assert_array_equal(convolved(Products, weights, 1, widening), expected)


def test_the_nearest_bfloat16_keeps_8_bits() -> None:
    values = np.array([1, 255, 257, 259, 511, -257, 0, 1.5], np.float32)
    np.testing.assert_array_equal(nearest(values), [1, 255, 256, 260, 512, -256, 0, 1.5])


def test_a_map_is_split_once_unless_it_is_written_again() -> None:
    program, source = Program(), Maps.new(8, 4, 1)
    weights = [np.ones((8, 8, 3, 3), np.float32)]
    first, second = (Products(weights, Finish.nothing(8)) for _ in range(2))
    split = first.prepared(program, source, 1)
    assert second.prepared(program, source, 0) == split
    assert first.prepared(program, source, 2) != split  # more room at its sides
    first(program, split, source)
    assert second.prepared(program, source, 1) != split
