"""What each label pixel counts as: one of the classes, unprocessed, outside, or not of the region at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import OutputError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema

LABEL_VALUES = 256


@dataclass(frozen=True)
class Kinds:
    """The kinds of pixels of a result: its classes in the schema's order, and then three others.

    Attributes
    ----------
    schema : ClassSchema
    """

    schema: ClassSchema

    @property
    def classes(self) -> int:
        """The number of classes; kind ``i`` below it is ``schema.classes[i]``."""
        return len(self.schema)

    @property
    def unprocessed(self) -> int:
        """The kind of pixels that could not be read."""
        return self.classes

    @property
    def outside(self) -> int:
        """The kind of pixels that were not asked for: outside of the tissue, or of a region of interest."""
        return self.classes + 1

    @property
    def beyond(self) -> int:
        """The kind of pixels that are not measured: beyond the region's outline, or off the slide."""
        return self.classes + 2

    def __len__(self) -> int:
        return self.classes + 3

    @cached_property
    def _table(self) -> NDArray[np.uint16]:
        """The kind of each label value; one too large for values that no class has."""
        table = np.full(LABEL_VALUES, len(self), dtype=np.uint16)
        table[list(self.schema.ids)] = np.arange(self.classes)
        table[UNPROCESSED_ID], table[OUTSIDE_ID] = self.unprocessed, self.outside
        return table

    def of(self, labels: NDArray[np.uint8], path: Path) -> NDArray[np.uint16]:
        """Return the kind of each label pixel.

        Raises
        ------
        OutputError
            Naming `path`, if a label value is not in the schema.
        """
        kinds: NDArray[np.uint16] = self._table[labels]
        if kinds.size and kinds.max() == len(self):
            value = int(labels[kinds == len(self)][0])
            raise OutputError(
                f"{path}: the labels hold class {value}, which is not in the class schema "
                f"{self.schema.name!r}: use the schema that the labels were made with"
            )
        return kinds
