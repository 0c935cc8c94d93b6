"""Where to outline next: windows of slides, for QuPath."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from wsi_seg.api.asked import AnyPath, checked, flag_of, image_of, path_of, shown
from wsi_seg.api.model import Model, as_model
from wsi_seg.data.truth import REGION_CLASS
from wsi_seg.errors import UsageError
from wsi_seg.files.files import check_writable
from wsi_seg.inference.network.segmenter import choose_device
from wsi_seg.results.qupath.colours import OWN
from wsi_seg.settings import LabelSettings
from wsi_seg.suggestion.asked import SuggestSettings, each_once, read_asked
from wsi_seg.suggestion.run import suggest as run
from wsi_seg.suggestion.writing import Drawing, check_replaceable, paths_for, write_drawings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.progress import Progress
    from wsi_seg.suggestion.doubtful import Doubtful
    from wsi_seg.suggestion.ground import Ground
    from wsi_seg.suggestion.run import Suggested, Suggestion

DOUBTFUL_CLASS = "Doubtful*"
"""The asterisk says that it is no tissue, so that training never takes such a shape for an outline."""

DOUBTFUL_COLOR = (255, 0, 255)

WIDER_PX = 2
"""Label pixels by which a shape in doubt is drawn outside of the outline. The smaller shape counts, so the
outline stays what it is even if both are exported."""


@dataclass(frozen=True)
class Window:
    """A window to outline next.

    Attributes
    ----------
    slide : Path
    rank : int
        Over all slides together, from 1, the most useful.
    reason : str
    bounds_qupath : (float, float, float, float)
        Left, top, right and bottom as QuPath counts: level-0 pixels from the corner of the slide's bounds.
    unsure : float
        Mean doubt of the network in it, from 0 to 1.
    unlike : float or None
        Share of its tissue that is unlike anything outlined; None where too little is outlined to say.
    """

    slide: Path
    rank: int
    reason: str
    bounds_qupath: tuple[float, float, float, float]
    unsure: float
    unlike: float | None


@dataclass(frozen=True)
class DoubtfulOutline:
    """An outline that the network contradicts.

    Attributes
    ----------
    slide : Path
    rank : int
        Over all slides together, from 1, the worst.
    drawn_as, taken_for : str
        Its class, and the class that the network finds in most of what it contradicts.
    share : float
        Of the outline's area.
    bounds_qupath : (float, float, float, float)
        As of `Window`.
    """

    slide: Path
    rank: int
    drawn_as: str
    taken_for: str
    share: float
    bounds_qupath: tuple[float, float, float, float]


@dataclass(frozen=True)
class Suggestions:
    """What `wsi_seg.suggest` gives.

    Attributes
    ----------
    windows : tuple of Window
        The most useful first.
    doubtful : tuple of DoubtfulOutline
        The worst first.
    files : tuple of Path
        What was written.
    remarks : tuple of str
        What was left out, or could not be done, a line each.
    """

    windows: tuple[Window, ...]
    doubtful: tuple[DoubtfulOutline, ...]
    files: tuple[Path, ...]
    remarks: tuple[str, ...]


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


def suggest(
    slides: AnyPath | Iterable[AnyPath],
    model: Model | AnyPath,
    *,
    outlines: AnyPath | Iterable[AnyPath] = (),
    windows: int = 6,
    window_um: float = 500,
    out: AnyPath | None = None,
    doubtful: AnyPath | None = None,
    mpp: float | None = None,
    working_mpp: float | None = None,
    allow_coarser: bool = False,
    from_level_0: bool = False,
    series: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Suggestions:
    """Say where to outline next: the windows of slides that would teach a model most.

    The same slides, outlines, model and settings give the same windows.

    Parameters
    ----------
    slides : str or path, or sequence of these
        Slides, QuPath projects, or one CSV file (slide,annotations[,mpp]).
    model : Model, str or path
        A model for slides, or the name or file of one.
    outlines : str or path, or sequence of these
        What is outlined so far, which is not suggested again: the first file belongs to the first slide, and
        so on; of one slide, all do.
    windows : int
        How many to suggest, over all slides together.
    window_um : float
        Their side, in micrometres.
    out : str or path, optional
        A GeoJSON file for QuPath. With several slides, each gets one, named after it.
    doubtful : str or path, optional
        A file, likewise, of the outlines that the network contradicts.
    mpp, working_mpp, allow_coarser, from_level_0, series, device
        As for `wsi_seg.segment`.
    progress : Progress, optional
        A `wsi_seg.progress.Progress` that hears how it goes.

    Returns
    -------
    Suggestions
        With ``windows``, ``doubtful`` and ``remarks``.

    Raises
    ------
    WsiSegError
        One line that says what is wrong and what to do.
    """
    reading = {"mpp": mpp, "working_mpp": working_mpp, "series": image_of(series)}
    labels = checked(
        LabelSettings,
        {
            **{name: value for name, value in reading.items() if value is not None},
            "allow_coarser": flag_of("allow_coarser", allow_coarser),
            "from_level_0": flag_of("from_level_0", from_level_0),
        },
    )
    settings = checked(SuggestSettings, {"windows": windows, "window_um": window_um, "labels": labels})
    targets = Targets(*(None if path is None else path_of(path) for path in (out, doubtful)))
    return suggest_into(
        targets, _paths(slides), _paths(outlines), as_model(model), settings, device, progress
    )


def suggest_into(
    targets: Targets,
    slides: Sequence[Path],
    outlines: Sequence[Path],
    model: Model,
    settings: SuggestSettings,
    device: str = "auto",
    progress: Progress | None = None,
) -> Suggestions:
    """Do what `suggest` does, with settings that are checked."""
    asked, left_out = read_asked(slides, outlines, settings.labels)
    asked = each_once(asked, settings.labels.series)
    if targets.doubtful is not None and not any(one.outlines for one in asked):
        raise UsageError(
            f"--doubtful {targets.doubtful}: nothing is outlined: give --outlines, or leave it out"
        )
    targets.check([one.path for one in asked])
    found = run(asked, model.bundle, settings, choose_device(device), progress)
    files = _write(targets, found)
    return Suggestions(
        windows=tuple(_window(found, each) for each in found.windows),
        doubtful=tuple(_outline(found, rank, each) for rank, each in enumerate(found.doubtful, start=1)),
        files=tuple(files),
        remarks=(*left_out, *found.remarks),
    )


def _write(targets: Targets, found: Suggestion) -> list[Path]:
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
        outline_qupath=shapely.box(*_bounds(ground, _box(window))),
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


def _window(found: Suggestion, window: Suggested) -> Window:
    ground = found.grounds[window.slide]
    bounds = _bounds(ground, _box(window))
    return Window(ground.path, window.rank, window.reason, bounds, window.unsure, window.unlike)


def _outline(found: Suggestion, rank: int, doubt: Doubtful) -> DoubtfulOutline:
    ground = found.grounds[doubt.slide]
    bounds = _bounds(ground, ground.outlines_label[doubt.shape].bounds)
    drawn_as = ground.shapes[doubt.shape].class_name or ""
    return DoubtfulOutline(ground.path, rank, drawn_as, doubt.found, doubt.share, bounds)


def _box(window: Suggested) -> tuple[float, float, float, float]:
    rect = window.rect
    return rect.x0, rect.y0, rect.x1, rect.y1


def _bounds(
    ground: Ground, box_label: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Return a box of the label frame in QuPath's."""
    corners = ground.frames.label_to_qupath([box_label[:2], box_label[2:]])
    (x0, y0), (x1, y1) = corners.tolist()
    return x0, y0, x1, y1


def _paths(given: AnyPath | Iterable[AnyPath]) -> list[Path]:
    if isinstance(given, str | bytes | os.PathLike):
        return [path_of(given)]
    if not isinstance(given, Iterable):
        raise UsageError(f"{shown(given)}: not a path: give a path, or a list of paths")
    return [path_of(path) for path in given]
