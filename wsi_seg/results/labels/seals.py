"""Seals: the digests of a finished OME-Zarr's files, stored in it, to detect missing or altered files.

The attribute ``wsi_seg`` of `labels/tissue` holds the seal: a digest of every file of the Zarr, metadata
included, and of the document that holds the seal. So it is copied with the Zarr. A chunk without an entry
holds only the fill value, and has no file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from wsi_seg.errors import OutputError
from wsi_seg.files.digests import digest_file, digest_of, flush
from wsi_seg.files.document import DocumentError, refuse_newer
from wsi_seg.files.files import write_text
from wsi_seg.results.labels.ngff_attributes import ATTRIBUTES_VERSION, METADATA_NAMES, TISSUE, WSI_SEG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wsi_seg.results.labels.ngff_attributes import JsonObject

SEAL = "seal"
"""Its name among our attributes; null means that the Zarr is not finished."""

GO_ON = "run `wsi-seg predict` again, which resumes it"
ANEW = "copy it again if it is a copy, or make the result again with `wsi-seg predict --overwrite`"
ARRAY_FILE = re.compile(r"(labels/(tissue|confidence)/)?\d+(/[^./][^/]*)+")
"""Possible files of pixels; names that begin with a dot belong to other programs."""


@dataclass(frozen=True)
class Damage:
    """A file that has changed since it was written: the kind of damage, and the remedy."""

    path: Path
    what: str
    remedy: str = ANEW

    def __str__(self) -> str:
        return f"{self.path}: {self.what}: {self.remedy}"


class DamagedError(OutputError):
    """A result is damaged."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage))
        self.damage = damage


class Seal(BaseModel):
    """The content of a finished OME-Zarr.

    Attributes
    ----------
    pixels : dict
        Label pixels by label value.
    files : dict
        Digests of all files except the document with the seal, by path inside the Zarr.
    document : str
        Digest of that document's content, without this entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixels: dict[int, int]
    files: dict[str, str]
    document: str


def damages(folder: Path, files: Mapping[str, str]) -> Iterator[Damage]:
    """Compare files with their recorded digests, by path inside a folder; yield those that differ."""
    for name, digest in files.items():
        what = _damage(folder / name, digest)
        if what is not None:
            yield Damage(folder / name, what)


def _damage(path: Path, digest: str) -> str | None:
    if not path.is_file():  # open nothing else: reading a pipe would wait
        return "no file" if path.exists() else "missing"
    try:
        if digest_file(path) != digest:
            return "altered or cut" if path.stat().st_size else "empty"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def document_path(zarr: Path) -> Path:
    """Return the metadata document that holds the seal, of NGFF 0.5 or 0.4."""
    group = zarr / TISSUE
    is_old = any((group / name).exists() for name in (".zgroup", ".zattrs"))
    return group / (".zattrs" if is_old and not (group / "zarr.json").exists() else "zarr.json")


def write_seal(zarr: Path, pixels: Mapping[int, int], chunk_files: Mapping[str, str]) -> None:
    """Seal a complete OME-Zarr.

    Parameters
    ----------
    zarr : Path
    pixels : dict of int to int
        Label pixels by label value.
    chunk_files : dict of str to str
        Digests of its chunk files, as they were written, by path inside the Zarr.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    OutputError
        If its metadata is damaged, or cannot be written.
    """
    path = document_path(zarr)
    document = _read(path)
    metadata = {}
    for found in zarr.rglob("*"):
        if found.name in METADATA_NAMES and found != path:
            flush(found)
            metadata[found.relative_to(zarr).as_posix()] = digest_file(found)
    files = dict(sorted({**chunk_files, **metadata}.items()))
    seal = {"pixels": {str(value): count for value, count in sorted(pixels.items())}, "files": files}
    _own(document)[SEAL] = seal
    seal["document"] = _document_digest(document)
    write_text(path, _laid_out(document))


def read_seal(zarr: Path) -> Seal | None:
    """Return the seal of a finished OME-Zarr, or None if an earlier version without seals wrote it.

    Raises
    ------
    DamagedError
        If the document that holds it is missing, damaged or of a newer wsi-seg, or the Zarr is not finished.
    """
    path = document_path(zarr)
    document = _read(path)
    own = _own(document)
    try:
        refuse_newer(own, ATTRIBUTES_VERSION, path, ANEW)
    except DocumentError as error:
        raise DamagedError(Damage(path, error.what, error.remedy)) from error
    if SEAL not in own:
        return None
    if own[SEAL] is None:
        raise DamagedError(Damage(zarr, "not finished", GO_ON))
    try:
        seal = Seal.model_validate(own[SEAL], extra="ignore")
    except ValidationError as error:
        raise DamagedError(Damage(path, "altered")) from error
    if seal.document != _document_digest(document):
        raise DamagedError(Damage(path, "altered"))
    return seal


def digest_as_written(zarr: Path) -> str:
    """Return the digest of the document with the seal, in the layout that `write_seal` gives it.

    Raises
    ------
    DamagedError
        If it cannot be read.
    """
    return digest_of(_laid_out(_read(document_path(zarr))).encode())


def seal_damages(zarr: Path, seal: Seal) -> Iterator[Damage]:
    """Yield the files that are missing from a sealed OME-Zarr, altered in it, or do not belong to it."""
    yield from damages(zarr, seal.files)
    for path in sorted(zarr.rglob("*")):
        name = path.relative_to(zarr).as_posix()
        if name not in seal.files and ARRAY_FILE.fullmatch(name) and path.is_file():
            yield Damage(path, "does not belong to the result", "remove it")


def _read(path: Path) -> JsonObject:
    try:
        document: JsonObject = json.loads(path.read_bytes())
        _own(document)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise DamagedError(Damage(path, what)) from error
    return document


def _laid_out(document: JsonObject) -> str:
    return json.dumps(document, indent=2) + "\n"


def _own(document: JsonObject) -> JsonObject:
    """Return our part of a document: `labels/tissue`'s zarr.json, or its .zattrs."""
    own: JsonObject = document.get("attributes", document)[WSI_SEG]
    if not isinstance(own, dict):
        raise TypeError(f"{WSI_SEG} is not an object")
    return own


def _document_digest(document: JsonObject) -> str:
    """Return the digest of a document's content, without the digest itself, whatever its JSON formatting."""
    own = _own(document)
    seal = {name: value for name, value in own[SEAL].items() if name != "document"}
    bare: dict[str, Any] = {**own, SEAL: seal}
    content = {**document}
    if "attributes" in document:
        content["attributes"] = {**document["attributes"], WSI_SEG: bare}
    else:
        content[WSI_SEG] = bare
    return digest_of(json.dumps(content, sort_keys=True).encode())
