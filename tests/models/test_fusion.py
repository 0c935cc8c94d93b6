"""Hierarchical feature fusion by a kernel gives PyTorch's values and gradients."""

from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wsi_seg.models import training_kernels
from wsi_seg.models.fusion import fuse

pytestmark = pytest.mark.skipif(
    training_kernels.kernels_for(torch.zeros(1, 1, 1, 1)) is None, reason="no compiled kernels here"
)

ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-8}


def images(widths: list[int], dtype: torch.dtype, side: tuple[int, int]) -> list[Tensor]:
    made = (torch.randn(2, channels, *side).to(dtype) for channels in widths)
    return [one.contiguous(memory_format=torch.channels_last).requires_grad_() for one in made]


def exactly(branches: list[Tensor], added: Tensor | None) -> Tensor:
    fused = torch.cat([branches[0], *accumulate(branches[1:])], dim=1)
    return fused if added is None else fused + added


@given(
    first=st.integers(1, 40),
    thin=st.integers(1, 40),
    branches=st.integers(2, 6),
    side=st.tuples(st.integers(1, 9), st.integers(1, 20)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    adds=st.booleans(),
)
def test_same_as_torch_in_double(
    first: int, thin: int, branches: int, side: tuple[int, int], dtype: torch.dtype, adds: bool
) -> None:
    widths = [first, *[thin] * (branches - 1)]
    leaves = images([*widths, *([sum(widths)] if adds else [])], dtype, side)
    upstream = torch.randn(2, sum(widths), *side).to(dtype)
    fused = fuse(leaves[:branches], added=leaves[branches] if adds else None)
    assert fused.is_contiguous(memory_format=torch.channels_last)
    found = (fused, *torch.autograd.grad(fused, leaves, upstream))

    doubles = [leaf.detach().double().requires_grad_() for leaf in leaves]
    exact = exactly(doubles[:branches], doubles[branches] if adds else None)
    for one, other in zip(
        found, (exact, *torch.autograd.grad(exact, doubles, upstream.double())), strict=True
    ):
        assert one.dtype == dtype
        assert torch.allclose(one.double(), other, rtol=ROUNDING[dtype], atol=2e-6)


def test_bits_do_not_depend_on_threads() -> None:
    leaves = images([16, 12, 12, 12, 12], torch.float32, (33, 41))
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            fused = fuse(leaves)
            found.append((fused, *torch.autograd.grad(fused.square().sum(), leaves)))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_concatenates_where_not_hierarchical() -> None:
    leaves = images([4, 3, 3], torch.float32, (5, 6))
    assert torch.equal(fuse(leaves, hierarchical=False), torch.cat(leaves, dim=1))


def test_images_of_other_sizes_never_reach_the_kernel() -> None:
    leaves = [*images([4, 3], torch.float32, (5, 6)), *images([3], torch.float32, (5, 7))]
    with pytest.raises(AssertionError):
        fuse(leaves)
    with pytest.raises(AssertionError):
        fuse(leaves[:2], added=leaves[2])
