"""Augment the patches of a batch as slides and scanners vary, together with their classes.

Geometry is one affine transform for each patch: pixels are interpolated bilinearly, and classes are taken
from the nearest pixel. Stains and colours are two more affine transforms: one of optical densities, one of
RGB. This costs a tenth of a chain of ready-made operations, and all random numbers come from the given
generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from wsi_seg.training.augment_recipe import AugmentSettings

HEMATOXYLIN, EOSIN = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105)
"""Absorption of the dyes in R, G, B, after Ruifrok and Johnston (2001)."""

YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""From R, G, B to luma and two axes of colour, which are zero for greys."""

DEEPEST, FILLINGS = 0.5, (225.0, 255.0)
"""Largest part of a patch that is cut off, and the greys with which scanners and their software fill it."""

INK_GREYS, INK_TINT, INK_GRAIN = (5.0, 70.0), 15.0, 8.0
"""How dark ink is, how far each colour is from that, and how much it varies from pixel to pixel (of 255)."""

INK_WIDTH, INK_BLOT = (0.03, 0.3), 8
"""Half the width of an inked line, as a part of the patch, and the side of a blot in pixels."""

BLUR_RADIUS = 4
"""Radius of the blur kernel in pixels; the widest blur is cut off where it falls below 3 %."""


@dataclass(frozen=True)
class Augmentation:
    """Cut patches out of the larger ones that were read, and augment them.

    Parameters
    ----------
    settings : AugmentSettings
    size : (int, int)
        Height and width of the resulting patches.
    beyond : int
        Class index of pixels where a patch is cut off.

    Raises
    ------
    UsageError
        If patches are to be rotated by quarter turns and are not square.
    """

    settings: AugmentSettings
    size: tuple[int, int]
    beyond: int = IGNORE

    def __post_init__(self) -> None:
        height, width = self.size
        if self.settings.quarter_turns and height != width:
            raise UsageError(
                f"patches of {width} x {height} pixels cannot be turned by quarters: make them square, "
                "or set quarter_turns to false"
            )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width to read, so that no scaled and rotated patch reaches outside."""
        s, (height, width) = self.settings, self.size
        if s.scaled == 0:
            return height, width
        # A rotated patch is widest where its diagonal lies along the axis, if the rotation is that large.
        spans = []
        for along, across in ((height, width), (width, height)):
            angle = min(math.radians(s.rotation), math.atan2(across, along))
            spans.append((along * math.cos(angle) + across * math.sin(angle)) / min(s.scale[0], 1))
        return math.ceil(spans[0] - 1e-6), math.ceil(spans[1] - 1e-6)

    @torch.no_grad()
    def __call__(self, rgb: Tensor, classes: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Where the input is larger than a patch, the patch is cut at a random place. Where it is smaller,
        pixels are mirrored at its edge, and their classes are unknown.

        Parameters
        ----------
        rgb : uint8 tensor, shape (batch, 3, H, W)
        classes : uint8 tensor, shape (batch, H, W)
            Class indices, `IGNORE` where unknown; on the same device.
        generator : Generator
            The source of all random numbers; best on the CPU, wherever the batch is.

        Returns
        -------
        rgb : float32 tensor, shape (batch, 3, height, width)
            Values of 0 to 255.
        classes : uint8 tensor, shape (batch, height, width)
        """
        s = self.settings
        draw = _Draw(len(rgb), generator, rgb.device)
        placement = _placement(s, self.size, (rgb.shape[2], rgb.shape[3]), draw)
        pixels, classes = _resample(rgb, classes, placement, self.size)
        if s.inked:
            classes = classes.masked_fill(_spread_ink(pixels, s, draw), self.beyond)
        if s.stain or s.stain_residual or s.stain_shift:
            pixels = _restain(pixels, s, draw)
        if s.brightness or s.contrast or s.saturation or s.hue:
            pixels = _recolour(pixels, s, draw)
        if s.blurred and s.blur:
            _blur(pixels, s, draw)
        if s.noisy and s.noise:
            _add_noise(pixels, s, draw)
        pixels.clamp_(0, 255)
        if not s.cut_off:
            return pixels, classes
        out, grey = _cut_off(s, self.size, draw)
        return torch.where(out.unsqueeze(1), grey, pixels), classes.masked_fill(out, self.beyond)


@dataclass(frozen=True)
class _Draw:
    """Random numbers, one for each patch of a batch, drawn on the generator's device and sent to the batch's.

    Small matrices are made on the generator's device, so that a GPU has few kernels to launch.
    """

    count: int
    generator: Generator
    device: torch.device

    def even(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(
            self.count, generator=self.generator, device=self.generator.device
        )

    def factor(self, change: float) -> Tensor:
        """Draw factors of 1 / (1 + change) to 1 + change."""
        return self.even(-math.log1p(change), math.log1p(change)).exp()

    def chosen(self, share: float) -> Tensor:
        """Choose this share of the patches, on average."""
        return self.even(0, 1) < share

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device).to(self.device)


