"""What a training says of its own limits: on the console, in the report and in the model's record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from wsi_seg.evaluation.tables import aligned
from wsi_seg.training.data.class_extents import ENOUGH_MM2, ENOUGH_PIECES, SCATTER, can_tell

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.evaluation.near_outlines import Away
    from wsi_seg.training.data.class_extents import ClassExtent
    from wsi_seg.training.data.unshown import Unshown

Range: TypeAlias = "tuple[float, float]"

HEADINGS = ("Class", "Outlines", "mm2 trained on", "mm2 kept out", "Pieces", "IoU", "From", "To")
TRUSTED = "Trusted"

NOTHING_KEPT_OUT = (
    "Nothing was kept out: the scores are on what was trained on. They say whether it could be learned, and "
    "nothing about tissue that was not outlined."
)

RISE = 0.01
"""Mean IoU by which the last validations must be above all before, for them to count as rising."""


class Rise(NamedTuple):
    """The best mean IoU among the last third of the validations, and among those before."""

    late: float
    early: float

    @property
    def rising(self) -> bool:
        """Whether more time would probably help."""
        return self.late > self.early + RISE


@dataclass(frozen=True)
class Ranges:
    """How far scores scatter.

    Attributes
    ----------
    mean : (float, float) or None
        Of the mean IoU; None where too few places show a class.
    classes : tuple of (float, float) or None
        Of each class's IoU.
    places : int
        That were drawn from; 0 if nothing was kept out.
    unit : str
        What the places are: "tiles", "slides" or "images".
    """

    mean: Range | None
    classes: tuple[Range | None, ...]
    places: int
    unit: str

    @property
    def method(self) -> str:
        """How the ranges were found, or why there are none."""
        if not self.places:
            return "no ranges: nothing was kept out"
        if self.mean is None and not any(self.classes):
            return f"no ranges: too few of the {self.places} {self.unit} kept out show each class"
        return (
            f"the middle 90 % of 1000 draws of {self.places} {self.unit} kept out, with repetition; "
            "it says how far these places differ, not how far other slides do"
        )


@dataclass(frozen=True)
class Limits:
    """How far a training can be relied on.

    Attributes
    ----------
    classes : tuple of ClassExtent
    iou : tuple of float
        Of each class, NaN where there is none.
    ranges : Ranges
    away : Away or None
        The scores away from outlines; None of images with masks.
    weights : str
        Which weights were kept, and why.
    steps : int
        That were done.
    enough_steps : int or None
        That the recipe needs.
    rise : Rise or None
        Of the validations; None where they cannot tell.
    continue_with : str or None
        Command that continues the training, if it was given minutes.
    unshown : Unshown or None
        Tissue that no outline shows; None where it was not looked for.
    """

    classes: tuple[ClassExtent, ...]
    iou: tuple[float, ...]
    ranges: Ranges
    away: Away | None
    weights: str
    steps: int
    enough_steps: int | None
    rise: Rise | None
    continue_with: str | None
    unshown: Unshown | None

    @property
    def kept_out(self) -> bool:
        """Whether a part was kept out, on which the scores are."""
        return any(each.unseen for each in self.classes)

    @property
    def too_few_steps(self) -> bool:
        """Whether the recipe needs more steps than were done."""
        return self.enough_steps is not None and self.steps < self.enough_steps

    @property
    def still_rising(self) -> bool | None:
        """Whether the validations were still rising at the end; None if they cannot tell."""
        return None if self.rise is None else self.rise.rising

    def verdict(self) -> tuple[str, ...]:
        """Say whether more time would help, and how to continue; nothing if it would not."""
        lines = []
        if self.too_few_steps:
            lines.append(f"{self.steps} steps were done; this recipe needs about {self.enough_steps}")
        if self.rise is not None and self.rise.rising:
            lines.append(
                f"still rising: mean IoU {self.rise.late:.3f} in the last third of the validations, "
                f"{self.rise.early:.3f} before"
            )
        if lines and self.continue_with is not None:
            lines.append(f"to continue: {self.continue_with}")
        return tuple(lines)

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return a row for each class that the data hold, under `HEADINGS` and `TRUSTED`."""
        return tuple(
            (
                each.name,
                "-" if each.outlines is None else str(each.outlines),
                area(each.trained_mm2),
                area(each.kept_out_mm2),
                str(each.pieces),
                "-" if math.isnan(iou) else f"{iou:.3f}",
                *(("-", "-") if limits is None else (f"{limits[0]:.3f}", f"{limits[1]:.3f}")),
                "yes" if each.doubt is None else f"no: {each.doubt}",
            )
            for each, iou, limits in zip(self.classes, self.iou, self.ranges.classes, strict=True)
            if each.there
        )

    def remarks(self) -> tuple[str, ...]:
        """Explain the table, and say which weights were kept."""
        never = [] if self.unshown is None else [f"{line}." for line in never_shown(self.unshown)]
        ranges = f"Ranges of IoU: {self.ranges.method}."
        trusted = (why_trusted(), ranges) if self.kept_out else (NOTHING_KEPT_OUT,)
        away = [] if self.away is None else [f"M{str(self.away)[1:]}."]
        return *trusted, *away, f"Weights kept: {self.weights}.", *never

    def table(self) -> list[str]:
        """Lay the classes out for a terminal, and say which weights were kept."""
        rows = [(*HEADINGS, TRUSTED), *self.rows()]
        lines = aligned([row[:-1] for row in rows])
        with_doubts = [f"{line}  {row[-1]}" for line, row in zip(lines, rows, strict=True)]
        away = [] if self.away is None else [str(self.away)]
        return [*with_doubts, *away, f"weights kept: {self.weights}"]

    def as_json(self) -> dict[str, JsonValue]:
        """Return all of it for the report and the model's record."""
        return {
            "kept_out": self.kept_out,
            "weights": self.weights,
            "steps": self.steps,
            "enough_steps": self.enough_steps,
            "still_rising": self.still_rising,
            "mean_iou_range": _pair(self.ranges.mean),
            "range": self.ranges.method,
            "away_from_outlines": None if self.away is None else self.away.as_json(),
            "classes": [
                {
                    "name": each.name,
                    "outlines": each.outlines,
                    "trained_mm2": _rounded(each.trained_mm2),
                    "kept_out_mm2": _rounded(each.kept_out_mm2),
                    "pieces_kept_out": each.pieces,
                    "trusted": each.doubt is None,
                    "doubt": each.doubt,
                    "iou_range": _pair(limits),
                }
                for each, limits in zip(self.classes, self.ranges.classes, strict=True)
            ],
            "never_shown": None if self.unshown is None else shown_as_json(self.unshown),
        }


