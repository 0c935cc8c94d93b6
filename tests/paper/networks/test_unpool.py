"""Max-unpooling gives what PyTorch's own gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from wsi_seg.paper.networks.unpool import unpool


@pytest.mark.parametrize(("height", "width"), [(6, 10), (5, 10), (7, 3), (1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_same_as_torch(height: int, width: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, height, width).contiguous(memory_format=layout)
    pooled, places = functional.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    maps = torch.randn_like(pooled).requires_grad_()
    ours = unpool(maps, places, height, width)
    theirs = functional.max_unpool2d(maps, places, [2, 2], output_size=(height, width))
    assert torch.equal(ours, theirs)
    upstream = torch.randn_like(theirs)
    assert torch.equal(*(torch.autograd.grad(y, maps, upstream)[0] for y in (ours, theirs)))
