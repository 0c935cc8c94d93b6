"""From slides, a model and what is outlined so far to the windows that are worth outlining next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.errors import AnnotationError, SlideError, UsageError
from wsi_seg.predict.working_resolution import working_mpp
from wsi_seg.progress import Progress
from wsi_seg.slides.slide_names import shown_name
from wsi_seg.suggestion.choosing import choose
from wsi_seg.suggestion.doubtful import Doubts, worst_first
from wsi_seg.suggestion.ground import Ground
from wsi_seg.suggestion.looking import Patches, look, points_along, summarise
from wsi_seg.suggestion.reasons import reason
from wsi_seg.suggestion.seeing import POINT, SeeingNetwork
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.slides.lattice import Rect
    from wsi_seg.suggestion.asked_slides import AskedSlide, SuggestSettings
    from wsi_seg.suggestion.choosing import Chosen
    from wsi_seg.suggestion.doubtful import Doubtful
    from wsi_seg.suggestion.ground import Window
    from wsi_seg.suggestion.looking import Looked

    Rule = Callable[[Sequence[Looked], int], list[Chosen]]

LOOKED_PIXELS = 1 << 28
"""Label pixels, context included, that go through the network at most: a minute or two on two cores."""

HALVINGS = 2
"""How often windows are halved to see whether smaller ones lie between the outlines."""

SURE_OF_ALL = 0.01
"""Mean doubt below which the network counts as unsure of nothing."""


@dataclass(frozen=True)
class Suggested:
    """A window that is suggested.

    Attributes
    ----------
    slide : int
        Which of the slides.
    rank : int
        Over all slides, from 1.
    rect : Rect
        In label pixels.
    reason : str
    unsure : float
        Mean doubt of the network within it, 0 to 1.
    unlike : float or None
        Share that is unlike anything outlined.
    """

    slide: int
    rank: int
    rect: Rect
    reason: str
    unsure: float
    unlike: float | None

    @property
    def box_label(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, in label pixels."""
        return self.rect.x0, self.rect.y0, self.rect.x1, self.rect.y1


