"""What slides are called in tables and lines of progress, so that a reader tells them apart."""

from __future__ import annotations

import os
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.slides.in_folder import may_be_dicom
from wsi_seg.slides.readers.dicom import read_dicom_header

if TYPE_CHECKING:
    from collections.abc import Sequence


def slide_names(paths: Sequence[Path]) -> list[str]:
    """Name slides after their files, without suffixes; DICOM slides after their folders. No two are alike.

    Where that is not enough, suffixes are kept, files of DICOM slides in one folder are named as well, and so
    are the folders above. A file that comes twice, with another of its images, gets a number.
    """
    files = [Path(os.path.abspath(path)) for path in paths]
    places = [_place(file) for file in files]
    times, inside = Counter(files), Counter(place for _, place in set(zip(files, places, strict=True)))
    names = [_name(file, place, inside[place] > 1) for file, place in zip(files, places, strict=True)]
    for depth in range(2, max((len(place.parts) for place in places), default=0)):
        alike = Counter(names)
        names = [
            f"{place.parts[-depth]}__{name}"
            if alike[name] > times[file] and depth < len(place.parts)
            else name
            for name, file, place in zip(names, files, places, strict=True)
        ]
    return _numbered(names)


def _place(file: Path) -> Path:
    """Return what a slide is named after: its file without the suffix, or a DICOM slide's folder."""
    return file.parent if _is_dicom(file) else file.with_name(file.stem)


def _is_dicom(file: Path) -> bool:
    return may_be_dicom(file) and read_dicom_header(file) is not None


def _name(file: Path, place: Path, shared: bool) -> str:
    if not place.name:  # DICOM in the root folder
        return file.stem
    if not shared:
        return place.name
    return file.name if place.parent == file.parent else f"{place.name}__{file.stem}"


def _numbered(names: Sequence[str]) -> list[str]:
    numbered: list[str] = []
    for name in names:
        others = (f"{name}-{number}" for number in count(2))
        numbered.append(name if name not in numbered else next(n for n in others if n not in numbered))
    return numbered
