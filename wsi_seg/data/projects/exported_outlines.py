"""Outlines that were exported from a QuPath project, one file an image, matched with its images by name.

QuPath keeps what was drawn in files that only QuPath reads, so it has to be exported. A file is of the image
that it is named after: by the image's name in the project, else by its file's, each with or without suffix.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.data.projects.entry import UNSAFE
from wsi_seg.errors import UsageError
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from wsi_seg.data.projects.entry import ProjectEntry

ANNOTATIONS = re.compile(r"\.(geojson|json|xml|annotations)(\.gz)?$", re.IGNORECASE)
"""How the names of annotation files end."""

INNER = ".ome"
"""A suffix that may stand before that of the image's file."""

LISTED = 5
"""Number of images that a line names; the others are counted."""

HOW = "export the annotations of each image as GeoJSON, named after the image"


class Matched(NamedTuple):
    """Images with the file of their outlines, and a line for what is left out."""

    pairs: tuple[tuple[ProjectEntry, Path], ...]
    remarks: tuple[str, ...]


def annotation_files(folder: Path, how: str) -> list[Path]:
    """Return the annotation files in a folder, by name; subfolders are not searched.

    Parameters
    ----------
    folder : Path
    how : str
        What is to be done where there is none.

    Raises
    ------
    UsageError
        If there is none, or the folder cannot be read.
    """
    try:
        files = [
            path for path in sorted(folder.iterdir()) if ANNOTATIONS.search(path.name) and path.is_file()
        ]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}): make it readable") from error
    if not files:
        raise UsageError(f"{folder}: holds no annotation file: {how}")
    return files


def match_outlines(entries: Sequence[ProjectEntry], folder: Path) -> Matched:
    """Match the images of a project with the annotation files in a folder; subfolders are not searched.

    Raises
    ------
    UsageError
        If the folder holds no annotation file, none is named after an image, a name fits several images, or
        several files fit one image.
    """
    project = entries[0].project
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: no folder: give the folder with the outlines exported from {project}")
    files = annotation_files(folder, HOW)
    called = _called(entries)
    found: dict[int, Path] = {}
    strangers = []
    for path in files:
        place = _place(path, entries, called)
        if place is None:
            strangers.append(path)
            continue
        if place in found:
            raise UsageError(
                f"{found[place]} and {path}: both are named after {entries[place].name!r} of {project}: "
                "keep one"
            )
        found[place] = path
    if not found:
        named = _listed(entry.name for entry in entries)
        raise UsageError(f"{folder}: no file is named after an image of {project} ({named}): {HOW}")
    pairs = tuple((entries[place], found[place]) for place in sorted(found))
    without = [entry for place, entry in enumerate(entries) if place not in found]
    return Matched(pairs, tuple(_remarks(project, without, strangers)))


def _place(path: Path, entries: Sequence[ProjectEntry], called: Sequence[dict[str, list[int]]]) -> int | None:
    """Return the place of the image that a file is named after; None if there is none."""
    name = called_after(path)
    fitting = next((places[name] for places in called if name in places), [])
    if len(fitting) > 1:
        one, other = (f"{entries[place].name!r} (image {entries[place].number})" for place in fitting[:2])
        raise UsageError(
            f"{path}: is named after both {one} and {other} of {entries[0].project}: rename it, or the "
            "images in QuPath, so that the names tell them apart"
        )
    return fitting[0] if fitting else None


def _called(entries: Sequence[ProjectEntry]) -> list[dict[str, list[int]]]:
    """Return the places of images by the names that their files of outlines may have, best names first."""
    called: list[dict[str, list[int]]] = []
    for place, entry in enumerate(entries):
        file = () if entry.path is None else (entry.path.name,)
        suffix = "" if entry.path is None else entry.path.suffix
        kinds = (
            [entry.name],
            [entry.result_name, *stems_of(entry.name, suffix)],
            file,
            [stem for name in file for stem in stems_of(name, suffix)],
        )
        called = called or [{} for _ in kinds]
        for places, names in zip(called, kinds, strict=True):
            for name in {key_of(name) for name in names} - {""}:
                places.setdefault(name, []).append(place)
    return called


def stems_of(name: str, suffix: str) -> Iterator[str]:
    """Yield a name without the suffix of its image's file, and without one that stands before that."""
    if suffix and name.lower().endswith(suffix.lower()):
        stem = name[: -len(suffix)]
        yield stem
        if stem.lower().endswith(INNER):
            yield stem[: -len(INNER)]


def called_after(path: Path) -> str:
    """Return the `key_of` the image that a file of outlines is named after."""
    return key_of(ANNOTATIONS.sub("", path.name))


def key_of(name: str) -> str:
    """Return what two spellings of a name share; QuPath drops what no file can be called."""
    return UNSAFE.sub("", name).strip().casefold()


def _remarks(project: Path, without: Sequence[ProjectEntry], strangers: Sequence[Path]) -> Iterator[str]:
    if without:
        names = _listed(entry.name for entry in without)
        yield f"{project}: {counted(len(without), 'images')} without outlines: {names}"
    for path in strangers:
        yield f"{path}: no image of {project} has this name: left out"


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    more = f" and {len(all_names) - LISTED} more" if len(all_names) > LISTED else ""
    return f"{', '.join(all_names[:LISTED])}{more}"