def _placement(s: AugmentSettings, size: tuple[int, int], input_size: tuple[int, int], draw: _Draw) -> Tensor:
    """Draw where patches lie in the input, as the transforms (batch, 2, 3) that `affine_grid` takes.

    They map a patch's x and y to the input's, both from -1 to 1 between the outer edges.
    """
    scaled = draw.chosen(s.scaled)
    zoom = torch.where(scaled, draw.even(math.log(s.scale[0]), math.log(s.scale[1])).exp(), 1.0)
    angle = torch.where(scaled, draw.even(-s.rotation, s.rotation), 0.0)
    if s.quarter_turns:
        angle = angle + 90 * draw.even(0, 4).floor()
    mirror_x = torch.where(draw.chosen(0.5 if s.flip_horizontal else 0), -1.0, 1.0)
    mirror_y = torch.where(draw.chosen(0.5 if s.flip_vertical else 0), -1.0, 1.0)
    cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    turn = torch.stack([mirror_x * cos, -mirror_y * sin, mirror_x * sin, mirror_y * cos], 1)
    turn = turn.view(-1, 2, 2) / zoom.view(-1, 1, 1)

    whole = torch.tensor(input_size[::-1], dtype=turn.dtype, device=turn.device)
    patch = torch.tensor(size[::-1], dtype=turn.dtype, device=turn.device)
    span = (turn.abs() @ patch).round(decimals=3)
    spare = whole - span
    place = torch.stack([draw.even(0, 1), draw.even(0, 1)], 1)
    # By whole pixels, so that patches that are not scaled are not blurred.
    corner = torch.where(spare > 0, (place * (spare + 1)).floor().minimum(spare), (spare / 2).floor())
    middle = (2 * corner + span) / whole - 1
    return torch.cat([turn * patch / whole.view(2, 1), middle.unsqueeze(2)], 2).to(draw.device)


