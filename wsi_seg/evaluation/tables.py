"""An evaluation as tables for users, and as JSON for programs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from wsi_seg.evaluation.metrics import share
from wsi_seg.files.document import versioned
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import JsonValue

    from wsi_seg.evaluation.benchmarks import Figures
    from wsi_seg.evaluation.evaluation import Evaluation, Tally

NONE = "none"
"""Heading of the column of pixels for which no class was found."""

WHY_NONE = {
    "unprocessed": "unprocessed",
    "not_asked_for": "where no tissue was found, or outside of the regions asked for",
    "class_not_in_truth": "of a class that the truth does not have",
}
"""Why no class was found in pixels."""

FIGURES = ("iou", "dice", "precision", "recall")
SOURCES_SHOWN, REMARKS_SHOWN = 20, 5


def as_text(evaluation: Evaluation) -> str:
    """Write an evaluation as text for a terminal."""
    if not evaluation.total.confusion.pixels:
        return "\n".join(_heading(evaluation))
    sections = [_heading(evaluation), _classes(evaluation), _means(evaluation), _matrix(evaluation)]
    if evaluation.benchmark is not None:
        sections.append(_benchmark(evaluation.benchmark))
    if 1 < len(evaluation.tallies) <= SOURCES_SHOWN:
        sections.append(_sources(evaluation.tallies))
    if evaluation.remarks:
        sections.append(_remarks(evaluation.remarks))
    return "\n\n".join("\n".join(lines) for lines in sections)


def as_json(evaluation: Evaluation) -> str:
    """Write a whole evaluation as a JSON document; null stands for scores that do not exist."""
    confusion = evaluation.total.confusion
    content: dict[str, JsonValue] = {
        "subject": evaluation.subject,
        "data": evaluation.data,
        **evaluation.details,
        "remarks": list(evaluation.remarks),
        "pixels": confusion.pixels,
        "none_found": _none_found(evaluation.total),
        "mean_iou": _number(confusion.mean_iou),
        "mean_dice": _number(confusion.mean_dice),
        "pixel_accuracy": _number(confusion.pixel_accuracy),
        "class_accuracy": _number(confusion.class_accuracy),
        "away_from_outlines": None if evaluation.away is None else evaluation.away.as_json(),
        "means_are_over": [
            name for name, is_there in zip(evaluation.names, confusion.present, strict=True) if is_there
        ],
        "classes": [
            {
                "name": name,
                **{figure: _number(getattr(confusion, figure)[index]) for figure in FIGURES},
                "true_pixels": int(confusion.true_pixels[index]),
                "found_pixels": int(confusion.found_pixels[index]),
            }
            for index, name in enumerate(evaluation.names)
        ],
        "confusion": {
            "rows": list(evaluation.names),
            "columns": [*evaluation.names, NONE],
            "counts": confusion.counts.tolist(),
        },
        "sources": [
            {
                "name": tally.name,
                "pixels": tally.confusion.pixels,
                "mean_iou": _number(tally.confusion.mean_iou),
                "pixel_accuracy": _number(tally.confusion.pixel_accuracy),
                "none_found": _none_found(tally),
            }
            for tally in evaluation.tallies
        ],
    }
    if evaluation.benchmark is not None:
        content[evaluation.benchmark.key] = _scores(evaluation.benchmark)
    return json.dumps(versioned(content), indent=1, allow_nan=False)


def _none_found(tally: Tally) -> dict[str, JsonValue]:
    """Return why no class was found in some pixels of known class."""
    return {
        "pixels": tally.confusion.none_found,
        "unprocessed": tally.unprocessed,
        "not_asked_for": tally.outside,
        "class_not_in_truth": tally.confusion.none_found - tally.unprocessed - tally.outside,
    }


def _scores(figures: Figures) -> dict[str, JsonValue]:
    return {
        key: _number(value)
        if isinstance(value, float)
        else {name: _number(score) for name, score in value.items()}
        for key, value in figures.scores().items()
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _heading(evaluation: Evaluation) -> list[str]:
    total, count = evaluation.total, len(evaluation.tallies)
    lines = [
        f"{evaluation.subject} on {evaluation.data}: {count} source{'s' * (count != 1)}, "
        f"{_pixels(total.confusion.pixels)} of known class"
    ]
    reasons = _none_found(total)
    if reasons.pop("pixels"):
        named = (f"{value} {WHY_NONE[name]}" for name, value in reasons.items() if value)
        lines.append(
            f"no class was found in {total.confusion.none_found} px of these, which count as wrong: "
            + ", ".join(named)
        )
    return lines


def _classes(evaluation: Evaluation) -> list[str]:
    confusion = evaluation.total.confusion
    rows: list[Sequence[str]] = [("class", "IoU", "Dice", "precision", "recall", "true px", "found px")]
    absent = []
    for index, name in enumerate(evaluation.names):
        true, found = confusion.true_pixels[index], confusion.found_pixels[index]
        if true or found:
            figures = (_score(getattr(confusion, figure)[index]) for figure in FIGURES)
            rows.append((name, *figures, str(true), str(found)))
        else:
            absent.append(name)
    lines = list(aligned(rows))
    return [*lines, f"neither in the truth nor found: {', '.join(absent)}"] if absent else lines


def _means(evaluation: Evaluation) -> list[str]:
    confusion = evaluation.total.confusion
    classes = counted(int(confusion.present.sum()), "classes")
    return [
        f"mean IoU {_score(confusion.mean_iou)}, mean Dice {_score(confusion.mean_dice)}, "
        f"class accuracy {_score(confusion.class_accuracy)}: over the {classes} in the truth",
        f"pixel accuracy {_score(confusion.pixel_accuracy)}",
        *([] if evaluation.away is None else [str(evaluation.away)]),
    ]


def _matrix(evaluation: Evaluation) -> list[str]:
    """Write the confusion matrix in per cent of the true class; columns are numbered to keep it narrow."""
    confusion = evaluation.total.confusion
    percent = 100 * share(confusion.counts, confusion.true_pixels[:, None])
    found = [i for i in range(len(evaluation.names)) if confusion.found_pixels[i] or confusion.present[i]]
    last = [len(evaluation.names)] if confusion.none_found else []
    rows: list[Sequence[str]] = [("% of true class", *(str(i + 1) for i in found), *([NONE] * len(last)))]
    for index in found:
        if confusion.present[index]:
            cells = (f"{percent[index, column]:.1f}" for column in [*found, *last])
            rows.append((f"{index + 1} {evaluation.names[index]}", *cells))
    return list(aligned(rows))


def _benchmark(figures: Figures) -> list[str]:
    rows = [(name, *map(_score, scores)) for name, scores in figures.rows()]
    return [*aligned([figures.heading, *rows]), figures.note]


def _sources(tallies: Sequence[Tally]) -> list[str]:
    rows: list[Sequence[str]] = [("source", "mean IoU", "pixel accuracy", "pixels")]
    for tally in tallies:
        confusion = tally.confusion
        scores = _score(confusion.mean_iou), _score(confusion.pixel_accuracy)
        rows.append((tally.name, *scores, str(confusion.pixels)))
    return list(aligned(rows))


def _remarks(remarks: Sequence[str]) -> list[str]:
    more = [f"and {len(remarks) - REMARKS_SHOWN} more, in the JSON"] if len(remarks) > REMARKS_SHOWN else []
    return [*remarks[:REMARKS_SHOWN], *more]


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Align rows in columns: the first to the left, the others to the right."""
    rows = list(rows)
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, *cells in rows:
        yield name.ljust(first) + "".join(
            f"  {cell:>{width}}" for cell, width in zip(cells, others, strict=True)
        )


def _score(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _pixels(count: int) -> str:
    return f"{count / 1e6:.2f} megapixels" if count >= 1e5 else counted(count, "pixels")
