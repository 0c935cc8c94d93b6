"""What a model's training tissue looked like: a part of the model file, or a small file beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from wsi_seg.errors import ModelError
from wsi_seg.files.document import Document, DocumentError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Triple = tuple[Number, Number, Number]

BESIDE = ".tissue.json"
"""End of the name of the file beside a model file, in the place of ``.safetensors``."""

DIGITS = 5
"""Significant digits that are stored."""

ROUNDING = 1e-3
"""By which what is stored may miss what it must be."""

SMALLEST = 1e-4
"""Standard deviation that is stored at least: features that are always 0 have none."""


class Spread(BaseModel):
    """A quantity of one or more numbers, over patches.

    Attributes
    ----------
    mean : tuple of float
    std : tuple of float
        Standard deviations between patches.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    mean: Annotated[tuple[Number, ...], Field(min_length=1, max_length=1024)]
    std: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=1024)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means, but {len(self.std)} standard deviations")
        return self

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Self:
        """Sum up the values of patches, shape (patches, numbers)."""
        return cls(mean=rounded(values.mean(axis=0)), std=rounded(values.std(axis=0).clip(SMALLEST)))


class RememberedDyes(BaseModel):
    """Two dyes, haematoxylin first: see `wsi_seg.slides.stain.Dyes`.

    Attributes
    ----------
    directions : two of (float, float, float)
        Optical density of each in R, G and B, of length 1.
    amounts : (float, float)
        Density along that direction which one stained pixel in a hundred has more of.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    directions: tuple[Triple, Triple]
    amounts: tuple[Positive, Positive]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if np.abs(np.linalg.norm(self.directions, axis=1) - 1).max() > ROUNDING:
            raise ValueError("a dye's direction is not of length 1")
        if np.abs(np.cross(*self.directions)).max() < ROUNDING / 2:
            raise ValueError("both dyes have the same direction")
        return self


class RememberedStain(BaseModel):
    """The stain of all patches together: see `wsi_seg.slides.stain.Stain`.

    Attributes
    ----------
    white, mean : (float, float, float)
        Optical density in R, G and B of the palest pixels, and mean of the stained ones.
    covariance : three of (float, float, float)
        Of the stained pixels.
    dyes : RememberedDyes or None
        None where two dyes could not be distinguished.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    white: Triple
    mean: Triple
    covariance: tuple[Triple, Triple, Triple]
    dyes: RememberedDyes | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        matrix = np.array(self.covariance)
        scale = max(np.abs(matrix).max(), SMALLEST)
        if np.abs(matrix - matrix.T).max() > ROUNDING * scale:
            raise ValueError("the stain's covariance is not symmetric")
        if np.linalg.eigvalsh(matrix)[0] < -ROUNDING * scale:
            raise ValueError("the stain's covariance has a negative variance")
        return self


class RememberedTissue(Document):
    """What the tissue looked like that a model was trained on, in patches of it.

    Attributes
    ----------
    model : str or None
        Fingerprint of the model, in a file of its own beside the model file.
    patches : int
        How many were looked at.
    mpp : float
        Their micrometres per pixel.
    rgb_mean, rgb_std : (float, float, float)
        Of their pixels, 0 to 255.
    stain : RememberedStain or None
        None where too few pixels are stained.
    density : Spread
        Mean optical density (natural logarithm) of a patch's stained pixels in R, G and B.
    sharpness : Spread
        Natural logarithm of a patch's contrast between neighbouring pixels, over its contrast as a whole.
    confidence : Spread
        Mean confidence of the model in a patch, 0 to 1.
    features : Spread
        The model's deepest maps, each averaged over a patch.
    """

    model: str | None = None
    patches: Count
    mpp: Positive
    rgb_mean: Triple
    rgb_std: Triple
    stain: RememberedStain | None = None
    density: Spread
    sharpness: Spread
    confidence: Spread
    features: Spread


def rounded(values: NDArray[np.floating]) -> tuple[float, ...]:
    """Return numbers with the digits that are stored."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.ravel().tolist())


def tissue_beside(path: Path, fingerprint: str) -> RememberedTissue | None:
    """Read what lies beside a model file that remembers no tissue itself; None if nothing does.

    Raises
    ------
    ModelError
        If the file cannot be read, is damaged, of a newer format, or of another model.
    """
    beside = path.with_name(path.name.removesuffix(".safetensors") + BESIDE)
    if not beside.is_file():
        return None
    try:
        tissue = RememberedTissue.read(beside, "delete it, or get it again")
    except DocumentError as error:
        raise ModelError(str(error)) from error
    if tissue.model != fingerprint:
        raise ModelError(f"{beside}: not the training tissue of {path.name}: delete it, or get it again")
    return tissue