def _resample(
    rgb: Tensor, classes: Tensor, placement: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Read patches of `size` (height, width) out of the input."""
    grid = functional.affine_grid(placement, [len(rgb), 3, *size], align_corners=False)
    pixels = functional.grid_sample(rgb.float(), grid, "bilinear", "reflection", align_corners=False)
    # Pixels outside are read as zero, which is to become `IGNORE`.
    below = classes.unsqueeze(1).float() - IGNORE
    found = functional.grid_sample(below, grid, "nearest", "zeros", align_corners=False) + IGNORE
    return pixels, found.squeeze(1).to(torch.uint8)


def _restain(pixels: Tensor, s: AugmentSettings, draw: _Draw) -> Tensor:
    """Change the amounts of the dyes; optical densities are sums of these (colour deconvolution)."""
    dyes = _dyes().to(draw.generator.device)
    factors = torch.stack([draw.factor(s.stain), draw.factor(s.stain), draw.factor(s.stain_residual)], 1)
    shifts = torch.stack([draw.even(-s.stain_shift, s.stain_shift) for _ in range(2)], 1)
    change = dyes.T @ (factors.unsqueeze(2) * torch.linalg.inv(dyes.T))
    shift = dyes[:2].T @ shifts.unsqueeze(2)
    minus_density = pixels.add_(1).div_(256).log_()
    return _mapped(minus_density, change, -shift, draw).exp_().mul_(256).sub_(1).clamp_(0, 255)


def _recolour(pixels: Tensor, s: AugmentSettings, draw: _Draw) -> Tensor:
    """Change brightness, contrast, saturation and hue, all at once."""
    luma = torch.tensor(YIQ, device=draw.generator.device)
    light, contrast, saturation = (draw.factor(c) for c in (s.brightness, s.contrast, s.saturation))
    angle = torch.deg2rad(draw.even(-s.hue, s.hue))
    cos, sin = saturation * torch.cos(angle), saturation * torch.sin(angle)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], 1).view(-1, 3, 3)
    colour = torch.linalg.inv(luma) @ turn @ luma
    grey = pixels.mean((2, 3)) @ luma[0].to(draw.device)
    shift = (light * (1 - contrast)).to(draw.device) * grey
    return _mapped(pixels, (light * contrast).view(-1, 1, 1) * colour, shift.view(-1, 1, 1), draw)


def _mapped(pixels: Tensor, matrix: Tensor, shift: Tensor, draw: _Draw) -> Tensor:
    """Apply a matrix (batch, 3, 3) and a shift (batch, 3 or 1, 1) to the channels of each patch."""
    mapped = matrix.to(draw.device) @ pixels.flatten(2)
    return mapped.add_(shift.to(draw.device)).view_as(pixels)


def _blur(pixels: Tensor, s: AugmentSettings, draw: _Draw) -> None:
    """Blur some of the patches, in place."""
    sigma = draw.even(0, s.blur).clamp_min(0.05)
    chosen = draw.chosen(s.blurred).nonzero().squeeze(1)
    if len(chosen) == 0:
        return
    steps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=sigma.device)
    taps = torch.exp(-0.5 * (steps / sigma[chosen].unsqueeze(1)) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(3, 0).to(draw.device)
    chosen = chosen.to(draw.device)
    # Patches and colours side by side as channels, since each patch has a kernel of its own; channels last,
    # which CPUs convolve four times as fast.
    planes = pixels[chosen].flatten(0, 1).unsqueeze(0)
    planes = functional.pad(planes, (BLUR_RADIUS,) * 4, mode="replicate")
    planes = planes.contiguous(memory_format=torch.channels_last)
    planes = functional.conv2d(planes, taps.view(-1, 1, 1, taps.shape[1]), groups=len(taps))
    planes = functional.conv2d(planes, taps.view(-1, 1, taps.shape[1], 1), groups=len(taps))
    pixels[chosen] = planes.reshape(-1, *pixels.shape[1:])


def _add_noise(pixels: Tensor, s: AugmentSettings, draw: _Draw) -> None:
    """Add noise to some of the patches, in place: grey, as most noise is after demosaicking."""
    sigma = draw.even(0, s.noise)
    chosen = draw.chosen(s.noisy).nonzero().squeeze(1)
    noise = draw.normal(len(chosen), 1, *pixels.shape[2:])
    noise *= sigma[chosen].view(-1, 1, 1, 1).to(draw.device)
    chosen = chosen.to(draw.device)
    pixels[chosen] = pixels[chosen] + noise


def _spread_ink(pixels: Tensor, s: AugmentSettings, draw: _Draw) -> Tensor:
    """Spread ink over some of the patches, in place; return where, (batch, height, width)."""
    count, _, height, width = pixels.shape
    angle, offset = draw.even(0, math.pi), draw.even(-0.4, 0.4)
    half = draw.even(*INK_WIDTH)
    y = (torch.arange(height, device=angle.device) + 0.5) / height - 0.5
    x = (torch.arange(width, device=angle.device) + 0.5) / width - 0.5
    across = torch.cos(angle).view(-1, 1, 1) * x + torch.sin(angle).view(-1, 1, 1) * y.unsqueeze(1)
    nearness = 1 - ((across - offset.view(-1, 1, 1)).abs() / half.view(-1, 1, 1)) ** 2
    blots = draw.normal(count, 1, -(-height // INK_BLOT) + 1, -(-width // INK_BLOT) + 1)
    blots = functional.interpolate(blots, (height, width), mode="bilinear", align_corners=True).squeeze(1)
    nearness = nearness.to(draw.device)
    where = (nearness + blots > 0.5) & (nearness > 0)
    where &= draw.chosen(s.inked).view(-1, 1, 1).to(draw.device)
    grey = draw.even(*INK_GREYS).view(-1, 1, 1, 1).to(draw.device)
    ink = grey + INK_TINT * draw.normal(count, 3, 1, 1) + INK_GRAIN * draw.normal(count, 1, height, width)
    pixels.copy_(torch.where(where.unsqueeze(1), ink.clamp(0, 255), pixels))
    return where


def _cut_off(s: AugmentSettings, size: tuple[int, int], draw: _Draw) -> tuple[Tensor, Tensor]:
    """Draw where some of the patches are cut off on one side, (batch, height, width), and the greys there."""
    side, depth, grey = draw.even(0, 4).floor(), draw.even(0, DEEPEST), draw.even(*FILLINGS)
    depth = torch.where(draw.chosen(s.cut_off), depth, 0).unsqueeze(1)
    backward, across = (side % 2 == 1).unsqueeze(1), (side >= 2).unsqueeze(1)
    beyond = []
    for length, on_this_axis in zip(size, (~across, across), strict=True):
        place = ((torch.arange(length, device=depth.device) + 0.5) / length).expand(draw.count, -1)
        beyond.append((torch.where(backward, 1 - place, place) < depth) & on_this_axis)
    out = beyond[0].unsqueeze(2) | beyond[1].unsqueeze(1)
    return out.to(draw.device), grey.view(-1, 1, 1, 1).to(draw.device)


def _dyes() -> Tensor:
    """Return haematoxylin, eosin and a vector at right angles to both, as rows of unit length."""
    first, second = (functional.normalize(torch.tensor(dye), dim=0) for dye in (HEMATOXYLIN, EOSIN))
    return torch.stack([first, second, functional.normalize(torch.linalg.cross(first, second), dim=0)])
