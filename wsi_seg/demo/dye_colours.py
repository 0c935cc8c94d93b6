"""Turn amounts of dye into colours, as stain and scanner do: Beer-Lambert, white level, gamma and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Floats

Rgb = tuple[float, float, float]

HEMATOXYLIN: tuple[Rgb, Rgb] = ((0.65, 0.70, 0.29), (0.56, 0.72, 0.41))
EOSIN: tuple[Rgb, Rgb] = ((0.07, 0.95, 0.30), (0.22, 0.80, 0.56))
"""Absorption per unit of dye in R, G, B: the ends of the range of laboratories and scanners, from Ruifrok and
Johnston (2001) to Macenko et al. (2009)."""

INKS: tuple[Rgb, ...] = ((2.2, 0.7, 1.5), (2.2, 1.6, 0.5), (1.6, 1.7, 1.8))
"""Green, blue and black pen."""


@dataclass(frozen=True)
class Dyes:
    """Amounts of each absorber, shape (height, width), float32; None if there is none."""

    hematoxylin: Floats
    eosin: Floats
    red_cells: Floats | None
    ink: Floats | None


@dataclass(frozen=True)
class Stain:
    """A laboratory's stain and a scanner.

    Attributes
    ----------
    hematoxylin, eosin, red_cells, ink : (float, float, float)
        Absorption (natural log) per unit of dye in R, G, B.
    white : (float, float, float)
        Brightness of empty glass in R, G, B, 0 to 1.
    gamma : float
        Exponent on the transmitted light, 1 for a linear scanner.
    blur_um : float
        Standard deviation of the scanner's blur in micrometres.
    noise : float
        Standard deviation of the sensor's noise in grey values of 255.
    """

    hematoxylin: Rgb = (0.62, 0.71, 0.34)
    eosin: Rgb = (0.13, 0.88, 0.42)
    red_cells: Rgb = (0.16, 1.25, 0.86)
    ink: Rgb = INKS[0]
    white: Rgb = (0.945, 0.94, 0.95)
    gamma: float = 1.0
    blur_um: float = 0.35
    noise: float = 1.6

    @classmethod
    def random(cls, seed: int, spread: float = 1.0) -> Stain:
        """Draw a stain and a scanner; `spread` 0 gives the middle of the range, 1 most of the usual range."""
        rng = np.random.default_rng([seed, 0x57A1])
        default = cls()

        def between(ends: tuple[Rgb, Rgb], strength: float) -> Rgb:
            t = 0.5 + spread * rng.uniform(-0.5, 0.5)
            jitter = 1 + spread * rng.uniform(-0.06, 0.06, 3)
            mixed = (np.array(ends[0]) * (1 - t) + np.array(ends[1]) * t) * jitter * strength
            return (float(mixed[0]), float(mixed[1]), float(mixed[2]))

        strength = float(np.exp(spread * rng.uniform(-0.35, 0.3)))
        balance = float(np.exp(spread * rng.uniform(-0.28, 0.28)))
        hematoxylin = between(HEMATOXYLIN, strength * balance)
        eosin = between(EOSIN, strength / balance)
        red = tuple(
            float(v) * strength
            for v in np.array(default.red_cells) * (1 + spread * rng.uniform(-0.2, 0.2, 3))
        )
        grey = 0.945 + spread * rng.uniform(-0.075, 0.045)
        tint = spread * rng.uniform(-0.018, 0.018, 3)
        white = tuple(float(v) for v in np.clip(grey + tint, 0, 1))
        return cls(
            hematoxylin=hematoxylin,
            eosin=eosin,
            red_cells=(red[0], red[1], red[2]),
            ink=INKS[int(rng.integers(len(INKS)))],
            white=(white[0], white[1], white[2]),
            gamma=float(np.exp(spread * rng.uniform(-0.16, 0.16))),
            blur_um=0.35 + spread * float(rng.uniform(-0.25, 0.5)),
            noise=max(0.0, 1.6 + spread * float(rng.uniform(-1.2, 2.0))),
        )

    def develop(self, dyes: Dyes, first_xy: tuple[int, int], salt: int) -> NDArray[np.uint8]:
        """Turn amounts of dye into an image.

        Parameters
        ----------
        dyes : Dyes
            Amounts, shape (height, width).
        first_xy : (int, int)
            Column and row of the first pixel in the slide; the noise depends on it.
        salt : int
            Salt of the noise.

        Returns
        -------
        ndarray, shape (height, width, 3), uint8
        """
        height, width = dyes.eosin.shape
        rgb = np.empty((height, width, 3), np.uint8)
        columns = np.arange(first_xy[0], first_xy[0] + width)[None, :]
        rows = np.arange(first_xy[1], first_xy[1] + height)[:, None]
        # Shared by the channels: a scanner's noise is mostly grey after demosaicking.
        grain = (uniform(columns, rows, salt) - np.float32(0.5)) * np.float32(self.noise * 12**0.5)
        for channel in range(3):
            density = dyes.hematoxylin * np.float32(self.hematoxylin[channel])
            density += dyes.eosin * np.float32(self.eosin[channel])
            if dyes.red_cells is not None:
                density += dyes.red_cells * np.float32(self.red_cells[channel])
            if dyes.ink is not None:
                density += dyes.ink * np.float32(self.ink[channel])
            density *= np.float32(-self.gamma)
            light = np.exp(density, out=density)
            light *= np.float32(255 * self.white[channel])
            light += grain
            light += np.float32(0.5)
            rgb[..., channel] = np.clip(light, 0, 255, out=light)
        return rgb


def blur(field: Floats, sigma_px: float) -> Floats:
    """Blur with binomial taps; the result is `blur_margin` pixels smaller on every side.

    Parameters
    ----------
    field : ndarray, shape (height, width)
    sigma_px : float
        Standard deviation in pixels.

    Returns
    -------
    ndarray, shape (height - 2 margin, width - 2 margin)
    """
    passes = blur_margin(sigma_px)
    if not passes:
        return field
    side = np.float32(sigma_px**2 / passes / 2)
    middle = np.float32(1) - 2 * side
    for _ in range(passes):
        field = side * (field[:, :-2] + field[:, 2:]) + middle * field[:, 1:-1]
        field = side * (field[:-2] + field[2:]) + middle * field[1:-1]
    return field


def blur_margin(sigma_px: float) -> int:
    """Pixels that `blur` needs around its result: one for each pass of three taps."""
    return 0 if sigma_px < 0.2 else int(np.ceil(sigma_px**2 / 0.5))
