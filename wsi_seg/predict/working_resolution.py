"""The resolution at which a model looks at slides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import ModelError

if TYPE_CHECKING:
    from wsi_seg.models.described import DescribedModel
    from wsi_seg.settings import LabelSettings


def takes_slides(bundle: DescribedModel, labels: LabelSettings) -> bool:
    """Return whether the working resolution is known: a model without one is for plain images."""
    return (labels.working_mpp or bundle.input.mpp) is not None


def working_mpp(bundle: DescribedModel, labels: LabelSettings) -> float:
    """Return the working resolution for slides, in micrometres per pixel.

    Raises
    ------
    ModelError
        If neither the settings nor the model states it.
    """
    mpp = labels.working_mpp or bundle.input.mpp
    if mpp is None:
        raise ModelError(
            f"{bundle.path}: states no working resolution, so it is not a model for slides: "
            "give --working-mpp if you know it, or use it on plain images"
        )
    return mpp
