"""How the demo model learns: from crops of many fields, then to answer alike wherever a patch is cut."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.demo.crops import Shelf
from wsi_seg.demo.fields import FIELD_MPP, stream_fields
from wsi_seg.models.bundle import InputSpec
from wsi_seg.models.espnet import ENCODER_STRIDE, ESPNet, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

CLASSES = 8


@dataclass(frozen=True)
class Settling:
    """The end of the training, when a window cut out of a crop must be answered as the crop is.

    Attributes
    ----------
    steps, crop, window : int
        Optimiser steps, and the sides in pixels of their crop and of the window in it.
    halo : int
        Pixels at the window's border where the answers may differ.
    weight : float
        Of the difference, in the loss.
    learning_rate : float
        The largest rate; it falls to zero along a cosine.
    """

    steps: int = 450
    crop: int = 544
    window: int = 288
    halo: int = 48
    weight: float = 2.0
    learning_rate: float = 4e-4


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, beside the generator, PyTorch and the machine.

    Attributes
    ----------
    seed : int
        Of the weights and the crops; the training slides are those from 10,000 times this on.
    steps : int
        Optimiser steps.
    batches : tuple of (int, int)
        Mosaics in a step and their side in pixels, in turn: the network must get used to borders, where its
        convolutions see zeros, at any distance.
    first_fields, steps_per_field : int
        Fields that are there from the first step, and steps until the next one is added.
    field_side : int
        Side of a field in pixels.
    learning_rate, warmup : float, int
        The largest rate; it rises linearly for `warmup` steps and falls to zero along a cosine.
    weight_decay : float
        Decoupled.
    settling : Settling
        What comes after.
    """

    seed: int = 1
    steps: int = 2700
    batches: tuple[tuple[int, int], ...] = ((4, 256), (2, 384), (1, 544))
    first_fields: int = 48
    steps_per_field: int = 6
    field_side: int = 576
    learning_rate: float = 2e-3
    warmup: int = 80
    weight_decay: float = 1e-4
    settling: Settling = Settling()

    @property
    def fields(self) -> int:
        """Training fields, one a slide."""
        return self.first_fields + self.steps // self.steps_per_field


