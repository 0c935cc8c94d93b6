"""The loss functions of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.data.sources import IGNORE
from wsi_seg.models.training_kernels import kernels_for
from wsi_seg.training.engine.compiled_loss import compiled_loss

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.training.recipe import LossRecipe

LOG_OFFSET = 1.10
"""Constant in the class weights of the ESPNet authors (and of ENet before): 1 / ln(1.10 + share)."""

DICE_SMOOTHING = 1.0
MEAN_SMOOTHING = 1e-6


def class_weights(pixels: NDArray[np.int64], recipe: LossRecipe) -> Tensor | None:
    """Weight each class by the number of its known pixels; None stands for equal weights.

    Parameters
    ----------
    pixels : int64 array, shape (classes,)
    recipe : LossRecipe
    """
    shares = torch.from_numpy(pixels).double() / max(int(pixels.sum()), 1)
    match recipe.class_weights:
        case "none":
            return None
        case "log":
            return (1 / torch.log(LOG_OFFSET + shares)).float()
        case "sqrt":  # a class without pixels gets the weight of a class with a single pixel
            return shares.clamp_min(1 / max(int(pixels.sum()), 1)).rsqrt().float()


class SegmentationLoss(nn.Module):
    """Cross-entropy plus soft Dice, over the pixels whose class is known.

    Parameters
    ----------
    weights : Tensor or None
        One for each class.
    dice : float
        Weight of the Dice loss.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None, dice: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self._dice = dice

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Compare logits with the truth.

        Parameters
        ----------
        logits : Tensor
            Shape (N, classes, H / stride, W / stride). If the stride is more than 1, the truth is taken at
            the centre of each cell of the logits.
        classes : Tensor
            uint8, shape (N, H, W): class indices, or `IGNORE`.

        Returns
        -------
        Tensor
            A single number; zero, with zero gradient, if no class is known anywhere.
        """
        stride = classes.shape[-1] // logits.shape[-1]
        here = classes[:, stride // 2 :: stride, stride // 2 :: stride]
        if (kernels := kernels_for(logits)) is not None:
            terms = (self._dice, MEAN_SMOOTHING, DICE_SMOOTHING)
            return compiled_loss(kernels, logits, here, self.weights, terms)
        logits, truth = logits.float(), here.long()
        loss = functional.cross_entropy(logits, truth, self.weights, ignore_index=IGNORE, reduction="sum")
        # Divided here: PyTorch's mean over nothing is NaN, and a check first would make a GPU wait.
        loss = loss / self._weight_of(truth).clamp_min(MEAN_SMOOTHING)
        return loss + self._dice * dice_loss(logits, truth) if self._dice else loss

    def _weight_of(self, truth: Tensor) -> Tensor:
        """Return the weight of all known pixels together."""
        known = truth != IGNORE
        if self.weights is None:
            return known.sum()
        return (self.weights[truth.clamp(max=len(self.weights) - 1)] * known).sum()


def diagnosis_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean cross-entropy over the images whose diagnosis is known; zero if there are none.

    Parameters
    ----------
    logits : Tensor
        Shape (N, diagnoses).
    truth : Tensor
        int64, shape (N,): diagnoses, or `IGNORE`.
    """
    loss = functional.cross_entropy(logits.float(), truth, ignore_index=IGNORE, reduction="sum")
    return loss / (truth != IGNORE).sum().clamp_min(1)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return 1 minus the mean, over classes, of the soft Dice coefficient (probabilities for labels)."""
    known = (truth != IGNORE).unsqueeze(1)
    classes = logits.shape[1]
    found = logits.softmax(1) * known
    # Truths side by side as channels-last images hold channels, in single bytes; unknown is none of them.
    true = (truth.unsqueeze(-1) == torch.arange(classes, device=truth.device)).movedim(-1, 1)
    both, sizes = (found * true).sum((0, 2, 3)), found.sum((0, 2, 3)) + true.sum((0, 2, 3))
    return 1 - ((2 * both + DICE_SMOOTHING) / (sizes + DICE_SMOOTHING)).mean()
