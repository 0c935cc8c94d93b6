"""A slide as a user names it: the same slide by other spellings, and in QuPath projects, is one slide."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.slides.in_folder import DicomSeries, dicom_series, may_be_dicom

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsi_seg.data.projects.entry import ProjectEntry


@dataclass(frozen=True)
class Named:
    """A slide as the user names it.

    Attributes
    ----------
    path : Path
    mpp : float or None
    identity : (str, str)
        Equal for all spellings of one slide: its file, or its folder and its DICOM series; with the number
        of the image, if it is not the file's first.
    series : DicomSeries or None
    entry : ProjectEntry or None
    """

    path: Path
    mpp: float | None
    identity: tuple[str, str]
    series: DicomSeries | None
    entry: ProjectEntry | None = None

    @classmethod
    def of(cls, path: Path, mpp: float | None) -> Named:
        """Return a slide that is named by its file."""
        file = Path(os.path.realpath(path))
        series = dicom_series(path) if may_be_dicom(path) else None
        return cls(path, mpp, (str(file.parent), file.name if series is None else series.uid), series)

    @classmethod
    def of_entry(cls, entry: ProjectEntry, mpp: float | None) -> Named:
        """Return an image of a project; one that cannot be taken is one of its own, wherever its file is."""
        if entry.fault is None and entry.path is not None:
            of = cls.of(entry.path, mpp)
            image = f" image {entry.series}" if entry.series else ""
            return replace(of, identity=(of.identity[0], of.identity[1] + image), entry=entry)
        path = entry.path or entry.project / entry.result_name
        return cls(path, mpp, _of_its_own(entry), None, entry)

    @property
    def file_says_it(self) -> bool:
        """Whether it is called as its file is, not as a DICOM slide's folder or an image of a project."""
        return self.series is None and (self.entry is None or self.entry.name == self.path.name)

    @property
    def place(self) -> Path:
        """The path that names its result: the file, or a DICOM slide's folder; links are not followed."""
        path = Path(os.path.abspath(self.path))
        return path if self.series is None else path.parent


def told_apart(named: Sequence[Named]) -> Iterator[Named]:
    """Yield the slides, with images of one file apart if their project states other sizes or resolutions."""
    first: dict[tuple[str, str], ProjectEntry] = {}
    for one in named:
        entry = one.entry
        if entry is not None:
            other = first.setdefault(one.identity, entry)
            if (entry.size, entry.mpp) != (other.size, other.mpp):
                yield replace(one, identity=_of_its_own(entry))
                continue
        yield one


def _of_its_own(entry: ProjectEntry) -> tuple[str, str]:
    """Return an identity that no other image has."""
    return str(entry.project), f"{entry.number}: {entry.name}"


def once(named: Sequence[Named]) -> list[Named]:
    """Keep every slide once, however often and in whatever spelling it is named; as a project's if it is one.

    Raises
    ------
    UsageError
        If a slide is given two resolutions.
    """
    spellings: dict[tuple[str, str], list[Named]] = defaultdict(list)
    for one in named:
        spellings[one.identity].append(one)
    kept = []
    for same in spellings.values():
        given = list(dict.fromkeys(one.mpp for one in same if one.mpp is not None))
        if len(given) > 1:
            both = " and ".join(dict.fromkeys(str(one.path) for one in same))
            raise UsageError(
                f"{both}: one slide, given {given[0]:g} and {given[1]:g} um per px: name it once, with the "
                "true resolution"
            )
        first = next((one for one in same if one.entry is not None), same[0])
        kept.append(replace(first, mpp=given[0] if given else None))
    return kept


def twins(named: Sequence[Named], slides: Sequence[Named], names: Sequence[str]) -> Iterator[str]:
    """Yield a line for each image of a project whose slide has its result under another name."""
    kept = {slide.identity: (slide, name) for slide, name in zip(slides, names, strict=True)}
    for one in named:
        slide, name = kept[one.identity]
        if one.entry is not None and one.entry != slide.entry:
            yield f"{one.entry}: the same slide as {slide.entry or slide.path}: its result is {name}"
