"""Match the predicted classes with those of the truth, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.evaluation.metrics import NONE_FOUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema


def match_classes(
    found: ClassSchema, truth: ClassSchema, owner: str, other: str | None = None
) -> NDArray[np.uint8]:
    """Find the truth's class for each label value.

    A predicted class is matched with the truth's class of the same name or alias; several may match the same
    one. For predicted classes that the truth lacks, no class counts as found.

    Parameters
    ----------
    found, truth : ClassSchema
    owner : str
        What the error calls the owner of the predicted classes.
    other : str, optional
        What the error calls the owner of the truth's classes; by default the schema's name.

    Returns
    -------
    uint8 array, shape (256,)
        For each label value a class index of the truth, or `NONE_FOUND`.

    Raises
    ------
    UsageError
        If the truth has classes that are not among the predicted ones: one line with all of them.
    """
    table = np.full(256, NONE_FOUND, np.uint8)
    for c in found.classes:
        index = truth.index_of(c.name)
        if index is not None:
            table[c.id] = index
    for index, c in enumerate(truth.classes):
        place = found.index_of(c.name)  # by an alias of the predicted classes
        if place is not None and table[found.ids[place]] == NONE_FOUND:
            table[found.ids[place]] = index
    missing = [c.name for index, c in enumerate(truth.classes) if index not in table]
    if missing:
        own = ", ".join(c.name for c in found.classes)
        raise UsageError(
            f"{owner}: its classes ({own}) lack {', '.join(map(repr, missing))} of "
            f"{other or repr(truth.name)}, which the truth has: give --classes with names or aliases that "
            "agree"
        )
    return table