@dataclass(frozen=True)
class Suggestion:
    """What came of it.

    Attributes
    ----------
    grounds : tuple of Ground
        The slides, each once.
    windows : tuple of Suggested
        The most useful first.
    doubtful : tuple of Doubtful
        Outlines that the network contradicts, worst first.
    remarks : tuple of str
    """

    grounds: tuple[Ground, ...]
    windows: tuple[Suggested, ...]
    doubtful: tuple[Doubtful, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """A window, and the slide that it lies on."""

    slide: int
    window: Window


def suggest(
    asked: Sequence[AskedSlide],
    bundle: ModelBundle,
    settings: SuggestSettings,
    device: torch.device,
    progress: Progress | None = None,
    rule: Rule = choose,
) -> Suggestion:
    """Choose windows of slides that are worth outlining next.

    The same slides, outlines, model and settings give the same windows.

    Parameters
    ----------
    asked : sequence of AskedSlide
        Each slide once: see `wsi_seg.suggestion.asked_slides.each_once`.
    bundle : ModelBundle
        The model that was trained on what is outlined so far, or any other that has something to say.
    settings : SuggestSettings
    device : torch.device
    progress : Progress, optional
    rule : callable, optional
        How to choose among the windows that were looked at; another one is for comparisons.

    Raises
    ------
    SlideError, MppError
        If a slide cannot be opened, its resolution does not fit, or there is no tissue on any.
    AnnotationError
        If a file of outlines cannot be read or was drawn on another slide, or too much tissue is outlined.
    ModelError
        If the model is not one for slides.
    UsageError
        If windows are larger than any of the slides, or too small for the network.
    DeviceError
        If the device runs out of memory.
    """
    progress = progress or Progress()
    grounds = _look_over(asked, bundle, settings)
    places = _places(grounds, settings.window_um)
    patches = {
        i: Patches.of(ground.side(settings.window_um), bundle.network.config)
        for i, ground in enumerate(grounds)
    }
    kept, remarks = _thinned(places, patches)
    looked, doubtful = _look_at(kept, grounds, patches, bundle, device, progress)
    chosen = rule(looked, settings.windows)
    if not chosen:
        raise AnnotationError(
            f"{_named(grounds)}: nothing that is not outlined can be read: copy the slide again"
        )
    names = [c.name for c in bundle.schema.classes]
    return Suggestion(
        grounds=tuple(grounds),
        windows=tuple(_suggested(rank, each, names) for rank, each in enumerate(chosen, start=1)),
        doubtful=tuple(worst_first(doubtful)),
        remarks=(
            *(r for ground in grounds for r in ground.remarks),
            *remarks,
            *_notices(looked, chosen, settings),
        ),
    )


def _look_over(asked: Sequence[AskedSlide], bundle: ModelBundle, settings: SuggestSettings) -> list[Ground]:
    mpp, files = working_mpp(bundle, settings.labels), AnnotationFiles()
    grounds = [Ground.of(one, mpp, settings.labels, files) for one in asked]
    if not any(ground.fits(settings.window_um) for ground in grounds):
        x, y = (
            side * step
            for side, step in zip(grounds[0].frames.label_size, grounds[0].frames.label_mpp, strict=True)
        )
        raise UsageError(
            f"--window-um {settings.window_um:g}: larger than {grounds[0].path} ({x:.0f} x {y:.0f} um): "
            "give a smaller one"
        )
    if min(grounds[0].side(settings.window_um)) < 4 * POINT:
        least = 4 * POINT * max(grounds[0].frames.label_mpp)
        raise UsageError(
            f"--window-um {settings.window_um:g}: too small to see anything in at the model's {mpp:g} um per "
            f"px: give {least:.0f} or more"
        )
    return grounds


def _places(grounds: Sequence[Ground], window_um: float) -> list[_Place]:
    """Return the windows of all slides that hold tissue.

    Raises
    ------
    SlideError
        If there is no tissue.
    AnnotationError
        If too much of it is outlined.
    """
    places = [_Place(i, window) for i, ground in enumerate(grounds) for window in ground.windows(window_um)]
    if any(place.window.candidate for place in places):
        return places
    if any(ground.tissue.mask.any() for ground in grounds):
        if any(place.window.outlined for place in places):
            raise _too_much_outlined(grounds, window_um)
        raise SlideError(
            f"{_named(grounds)}: too little tissue for windows of {window_um:g} um: give smaller ones with "
            "--window-um"
        )
    raise SlideError(f"{_named(grounds)}: no tissue was found: nothing to outline")


def _too_much_outlined(grounds: Sequence[Ground], window_um: float) -> AnnotationError:
    """Return the error of slides whose tissue is outlined, unless windows are made smaller."""
    for smaller in (window_um / 2**n for n in range(1, HALVINGS + 1)):
        seen = [ground for ground in grounds if min(ground.side(smaller)) >= 4 * POINT]
        if any(window.candidate for ground in seen for window in ground.windows(smaller)):
            return AnnotationError(
                f"{_named(grounds)}: no window of {window_um:g} um holds enough tissue that is not outlined: "
                f"give smaller ones, as with --window-um {smaller:g}, or name other slides"
            )
    return AnnotationError(
        f"{_named(grounds)}: all tissue is outlined already, or lies close to outlines: name other slides"
    )


def _thinned(places: list[_Place], patches: dict[int, Patches]) -> tuple[list[_Place], list[str]]:
    """Keep evenly many windows, if all would take too long."""
    pixels = sum(patches[place.slide].pixels for place in places)
    if pixels <= LOOKED_PIXELS:
        return places, []
    count = max(1, int(len(places) * LOOKED_PIXELS / pixels))
    kept = [places[i] for i in np.linspace(0, len(places) - 1, count).round().astype(int).tolist()]
    if not any(place.window.candidate for place in kept):
        kept.append(next(place for place in places if place.window.candidate))
    return kept, [f"looked at {len(kept):,} of {len(places):,} windows, evenly spread"]


def _look_at(
    places: Sequence[_Place],
    grounds: Sequence[Ground],
    patches: dict[int, Patches],
    bundle: ModelBundle,
    device: torch.device,
    progress: Progress,
) -> tuple[list[Looked], list[Doubtful]]:
    """Look at windows, slide by slide."""
    network = SeeingNetwork(bundle, device)
    looked: list[Looked] = []
    doubtful: list[Doubtful] = []
    for i, ground in enumerate(grounds):
        own = [place.window for place in places if place.slide == i]
        if not own:
            continue
        doubts = Doubts(ground, bundle.schema)
        megapixels = patches[i].pixels / 1e6
        progress.begin(shown_name(ground.path), len(own), 0, len(own) * megapixels, "windows")
        try:
            with ground.open() as slide:
                for window in own:
                    view = look(ground, slide, window.rect, patches[i], network)
                    summary = summarise(i, window, view)
                    looked += [] if summary is None else [summary]
                    if window.outlined:
                        doubts.add(
                            window.rect,
                            points_along(window.rect.height),
                            points_along(window.rect.width),
                            view,
                        )
                    progress.advance(megapixels)
        finally:
            progress.end()
        doubtful += doubts.found(i)
    return looked, doubtful


def _suggested(rank: int, chosen: Chosen, names: Sequence[str]) -> Suggested:
    looked = chosen.looked
    return Suggested(
        looked.slide, rank, looked.window.rect, reason(chosen, names), looked.unsure, chosen.unlike
    )


def _notices(looked: Sequence[Looked], chosen: Sequence[Chosen], settings: SuggestSettings) -> list[str]:
    lines = []
    if max((each.unsure for each in looked if each.window.candidate), default=0.0) < SURE_OF_ALL:
        lines.append("the network is unsure of nothing: windows are chosen by what it has not seen alone")
    if len(chosen) < settings.windows:
        lines.append(f"{counted(len(chosen), 'windows')} and not {settings.windows}: no other adds anything")
    return lines


def _named(grounds: Sequence[Ground]) -> str:
    more = f" and {len(grounds) - 1} more" if len(grounds) > 1 else ""
    return f"{grounds[0].path}{more}"
