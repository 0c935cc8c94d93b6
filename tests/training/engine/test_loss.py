"""The loss, against sums over pixels one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE
from wsi_seg.training.engine.loss import SegmentationLoss, class_weights
from wsi_seg.training.recipe import LossRecipe


def batch(seed: int, classes: int = 3, stride: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes + 1, (2, 16, 24), generator=draw)
    truth[truth == classes] = IGNORE
    logits = 3 * torch.randn((2, classes, 16 // stride, 24 // stride), generator=draw)
    return logits.requires_grad_(), truth.to(torch.uint8)


def by_pixel(
    logits: torch.Tensor, truth: torch.Tensor, weights: list[float], dice: float, stride: int
) -> float:
    """Cross-entropy and Dice in plain Python, after their definitions."""
    values, known = logits.detach().double().numpy(), truth.numpy()
    count = values.shape[1]
    total = weight = 0.0
    both, found, true = np.zeros(count), np.zeros(count), np.zeros(count)
    for n, y, x in np.ndindex(values.shape[0], *values.shape[2:]):
        index = known[n, y * stride + stride // 2, x * stride + stride // 2]
        if index == IGNORE:
            continue
        shares = np.exp(values[n, :, y, x]) / np.exp(values[n, :, y, x]).sum()
        total -= weights[index] * math.log(shares[index])
        weight += weights[index]
        both[index] += shares[index]
        found += shares
        true[index] += 1
    return float(total / weight + dice * (1 - ((2 * both + 1) / (found + true + 1)).mean()))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 99),
    weights=st.none() | st.lists(st.floats(0.1, 12), min_size=3, max_size=3),
    dice=st.sampled_from([0.0, 0.7]),
    stride=st.sampled_from([1, 8]),
)
def test_it_is_what_its_definition_says(
    seed: int, weights: list[float] | None, dice: float, stride: int
) -> None:
    logits, truth = batch(seed, stride=stride)
    truth[:, stride // 2, stride // 2] = 1
    loss = SegmentationLoss(None if weights is None else torch.tensor(weights), dice)(logits, truth)
    expected = by_pixel(logits, truth, weights or [1, 1, 1], dice, stride)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("stride", [1, 8])
def test_unknown_pixels_have_no_say(stride: int) -> None:
    logits, truth = batch(3, stride=stride)
    loss = SegmentationLoss(torch.tensor([1.0, 2.0, 3.0]), 0.5)
    loss(logits, truth).backward()
    assert logits.grad is not None
    half = stride // 2
    unknown = (truth[:, half::stride, half::stride] == IGNORE).unsqueeze(1).expand_as(logits)
    assert unknown.any()
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).all()
    changed = torch.where(unknown, 100.0, logits.detach())
    assert loss(changed, truth).item() == pytest.approx(loss(logits, truth).item(), rel=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0])])
@pytest.mark.parametrize("dice", [0.0, 1.0])
def test_nothing_known_gives_nothing_to_learn(weights: torch.Tensor | None, dice: float) -> None:
    logits, truth = batch(1)
    loss = SegmentationLoss(weights, dice)(logits, torch.full_like(truth, IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_half_precision_logits_lose_nothing_in_the_sum() -> None:
    logits, truth = batch(2)
    coarse = logits.detach().to(torch.bfloat16)
    loss = SegmentationLoss(None, 0.0)
    assert float(loss(coarse, truth)) == float(loss(coarse.float(), truth))
    assert loss(coarse, truth).dtype == torch.float32


def test_class_weights_follow_the_authors_formula() -> None:
    pixels = np.array([900, 90, 10, 0])
    weights = class_weights(pixels, LossRecipe(class_weights="log"))
    assert weights is not None
    expected = [1 / math.log(1.10 + share) for share in (0.9, 0.09, 0.01, 0.0)]
    assert weights.tolist() == pytest.approx(expected, rel=1e-6)
    assert class_weights(pixels, LossRecipe()) is None


def test_square_root_weights_stay_finite_where_a_class_has_no_pixel() -> None:
    weights = class_weights(np.array([900, 100, 0]), LossRecipe(class_weights="sqrt"))
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.9**-0.5, 0.1**-0.5, 1000**0.5], rel=1e-6)
