"""What identifies a slide's content, and whether its files have changed since it was opened."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import openslide

from wsi_seg.errors import SlideError
from wsi_seg.files.digests import digest_file
from wsi_seg.slides.readers.dicom import read_dicom_header
from wsi_seg.slides.readers.statements import SERIES as TIFF_IMAGE
from wsi_seg.slides.readers.zarr_store import ARRAYS, IMAGE, METADATA_NAMES, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PIECE_BYTES = 1 << 16
PIECES = 128
"""Parts of `PIECE_BYTES`, evenly spaced: they distinguish files whose beginnings and ends are equal."""

SERIES = "dicom.SeriesInstanceUID"

WATCHED = 256
"""Chunk files of a Zarr that are looked at, evenly spaced in the order of their names: it may have a million.
"""

Stamp = tuple[int, int]
"""A file's size, and when it was last written to, in nanoseconds."""


@dataclass(frozen=True)
class SlideFiles:
    """The files that a slide is made of, as they were when it was opened.

    Attributes
    ----------
    stamps : dict of Path to Stamp or None
        The file that names the slide comes first. None stands for a file that could not be looked at. Of a
        Zarr, its metadata and `WATCHED` of its chunk files.
    store : ZarrFiles or None
        Of a slide that is a Zarr.
    """

    stamps: Mapping[Path, Stamp | None]
    store: ZarrFiles | None = None

    @classmethod
    def of(cls, path: Path, properties: Mapping[str, str], opened: Stamp | None) -> SlideFiles:
        """Find a slide's files.

        Parameters
        ----------
        path : Path
            The file, or the folder of a Zarr, that names the slide.
        properties : mapping of str to str
            What the slide says of itself, by OpenSlide's names.
        opened : Stamp or None
            Of the file that names the slide, taken before it was opened: a file that is put in its place
            just then is another one. Not needed of a Zarr.
        """
        if IMAGE in properties:
            store = ZarrFiles(path, properties[IMAGE], tuple(properties[ARRAYS].splitlines()))
            names = list(store.names())
            listing = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
            return cls(
                {path / name: stamp(path / name) for name in _watched(names)},
                replace(store, listing=listing),
            )
        others = (other for other in _others(path, properties) if other != path)
        return cls({path: opened} | {file: stamp(file) for file in others})

    def refuse_changed(self) -> None:
        """Refuse a slide whose files have changed since it was opened.

        Raises
        ------
        SlideError
            If one of its files was written to, replaced or removed since.
        """
        for path, then in self.stamps.items():
            if then is None or stamp(path) != then:
                raise _changed(path)

    def refuse_other_content(self) -> None:
        """Refuse a slide whose `content` has changed, though times have not: copying may set them back.

        Raises
        ------
        SlideError
            If it has, or a file cannot be read.
        """
        if replace(self).content != self.content:
            raise _changed(next(iter(self.stamps)))

    def same_as(self, other: SlideFiles) -> bool:
        """Return whether two slides are equal, wherever they lie: all bytes of all files, as first opened.

        Raises
        ------
        SlideError
            If a file cannot be read.
        """
        if self.content != other.content:
            return False
        if self._identities() != other._identities() and self._digests() != other._digests():
            return False
        # A file that was written to since is no longer what was opened, and earlier work does not belong to
        # it.
        return all(stamp(path) == then for one in (self, other) for path, then in one.stamps.items())

    def _identities(self) -> set[tuple[int, int]]:
        """Return the file system's identity of the files; a link has that of its target."""
        with _named():
            return {(status.st_dev, status.st_ino) for status in map(os.stat, self.stamps)}

    def _digests(self) -> list[str]:
        with _named():
            if self.store is not None:
                return [f"{name} {digest_file(self.store.folder / name)}" for name in self.store.names()]
            return sorted(map(digest_file, self.stamps))

    @cached_property
    def content(self) -> str:
        """A hash of the sizes of all files and of parts of each, wherever they lie.

        Of a Zarr, of the names of all files, and of the sizes and parts of those in `stamps`.

        Raises
        ------
        SlideError
            If one cannot be read.
        """
        pieces = max(2, PIECES // len(self.stamps))
        with _named():
            parts = (hashlib.sha256(b"".join(_pieces(path, pieces))).digest() for path in self.stamps)
            found = sorted(parts) if self.store is None else [self.store.listing.encode(), *parts]
        return hashlib.sha256(b"".join(found)).hexdigest()[:16]


@dataclass(frozen=True)
class ZarrFiles:
    """The files of an image in a Zarr.

    Attributes
    ----------
    folder : Path
        The store.
    image : str
        Where the image is in it.
    arrays : tuple of str
        Of its levels, inside the image.
    listing : str
        A hash of the names of all files.
    """

    folder: Path
    image: str
    arrays: tuple[str, ...]
    listing: str = ""

    def names(self) -> Iterator[str]:
        """Yield the names of the files that are there now, inside the store, in a fixed order."""
        return files_of(self.folder, self.image, self.arrays)


def fingerprint(path: Path, properties: Mapping[str, str], size: tuple[int, int], files: SlideFiles) -> str:
    """Return a short hash that identifies a slide's content, wherever the file lies.

    Parameters
    ----------
    path : Path
    properties : mapping of str to str
        What the slide says of itself, by OpenSlide's names.
    size : (int, int)
        Width and height of level 0.
    files : SlideFiles
        The slide's.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    quickhash = properties.get(openslide.PROPERTY_NAME_QUICKHASH1, "")
    digest = hashlib.sha256(quickhash.encode())
    if SERIES in properties:  # any file of the slide opens it, and OpenSlide's hash is that of the series
        digest.update(f"{size}".encode())
        return digest.hexdigest()[:16]
    if files.store is not None:
        digest.update(f"{size} {files.content}".encode())
        return digest.hexdigest()[:16]
    # Named where it is another one than the file's first.
    image = f" image {properties[TIFF_IMAGE]}" if TIFF_IMAGE in properties else ""
    digest.update(f"{size} {path.stat().st_size}{image}".encode())
    # For large uncompressed levels OpenSlide has no hash; such files have equal sizes and white edges.
    for piece in _pieces(path, 2 if quickhash else PIECES, sized=False):
        digest.update(piece)
    return digest.hexdigest()[:16]


def _watched(names: Sequence[str]) -> list[str]:
    """Return the metadata, and chunk files evenly spaced."""
    chunks = [name for name in names if name.rpartition("/")[2] not in METADATA_NAMES]
    step = max(1.0, len(chunks) / WATCHED)
    watched = {chunks[int(i * step)] for i in range(min(len(chunks), WATCHED))}
    return [name for name in names if name in watched or name.rpartition("/")[2] in METADATA_NAMES]


def _pieces(path: Path, count: int, sized: bool = True) -> Iterator[bytes]:
    """Yield a file's size, if asked for, and parts of it, from its first bytes to its last."""
    size = path.stat().st_size
    if sized:
        yield f"{size} ".encode()
    with path.open("rb") as file:
        for i in range(count):
            file.seek(max(size - PIECE_BYTES, 0) * i // (count - 1))
            yield file.read(PIECE_BYTES)


@contextmanager
def _named() -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except OSError as error:
        raise SlideError(
            f"{error.filename}: is part of a slide, but cannot be read ({error.strerror}): copy the slide "
            "again"
        ) from error


def _changed(path: Path) -> SlideError:
    return SlideError(
        f"{path}: was changed while the slide was read: restore the file and run the same command again; or, "
        "if the new file is the right one, start again (`predict` and `train`: with --overwrite)"
    )


def stamp(path: Path) -> Stamp | None:
    """Return a file's size and when it was last written to; None if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _others(path: Path, properties: Mapping[str, str]) -> Iterator[Path]:
    """Yield the slide's other files that hold pixels, beside the one that names the slide."""
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        yield from _files(path.with_suffix(""))
    elif suffix in {".vms", ".vmu"}:
        text = path.read_text(encoding="latin-1")
        named = {line.partition("=")[2].strip() for line in text.splitlines()}
        yield from (file for file in _files(path.parent) if file.name in named)
    elif SERIES in properties:
        uid = re.compile(rb"(?<![\d.])" + re.escape(properties[SERIES].encode()) + rb"(?![\d.])")
        for file in _files(path.parent):
            header = read_dicom_header(file)
            if header is not None and header.no_slide is None and uid.search(_head(file)):
                yield file


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file())
    except OSError:
        return []  # OpenSlide, which opened the slide, finds the files elsewhere


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PIECE_BYTES)
