"""Where to outline next: windows of slides, for QuPath."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from wsi_seg.api.arguments import AnyPath, checked, flag_of, image_of, path_of, shown
from wsi_seg.api.model import Model, as_model
from wsi_seg.api.suggestions import Suggestions, suggestions_of
from wsi_seg.errors import UsageError
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.settings import LabelSettings
from wsi_seg.suggestion.asked_slides import SuggestSettings, each_once, read_asked
from wsi_seg.suggestion.drawings import Targets, draw
from wsi_seg.suggestion.suggest_windows import suggest as run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.progress import Progress


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
    found = run(asked, model.bundle, settings, torch.device(choose_device(device)), progress)
    return suggestions_of(found, draw(targets, found), left_out)


def _paths(given: AnyPath | Iterable[AnyPath]) -> list[Path]:
    if isinstance(given, str | bytes | os.PathLike):
        return [path_of(given)]
    if not isinstance(given, Iterable):
        raise UsageError(f"{shown(given)}: not a path: give a path, or a list of paths")
    return [path_of(path) for path in given]
