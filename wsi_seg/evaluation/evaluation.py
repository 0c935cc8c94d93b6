"""The result of an evaluation: how labels agree with the truth, for each source and in total."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import UsageError
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.evaluation.near_outlines import away_from_outlines
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.evaluation.benchmarks import Figures
    from wsi_seg.evaluation.near_outlines import Away
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema


@dataclass(eq=False)
class Tally:
    """How labels agree with the truth in one image or slide, or in a part of one.

    Attributes
    ----------
    name : str
        Name of the image or slide.
    confusion : Confusion
    away : Confusion
        Of the pixels that are not near an outline; empty where nothing was outlined by hand.
    unprocessed, outside : int
        Pixels of known class that were not processed: unreadable ones, or those outside of the region of
        interest. The confusion matrix has them among those for which no class was found.
    """

    name: str
    confusion: Confusion
    away: Confusion
    unprocessed: int = 0
    outside: int = 0

    @classmethod
    def empty(cls, name: str, classes: int) -> Self:
        """Begin with no pixels."""
        return cls(name, Confusion.empty(classes), Confusion.empty(classes))

    def add(
        self,
        truth: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        table: NDArray[np.uint8],
        near: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count pixels.

        Parameters
        ----------
        truth : uint8 array
            Class indices, or `IGNORE`.
        labels : uint8 array of the same shape
            Label values.
        table : uint8 array, shape (256,)
            The truth's class index for each label value, as `match_classes` returns it.
        near : bool array of the same shape as the truth, optional
            Which pixels are near an outline.
        """
        self.confusion.add(truth, table[labels])
        if near is not None:
            self.away.add(truth[~near], table[labels[~near]])
        known = truth != IGNORE
        self.unprocessed += int(np.count_nonzero(known & (labels == UNPROCESSED_ID)))
        self.outside += int(np.count_nonzero(known & (labels == OUTSIDE_ID)))

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.name,
            self.confusion + other.confusion,
            self.away + other.away,
            self.unprocessed + other.unprocessed,
            self.outside + other.outside,
        )


@dataclass(frozen=True)
class Evaluation:
    """How labels agree with the truth.

    Attributes
    ----------
    subject : str
        What is evaluated: a model, or finished results.
    data : str
        What it is evaluated on.
    schema : ClassSchema
        The truth's classes.
    tallies : tuple of Tally
        One for each image or slide.
    benchmark : Figures or None
        The scores of the benchmark that the data belong to.
    remarks : tuple of str
        What users should know about the model and the truth, a line each.
    details : dict
        Other contents of a report: fingerprints, settings.
    """

    subject: str
    data: str
    schema: ClassSchema
    tallies: tuple[Tally, ...]
    benchmark: Figures | None = None
    remarks: tuple[str, ...] = ()
    details: dict[str, JsonValue] = field(default_factory=dict)

    @cached_property
    def total(self) -> Tally:
        """All sources together: one confusion matrix over the whole set."""
        total = Tally.empty("all", len(self.schema))
        for tally in self.tallies:
            total = total + tally
        return total

    @property
    def away(self) -> Away | None:
        """The scores away from outlines beside all; None of images, or if every known pixel is near one."""
        return away_from_outlines(self.total.confusion, self.total.away)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each class index."""
        return tuple(c.name for c in self.schema.classes)

    def checked(self, known: Sequence[str] = ()) -> Evaluation:
        """Return this evaluation.

        Parameters
        ----------
        known : sequence of str
            What is known of the data, which may say why there was nothing to compare with.

        Raises
        ------
        UsageError
            If there was nothing to compare with.
        """
        if not self.total.confusion.pixels:
            more = f" ({'; '.join(known)})" if known else ""
            raise UsageError(
                f"{self.data}: no pixel of known class: give images with masks, or outlined areas{more}"
            )
        return self


def notices(bundle: ModelBundle) -> tuple[str, ...]:
    """Return the notice that a model's users must see."""
    return () if bundle.notice is None else (bundle.notice,)