def before_training(classes: tuple[ClassExtent, ...], unshown: Unshown | None) -> tuple[str, ...]:
    """Say what the data cannot teach or tell, before time is spent on them."""
    lines = [
        f"{each.name} rests on one outline: what looks different elsewhere is not learned; outline a second"
        for each in classes
        if each.outlines == 1
    ]
    if unshown is not None:
        lines += never_shown(unshown)
    return tuple(lines)


def chosen_weights(classes: tuple[ClassExtent, ...], may_stop: bool, averaged: bool) -> str:
    """Say which weights are kept, and why.

    Parameters
    ----------
    classes : tuple of ClassExtent
    may_stop : bool
        Whether the recipe stops early, and keeps the best weights.
    averaged : bool
        Whether weights are averaged.
    """
    last = "the last, averaged over the last steps" if averaged else "the last"
    if not may_stop:
        return last
    if not any(each.unseen for each in classes):
        return f"{last}, without stopping early: nothing is kept out to tell better weights from worse"
    if can_tell(classes):
        return "the best at a validation on part of what is kept out, which flatters that score a little"
    doubts = "; ".join(f"{each.name}: {each.doubt}" for each in classes if each.there and each.doubt)
    return (
        f"{last}, without stopping early: too little is kept out to tell better weights from worse ({doubts})"
    )


def never_shown(unshown: Unshown) -> list[str]:
    """Say which tissue no outline shows."""
    if not unshown.kinds:
        return []
    kinds = "; ".join(
        "{} ({:.0f} %, as at {}, {} of {})".format(kind.look, 100 * kind.share, *kind.qupath_xy, kind.slide)
        for kind in unshown.kinds
    )
    return [f"{100 * unshown.share:.0f} % of the tissue looks unlike all that is outlined: {kinds}"]


def why_trusted() -> str:
    """Say when a class's score can be trusted, and why."""
    error = SCATTER / ENOUGH_PIECES**0.5
    return (
        f"A score can be trusted if at least {ENOUGH_PIECES} pieces and {ENOUGH_MM2:g} mm2 of the class were "
        f"kept out. IoU scatters by about {SCATTER:g} from piece to piece, so the mean over {ENOUGH_PIECES} "
        f"pieces has a standard error of {error:.2f}. A large piece counts once for each full mm2."
    )


def shown_as_json(unshown: Unshown) -> dict[str, JsonValue]:
    """Return the tissue that no outline shows as JSON."""
    return {
        "share": round(unshown.share, 3),
        "squares": unshown.squares,
        "kinds": [
            {
                "look": kind.look,
                "share": round(kind.share, 3),
                "slide": kind.slide,
                "qupath_xy": list(kind.qupath_xy),
            }
            for kind in unshown.kinds
        ],
    }


def area(mm2: float | None) -> str:
    """Write an area in two figures.

    >>> area(0.0316), area(12.34), area(0.0), area(None)
    ('0.032', '12', '0', '-')
    """
    return "-" if mm2 is None else f"{mm2:.2g}"


def _pair(limits: Range | None) -> JsonValue:
    return None if limits is None else [round(limits[0], 4), round(limits[1], 4)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
