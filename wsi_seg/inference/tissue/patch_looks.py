"""What patches of tissue look like: to the eye, by their stain and sharpness, and to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from wsi_seg.models.remembered import RememberedTissue, Spread, rounded
from wsi_seg.slides.stain import Stain, densities, stained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from wsi_seg.models.network_config import NetworkConfig

    Sight = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float64], float]]
    """What a network sees in a patch, (height, width, 3): its features, and how confident it is."""

SIDE = 256
"""Of a patch in pixels, where the network takes any."""

EVERY = 7
"""So many-th pixels of a patch count for the stain of all."""

FEWEST_STAINED = 100
"""Pixels of a patch, for their density to count, and not that of all its pixels."""


def patch_side(config: NetworkConfig) -> int:
    """Return the side in pixels of the patches that are looked at."""
    return config.side or SIDE


class _Look(NamedTuple):
    """One patch; `sample` are some of its pixels, (n, 3)."""

    rgb_mean: NDArray[np.float64]
    rgb_square: NDArray[np.float64]
    density: NDArray[np.float64]
    sharpness: float
    confidence: float
    features: NDArray[np.float64]
    sample: NDArray[np.uint8]


@dataclass(frozen=True)
class Looks:
    """Patches of tissue, one a row.

    Attributes
    ----------
    rgb_mean, rgb_square : float array, shape (n, 3)
        Means of the pixels' values, and of their squares.
    density : float array, shape (n, 3)
        Mean optical density of the stained pixels.
    sharpness, confidence : float array, shape (n, 1)
        As in `RememberedTissue`.
    features : float array, shape (n, features)
    stain : Stain or None
        Of all patches together; None where too few pixels are stained.
    """

    rgb_mean: NDArray[np.float64]
    rgb_square: NDArray[np.float64]
    density: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    confidence: NDArray[np.float64]
    features: NDArray[np.float64]
    stain: Stain | None

    @classmethod
    def at(cls, patches: Iterable[NDArray[np.uint8]], sight: Sight) -> Self | None:
        """Look at patches, one after another; None if there are none.

        Parameters
        ----------
        patches : iterable of uint8 array, shape (height, width, 3)
            RGB, of the size that `patch_side` says.
        sight : callable
            What the network sees in a patch: `sight_by_pytorch` or `sight_by_kernels`.
        """
        seen = [_look(rgb, sight) for rgb in patches]
        if not seen:
            return None
        return cls(
            rgb_mean=np.stack([look.rgb_mean for look in seen]),
            rgb_square=np.stack([look.rgb_square for look in seen]),
            density=np.stack([look.density for look in seen]),
            sharpness=np.array([[look.sharpness] for look in seen]),
            confidence=np.array([[look.confidence] for look in seen]),
            features=np.stack([look.features for look in seen]),
            stain=Stain.of(np.concatenate([look.sample for look in seen])),
        )

    def remembered(self, mpp: float) -> RememberedTissue:
        """Sum up what training patches look like, at a resolution, for the model's file."""
        mean = self.rgb_mean.mean(axis=0)
        std = np.sqrt((self.rgb_square.mean(axis=0) - mean**2).clip(0))
        return RememberedTissue.model_validate(
            {
                "patches": len(self.rgb_mean),
                "mpp": mpp,
                "rgb_mean": rounded(mean),
                "rgb_std": rounded(std),
                "stain": None if self.stain is None else _stored(self.stain),
                "density": Spread.of(self.density),
                "sharpness": Spread.of(self.sharpness),
                "confidence": Spread.of(self.confidence),
                "features": Spread.of(self.features),
            }
        )


def _stored(stain: Stain) -> dict[str, object]:
    dyes = stain.dyes
    return {
        "white": rounded(stain.white),
        "mean": rounded(stain.mean),
        "covariance": [rounded(row) for row in stain.covariance],
        "dyes": dyes
        and {"directions": [rounded(row) for row in dyes.directions], "amounts": rounded(dyes.amounts)},
    }


def _look(rgb: NDArray[np.uint8], sight: Sight) -> _Look:
    features, confidence = sight(rgb)
    density = densities(rgb)
    found = stained(density)
    values = rgb.reshape(-1, 3).astype(np.float64)
    return _Look(
        rgb_mean=values.mean(axis=0),
        rgb_square=(values**2).mean(axis=0),
        density=(found if len(found) >= FEWEST_STAINED else density.reshape(-1, 3)).mean(axis=0),
        sharpness=_sharpness(density.mean(axis=2)),
        confidence=confidence,
        features=features,
        sample=rgb.reshape(-1, 3)[::EVERY],
    )


def _sharpness(density: NDArray[np.float64]) -> float:
    """Compare the contrast between neighbouring pixels, (height, width), with that of all of them."""
    inner = density[1:-1, 1:-1]
    beside = density[:-2, 1:-1] + density[2:, 1:-1] + density[1:-1, :-2] + density[1:-1, 2:]
    return float(np.log((4 * inner - beside).std() + 1e-3) - np.log(density.std() + 1e-3))
