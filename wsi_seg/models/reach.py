"""How far a network sees: an impulse test, for any network that maps images to logits.

Two copies of an image go through the network. They differ in one pixel, or in everything beyond a line, like
the surroundings of a pixel near the edge of a patch. Where and by how much their logits differ shows how much
context a pixel needs, and so how wide a halo must be. This is measured, and not computed from the sizes of
kernels, because distant pixels may affect the logits very little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Segment = Callable[[Tensor], Tensor]

RGB = 3
SIDE = 512
"""Longer side of the test images: the line is at three quarters, so the test sees some 340 pixels far."""

NARROW = 2
"""The other side is this many times shorter: changes are averaged along the line."""

RUNS = 8
"""Runs of the network in one measurement."""

SHARE = 0.03
"""Changes of the logits up to this share of the largest change are ignored. With it, the built-in model's
reach is 82 pixels; the labels of slides show that a halo of 96 is enough (benchmarks/results/seams.md)."""

PHASE = 11
"""Distance in pixels by which each line is shifted from the one before, to another phase of the strides."""

SCALES = (1, 4, 16, 64)
"""Sizes of the backgrounds' texture, in pixels."""

IMPULSE = 3.0
"""Value of a changed pixel, in standard deviations: about the largest that pixels have."""


@dataclass(frozen=True)
class Reach:
    """How far a network sees: the distance within which the image affects a pixel's logits.

    Attributes
    ----------
    pixels : int or None
        Everything further away than this, taken together, changes logits by no more than `share` of the
        largest change. None if it is unbounded, or further than the test sees.
    probed : int
        How far the test sees, in pixels.
    share : float
    flips : float
        Share of the pixels further away than that (or than half of `probed`) whose class changes if
        everything beyond the line changes.
    """

    pixels: int | None
    probed: int
    share: float
    flips: float

    def halo(self, alignment: int) -> int | None:
        """Return the context in pixels that patches need on every side, rounded up to a multiple.

        None if it is unbounded: then a pixel's class depends on its patch.
        """
        return None if self.pixels is None else -(-self.pixels // alignment) * alignment

    def __str__(self) -> str:
        far = f"more than {self.probed} px" if self.pixels is None else f"{self.pixels} px"
        return f"{far} (where what lies beyond changes logits by {self.share:.0%} of the most)"


@torch.no_grad()
def measure_reach(
    segment: Segment, side: int = SIDE, share: float = SHARE, seed: int = 0, *, square: bool = False
) -> Reach:
    """Measure how far a network sees, by `RUNS` runs of it.

    Parameters
    ----------
    segment : callable
        Maps normalised images, float32 (1, 3, height, width), to logits (1, classes, height / s, width / s).
    side : int
        Longer side of the test images in pixels; the other is half as long. The network must take both.
    share : float
        Changes of the logits up to this share of the largest change are ignored. A change is the largest one
        of all channels, minus their common part; averaged along the line, or the largest on a ring around a
        pixel.
    seed : int
        Seed of the backgrounds.
    square : bool
        Whether the network takes only square images.

    Raises
    ------
    ValueError
        If the network gives logits that are not finite.

    Examples
    --------
    A mean over 9 x 9 pixels reaches 4 pixels far:

    >>> blur = torch.nn.Conv2d(3, 2, 9, padding=4)
    >>> measure_reach(blur, side=64).pixels
    4
    """
    generator = torch.Generator().manual_seed(seed)
    size = (side if square else side // NARROW, side)
    tests = [_along_an_axis(segment, size, axis, generator) for axis in (0, 1)]
    all_lines = [line for lines, _ in tests for line in lines]
    probed = min(int(line.distance.max()) for line in all_lines)
    lines = _Changes.joined(all_lines)
    far = max(lines.reach(share), _Changes.joined([pixel for _, pixel in tests]).reach(share))
    if far > probed * 7 // 8:  # too close to the end of what the test sees
        return Reach(None, probed, share, lines.flipped(probed // 2))
    return Reach(far, probed, share, lines.flipped(far))


@dataclass(frozen=True)
class _Changes:
    """Changes of logits by distance, (n,) each: distance, change, and share of changed classes."""

    distance: Tensor
    change: Tensor
    flips: Tensor
    largest: float

    @classmethod
    def joined(cls, parts: Sequence[_Changes]) -> _Changes:
        """Join the tests of several backgrounds, each relative to its own largest change."""
        change = torch.cat([part.change / part.largest if part.largest else part.change for part in parts])
        distance, flips = (torch.cat([getattr(p, of) for p in parts]) for of in ("distance", "flips"))
        return cls(distance, change, flips, 1.0)

    @classmethod
    def left_of(cls, line: int, change: Tensor, flips: Tensor, width: int) -> _Changes:
        """Collect the changes (h, w) left of a line, averaged along it, in an image of that width."""
        change, flips = change.mean(dim=0), flips.mean(dim=0)
        starts = torch.arange(len(change)) * (width // len(change))
        left = starts < line
        return cls(line - starts[left], change[left], flips[left], change.max().item())

    @classmethod
    def around(cls, place: tuple[int, int], change: Tensor, flips: Tensor, size: tuple[int, int]) -> _Changes:
        """Collect the changes (h, w) around the pixel of that row and column, in an image of that size."""
        aways = []
        for at, cells, side in zip(place, change.shape, size, strict=True):
            stride = side // cells
            starts = torch.arange(cells) * stride
            # The furthest pixel of a cell of several pixels.
            aways.append(torch.maximum((at - starts).abs(), (starts + stride - 1 - at).abs()))
        ring = torch.maximum(aways[0][:, None], aways[1][None])
        return cls(ring.flatten(), change.flatten(), flips.flatten(), change.max().item())

    def reach(self, share: float) -> int:
        """Return the largest distance with a change above a share of the largest one."""
        seen = self.distance[self.change > share * self.largest]
        return int(seen.max()) if len(seen) else 0

    def flipped(self, beyond: int) -> float:
        """Return the share of changed classes beyond a distance."""
        far = self.flips[self.distance > beyond]
        return far.mean().item() if len(far) else 0.0


def _along_an_axis(
    segment: Segment, size: tuple[int, int], axis: int, generator: torch.Generator
) -> tuple[list[_Changes], _Changes]:
    """Change everything beyond a line, near each end of the longer side; then one pixel in the middle.

    For the other axis, the image is rotated by 90 degrees before the network.
    """
    height, width = size
    image = _background(size, generator)
    before = _turned(segment, image, axis)
    lines = []
    for end in (0, 1):
        phase = (2 * axis + end) * PHASE % (width // 8)
        line, other = width * 3 // 4 + phase, _background(size, generator)
        beyond = torch.where(torch.arange(width) < line, _mirrored(image, end), other)
        after = _turned(segment, _mirrored(beyond, end), axis)
        changes = _differences(_mirrored(before, end), _mirrored(after, end))
        lines.append(_Changes.left_of(line, *changes, width))
    place = (height // 2 + axis * PHASE, width // 2 + axis * PHASE)
    pixel = image.clone()
    pixel[..., place[0], place[1]] = IMPULSE if axis else -IMPULSE
    return lines, _Changes.around(place, *_differences(before, _turned(segment, pixel, axis)), size)


def _mirrored(image: Tensor, end: int) -> Tensor:
    """Return an image, or logits, (..., width), flipped so that the end under test is on the right."""
    return image.flip(-1) if end else image


def _turned(segment: Segment, image: Tensor, axis: int) -> Tensor:
    """Return the logits, (classes, h, w), of an image that is rotated before the network, rotated back."""
    logits = segment(torch.rot90(image, axis, (2, 3)).contiguous())
    return torch.rot90(logits, -axis, (2, 3))[0].float()


def _differences(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Return the change of the logits at each pixel, and whether its class changes, both (h, w)."""
    difference = after - before
    if not torch.isfinite(difference).all():
        raise ValueError("it gives logits that are NaN or infinite")
    # A change that all channels have in common changes no class.
    change = (difference - difference.mean(dim=0)).abs().amax(dim=0)
    return change, (before.argmax(dim=0) != after.argmax(dim=0)).float()


def _background(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return an image of random coarse and fine texture, (1, 3, *size), of mean 0 and variance 1."""
    image = torch.zeros(1, RGB, *size)
    for scale in SCALES:
        cells = [max(2, side // scale) for side in size]
        noise = torch.randn(1, RGB, *cells, generator=generator)
        image += functional.interpolate(noise, size, mode="bilinear", align_corners=False)
    return (image - image.mean()) / image.std()
