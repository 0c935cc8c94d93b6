"""Find what a command line names: a result, a folder of results, a slide or a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.results.folder import is_result
from wsi_seg.slides.readers.zarr_store import is_store
from wsi_seg.view.listing import BATCH, Listing
from wsi_seg.view.open_to_view import open_result, open_slide
from wsi_seg.view.results_below import results_in
from wsi_seg.view.shelf import Shelf
from wsi_seg.view.site import Front, Site
from wsi_seg.view.watched_training import Training, is_training

if TYPE_CHECKING:
    from pathlib import Path

SHOWABLE = "name a result, a folder of results, a training's folder, or a slide file"


@dataclass(frozen=True)
class Asked:
    """What is to be shown.

    Attributes
    ----------
    path : Path
    outlines : tuple of Path
        Annotation files; for a folder of results, also folders of them, matched by the slides' names.
    slide : Path or None
        The slide of a result that does not say where it is.
    series : int or None
        Which image of a slide file.
    """

    path: Path
    outlines: tuple[Path, ...] = ()
    slide: Path | None = None
    series: int | None = None


def find_site(asked: Asked) -> Site:
    """Return what is to be shown; of one slide, once it can be.

    Raises
    ------
    UsageError
        If options do not go with what is named.
    WsiSegError
        If it cannot be shown.
    """
    path = asked.path
    front = _front(asked)
    if front is not None:
        if asked.slide is not None or asked.series is not None:
            raise UsageError(f"{path}: --slide and --series go with one result or slide: name it")
        return front
    if path.is_dir() and is_result(path) and not _is_slide(path):
        if asked.series is not None:
            raise UsageError("--series: a result says which image it was made from: leave it out")
        opener = partial(open_result, path, asked.outlines, asked.slide)
    else:
        if not path.exists() or (path.is_dir() and not is_store(path)):
            what = "holds no result" if path.exists() else "no such file or folder"
            raise UsageError(f"{path}: {what}: {SHOWABLE}")
        if asked.slide is not None:
            raise UsageError(f"--slide: goes with a result, and {path} is none")
        opener = partial(open_slide, path, asked.outlines, asked.series)
    shelf = Shelf([opener])
    with shelf.opened(0):  # what is wrong is told before the page opens
        return Site(shelf)


def _front(asked: Asked) -> Site | None:
    """Return the site of a training, or of a folder of results; None for anything else."""
    path = asked.path
    if not path.is_dir():
        return None
    if is_training(path):  # its hidden folder has the name of a result's
        if asked.outlines:
            raise UsageError(f"{path}: a training shows the outlines that it was given: name no others")
        shelf = Shelf()
        training = Training(path, shelf)
        return Site(
            shelf, Front("training.html", "The training", training.about, training.picture, training.report)
        )
    if is_result(path) or is_store(path):
        return None
    if not results_in(path).results and not (path / BATCH).is_file():
        return None
    shelf = Shelf()
    listing = Listing(path, shelf, asked.outlines)
    return Site(shelf, Front("folder.html", "All slides", listing.about, listing.picture))


def _is_slide(path: Path) -> bool:
    """Return whether an OME-Zarr is a slide, and no result's."""
    return is_store(path) and not (path / "labels" / "tissue").is_dir()
