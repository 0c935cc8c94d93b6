"""What a slide is called: in its results, and in tables and lines of progress, where no two are alike.

Most slides are called as their files. A DICOM slide has several files, which say nothing: it is called after
its folder, or after its container.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.slides.in_folder import DicomSeries, dicom_series, may_be_dicom
from wsi_seg.slides.readers.zarr_store import is_store

if TYPE_CHECKING:
    from collections.abc import Sequence

UID = re.compile(r"[0-2](\.\d+){4,}")
"""A DICOM UID as a name of files or of folders, which says nothing to people."""

UNSAID = frozenset({"", "unknown", "none", "anonymous"})
"""Container identifiers, in lower case, that do not name a container."""

ZARR = re.compile(r"(\.ome)?\.zarr$", flags=re.IGNORECASE)


def stem_of(path: Path) -> str:
    """Return a slide's name without its suffix; of an image inside a Zarr, with the name of that."""
    if is_store(path) and is_store(path.parent):
        return f"{stem_of(path.parent)}__{path.name}"
    bare = ZARR.sub("", path.name)
    if bare != path.name or is_store(path):
        return bare or path.name
    return path.stem


def suffix_of(path: Path) -> str:
    """Return what `stem_of` leaves out."""
    stem = stem_of(path)
    return path.name[len(stem) :] if path.name.startswith(stem) else ""


def dicom_name(folder: Path, series: DicomSeries, beside: Sequence[DicomSeries] = ()) -> str:
    """Name a DICOM slide after its folder, or after its container if the folder's name is not enough.

    Parameters
    ----------
    folder : Path
        Absolute.
    series : DicomSeries
    beside : sequence of DicomSeries
        Other slides in this folder, from which its name must tell it.
    """
    place = folder.name or "dicom"
    if not beside and not UID.fullmatch(place):
        return place
    name = re.sub(r"[^\w.-]+", "_", series.container).strip("._")
    if series.container not in [one.container for one in beside] and name.lower() not in UNSAID:
        return name
    return f"{place}__{hashlib.sha256(series.uid.encode()).hexdigest()[:8]}" if beside else place


def file_name(path: Path) -> str:
    """Return the name of a slide's file; of an image inside a Zarr, with the name of that."""
    path = _absolute(path)
    return stem_of(path) if is_store(path) and is_store(path.parent) else path.name


def shown_name(path: Path) -> str:
    """Return what a slide is called where it is shown alone: its file's name, or a DICOM slide's own."""
    series = _series_of(path)
    return file_name(path) if series is None else dicom_name(_absolute(path).parent, series)


def bare_name(path: Path) -> str:
    """Return what files about a slide are named after: its file without suffix, or a DICOM slide's name."""
    series = _series_of(path)
    return stem_of(_absolute(path)) if series is None else dicom_name(_absolute(path).parent, series)


def slide_names(paths: Sequence[Path]) -> list[str]:
    """Name slides after their files, without suffixes; DICOM slides after their folders. No two are alike.

    Where that is not enough, suffixes are kept, DICOM slides in one folder are named after their containers,
    and the folders above are named as well. A file that comes twice, with another of its images, gets a
    number.
    """
    files = [_absolute(path) for path in paths]
    series = [_series_of(file) for file in files]
    places = [
        file.with_name(stem_of(file)) if one is None else file.parent
        for file, one in zip(files, series, strict=True)
    ]
    times, inside = Counter(files), Counter(place for _, place in set(zip(files, places, strict=True)))
    names = []
    for file, place, own in zip(files, places, series, strict=True):
        if own is not None:
            others = {one for one, folder in zip(series, places, strict=True) if one and folder == place}
            names.append(dicom_name(place, own, list(others - {own})))
        else:
            names.append(file.name if inside[place] > 1 else place.name)
    for depth in range(2, max((len(place.parts) for place in places), default=0)):
        alike = Counter(names)
        names = [
            f"{place.parts[-depth]}__{name}"
            if alike[name] > times[file] and depth < len(place.parts)
            else name
            for name, file, place in zip(names, files, places, strict=True)
        ]
    return _numbered(names)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _series_of(path: Path) -> DicomSeries | None:
    return dicom_series(path) if may_be_dicom(path) else None


def _numbered(names: Sequence[str]) -> list[str]:
    numbered: list[str] = []
    for name in names:
        others = (f"{name}-{number}" for number in count(2))
        numbered.append(name if name not in numbered else next(n for n in others if n not in numbered))
    return numbered