def train(recipe: Recipe, say: Callable[[str], None]) -> tuple[ESPNet, InputSpec]:
    """Train the network from nothing.

    Parameters
    ----------
    recipe : Recipe
        The same recipe gives the same weights on the same machine.
    say : callable
        Hears how it goes.

    Returns
    -------
    network : ESPNet
        In eval mode.
    spec : InputSpec
        What it was trained to see.
    """
    drawn = stream_fields(recipe.seed * 10_000, recipe.fields, recipe.field_side)
    shelf = Shelf(recipe.fields, recipe.field_side, CLASSES, recipe.seed)
    for _ in range(recipe.first_fields):
        shelf.add(*next(drawn))
    torch.manual_seed(recipe.seed)
    network = ESPNet(ESPNetConfig(classes=CLASSES)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    course = _Course(network, shelf, _measure(shelf.rgb), recipe, say)
    course.learn(drawn)
    course.settle()
    return network.eval(), course.spec


class _Course:
    """A network's way through the training."""

    def __init__(
        self, network: ESPNet, shelf: Shelf, spec: InputSpec, recipe: Recipe, say: Callable[[str], None]
    ) -> None:
        self.network, self.shelf, self.spec, self.recipe, self.say = network, shelf, spec, recipe, say
        self._weight = _class_weights(np.stack([shelf.mosaic(recipe.batches[0][1])[1] for _ in range(300)]))
        self._started = time.monotonic()

    def learn(self, drawn: Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
        """Learn from crops, while more fields come in."""
        recipe = self.recipe
        optimiser = _Optimiser(self.network, recipe.learning_rate, recipe.weight_decay)
        self.network.train()
        losses = []
        for step in range(1, recipe.steps + 1):
            pixels, labels = _batch(self.shelf, *recipe.batches[step % len(recipe.batches)])
            loss = self._loss(self._logits(normalise(pixels, self.spec)), labels)
            optimiser.step(loss, _pace(step, recipe.steps, recipe.warmup))
            losses.append(float(loss.detach()))
            self._tell("learning", step, losses)
            if step % recipe.steps_per_field == 0:
                self.shelf.add(*next(drawn))

    def settle(self) -> None:
        """Learn to answer alike wherever a patch is cut, with the statistics of batch norm left as they are.

        Without, what the convolutions see beyond a patch's border, zeros, tells far inside the patch.
        """
        recipe, settling = self.recipe, self.recipe.settling
        optimiser = _Optimiser(self.network, settling.learning_rate, recipe.weight_decay)
        self.network.eval()
        rng = np.random.default_rng(recipe.seed)
        cuts = (settling.crop - settling.window) // ENCODER_STRIDE + 1
        losses = []
        for step in range(1, settling.steps + 1):
            pixels, labels = _batch(self.shelf, 1, settling.crop)
            y, x = (ENCODER_STRIDE * int(cut) for cut in rng.integers(0, cuts, 2))
            window = (..., slice(y, y + settling.window), slice(x, x + settling.window))
            image = normalise(pixels, self.spec)
            whole, part = (
                self._logits(image),
                self._logits(image[window].contiguous(memory_format=torch.channels_last)),
            )
            core = (..., slice(settling.halo, -settling.halo), slice(settling.halo, -settling.halo))
            loss = self._loss(whole, labels) + settling.weight * _divergence(part[core], whole[window][core])
            optimiser.step(loss, _pace(step, settling.steps, warmup=0))
            losses.append(float(loss.detach()))
            self._tell("settling", step, losses)

    def _logits(self, image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits: Tensor = self.network(image)
        return logits.float()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, self._weight)

    def _tell(self, what: str, step: int, losses: list[float]) -> None:
        if step % 100 == 0:
            seconds = time.monotonic() - self._started
            self.say(f"{what}, step {step}, loss {np.mean(losses[-100:]):.3f}, {seconds:.0f} s")


class _Optimiser:
    """AdamW with clipped gradients and a learning rate set at each step."""

    def __init__(self, network: ESPNet, learning_rate: float, weight_decay: float) -> None:
        self._network, self._learning_rate = network, learning_rate
        self._adam = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)

    def step(self, loss: Tensor, pace: float) -> None:
        """Go one step at a share of the largest learning rate."""
        self._adam.param_groups[0]["lr"] = self._learning_rate * pace
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._adam.step()


def _pace(step: int, steps: int, warmup: int) -> float:
    """Return the learning rate at a step, counted from 1, as a share of the largest."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


def _divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the reference's classes from the others'; both learn from it."""
    log_p, log_q = (functional.log_softmax(x, dim=1) for x in (reference, logits))
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def _batch(shelf: Shelf, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Return pixels (n, 3, side, side) of 0 to 255, and labels (n, side, side)."""
    mosaics = [shelf.mosaic(side) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([rgb for rgb, _ in mosaics])).permute(0, 3, 1, 2)
    return pixels, torch.from_numpy(np.stack([labels for _, labels in mosaics]).astype(np.int64))


def _measure(rgb: NDArray[np.uint8]) -> InputSpec:
    """Return the normalisation: mean and standard deviation of the pixels in each channel."""
    pixels = rgb.reshape(-1, 3)[::17].astype(np.float64)
    red, green, blue = zip(
        pixels.mean(axis=0).round(2).tolist(), pixels.std(axis=0).round(2).tolist(), strict=True
    )
    return InputSpec(
        channels="rgb", mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1]), mpp=FIELD_MPP
    )


def _class_weights(labels: NDArray[np.uint8]) -> Tensor:
    """Weigh each class by its share of the pixels, as the ESPNet authors do: ``1 / ln(1.10 + share)``."""
    share = np.bincount(labels.ravel(), minlength=CLASSES) / labels.size
    return torch.tensor(1 / np.log(1.10 + share), dtype=torch.float32)


def normalise(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Turn pixels of 0 to 255, (n, 3, height, width), into what the network sees."""
    mean = torch.tensor(spec.mean)[None, :, None, None]
    std = torch.tensor(spec.std)[None, :, None, None]
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
