"""The loss by a kernel, and its gradient, are PyTorch's."""

import pytest
import torch
from torch import Tensor

from wsi_seg.data.sources import IGNORE
from wsi_seg.models import training_kernels
from wsi_seg.training.engine.loss import SegmentationLoss

pytestmark = pytest.mark.skipif(
    training_kernels.kernels_for(torch.zeros(1, 1, 1, 1)) is None, reason="no compiled kernels here"
)


def logits(classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(classes)
    made = (3 * torch.randn(3, classes, 24, 50)).to(dtype)
    return made.contiguous(memory_format=torch.channels_last).requires_grad_()


def truth(classes: int, stride: int = 1) -> Tensor:
    made = torch.randint(0, classes, (3, 24 * stride, 50 * stride), dtype=torch.uint8)
    made[0, : 9 * stride] = IGNORE
    return made


def both(loss: SegmentationLoss, found: Tensor, classes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The kernel's loss and gradient, and PyTorch's, which takes over in another layout."""
    plain = found.detach().contiguous().requires_grad_()
    assert training_kernels.kernels_for(found) is not None
    assert training_kernels.kernels_for(plain) is None
    return [
        (value := loss(leaf, classes), torch.autograd.grad(2 * value, leaf)[0]) for leaf in (found, plain)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("classes", [2, 3, 11])
@pytest.mark.parametrize("dice", [0.0, 0.7])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("stride", [1, 8])
def test_same_as_torch(dtype: torch.dtype, classes: int, dice: float, weighted: bool, stride: int) -> None:
    weights = torch.linspace(0.1, 5, classes) if weighted else None
    ours, theirs = both(SegmentationLoss(weights, dice), logits(classes, dtype), truth(classes, stride))
    assert ours[0].dtype == torch.float32
    assert ours[1].dtype == dtype
    assert torch.allclose(ours[0], theirs[0], rtol=1e-5)
    largest = theirs[1].abs().max().double()
    assert (ours[1].double() - theirs[1].double()).abs().max() <= largest * (
        1e-4 if dtype == torch.float32 else 2**-7
    )


def test_nothing_known_is_zero_without_gradient() -> None:
    leaf = logits(3)
    loss = SegmentationLoss(None, 1.0)(leaf, torch.full((3, 24, 50), IGNORE, dtype=torch.uint8))
    assert loss == 0
    assert not torch.autograd.grad(loss, leaf)[0].any()


def test_a_class_that_there_is_not_is_refused() -> None:
    classes = truth(3)
    classes[2, 5, 7] = 3
    with pytest.raises(IndexError, match="none of the network's 3"):
        SegmentationLoss(None, 1.0)(logits(3), classes)


def test_a_network_that_has_diverged_says_so() -> None:
    leaf = logits(3)
    with torch.no_grad():
        leaf[2, 0, 3, 3] = torch.nan
    assert SegmentationLoss(None, 1.0)(leaf, truth(3)).isnan()


def test_bits_do_not_depend_on_threads() -> None:
    leaf, classes = logits(3), truth(3)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            loss = SegmentationLoss(None, 1.0)(leaf, classes)
            found.append((loss, torch.autograd.grad(loss, leaf)[0]))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@pytest.mark.parametrize("how", ["fewer rows", "fewer weights"])
def test_what_does_not_fit_never_reaches_the_kernel(how: str) -> None:
    rows, weights = (23, None) if how == "fewer rows" else (24, torch.ones(2))
    with pytest.raises(AssertionError):
        SegmentationLoss(weights, 1.0)(logits(3), truth(3)[:, :rows])
