"""Suggestions as QuPath shows them: windows to outline in, and shapes in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from wsi_seg.data.truth import REGION_CLASS
from wsi_seg.files.files import check_writable
from wsi_seg.results.qupath.colours import OWN
from wsi_seg.suggestion.write_drawings import Drawing, check_replaceable, paths_for, write_drawings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.suggestion.doubtful import Doubtful
    from wsi_seg.suggestion.ground import Ground
    from wsi_seg.suggestion.suggest_windows import Suggested, Suggestion

DOUBTFUL_CLASS = "Doubtful*"
"""The asterisk says that it is no tissue, so that training never takes such a shape for an outline."""

DOUBTFUL_COLOR = (255, 0, 255)

WIDER_PX = 2
"""Label pixels by which a shape in doubt is drawn outside of the outline. The smaller shape counts, so the
outline stays what it is even if both are exported."""


@dataclass(frozen=True)
class Targets:
    """Where suggestions are written.

    Attributes
    ----------
    windows, doubtful : Path or None
        With several slides, each gets a file of its own, named after it: see `paths_for`. None: not written.
    """

    windows: Path | None
    doubtful: Path | None

    def check(self, slides: Sequence[Path]) -> None:
        """Refuse, before long work begins, what cannot be written or must not be replaced."""
        for target in (self.windows, self.doubtful):
            for path in [] if target is None else paths_for(target, slides):
                check_replaceable(path)
                check_writable(path)


def draw(targets: Targets, found: Suggestion) -> list[Path]:
    """Write what was found into the files that are asked for, and return these."""
    files = []
    slides = [ground.path for ground in found.grounds]
    if targets.windows is not None:
        for i, path in enumerate(paths_for(targets.windows, slides)):
            own = [each for each in found.windows if each.slide == i]
            write_drawings(path, [_draw_window(found.grounds[i], each) for each in own])
            files.append(path)
    if targets.doubtful is not None:
        ranked = list(enumerate(found.doubtful, start=1))
        for i, path in enumerate(paths_for(targets.doubtful, slides)):
            own_shapes = [
                _draw_doubt(found.grounds[i], rank, each) for rank, each in ranked if each.slide == i
            ]
            write_drawings(path, own_shapes)
            files.append(path)
    return files


def _draw_window(ground: Ground, window: Suggested) -> Drawing:
    unlike = {} if window.unlike is None else {"Unlike what is outlined": round(window.unlike, 3)}
    return Drawing(
        outline_qupath=shapely.box(*ground.box_qupath(window.box_label)),
        class_name=REGION_CLASS,
        color=OWN[REGION_CLASS],
        rank=window.rank,
        name=f"{window.rank}: {window.reason}",
        measurements={"Unsure": round(window.unsure, 3), **unlike},
    )


def _draw_doubt(ground: Ground, rank: int, doubt: Doubtful) -> Drawing:
    wider = ground.outlines_label[doubt.shape].buffer(WIDER_PX)
    return Drawing(
        outline_qupath=shapely.transform(wider, ground.frames.label_to_qupath),
        class_name=DOUBTFUL_CLASS,
        color=DOUBTFUL_COLOR,
        rank=rank,
        name=(
            f"{rank}: drawn as {ground.shapes[doubt.shape].class_name}, taken for {doubt.found} "
            f"on {doubt.share:.0%} of it"
        ),
        measurements={"Contradicted": round(doubt.share, 3)},
    )
