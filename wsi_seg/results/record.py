"""The record of a result: how far it is, and what it is made from. It has a digest of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue

from wsi_seg.files.digests import digest_of
from wsi_seg.files.document import VERSION, Document, DocumentError, read_object
from wsi_seg.slides.coarse import MaskSeal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Key = dict[str, JsonValue]

OTHER_RECORD = (
    "copy the folder again, use a copy of its slide.ome.zarr alone, or make the result again with "
    "`wsi-seg predict --overwrite`"
)
"""What helps against a record that cannot be read; the last alone helps `predict`."""

SIGNED_SINCE = 2
"""Version of the records from which on they hold a digest of themselves."""

Stage = Literal["segmenting", "exporting", "finished"]


class RunRecord(Document):
    """How far a result is, and what it is made from.

    Attributes
    ----------
    progress : {"segmenting", "exporting", "finished"}
        "exporting" says that the label pyramid is whole.
    labels : dict
        What the labels depend on: slide, model, settings, by the names that users know.
    export : dict
        What the polygons depend on beside the labels.
    slide : str or None
        Where the slide was when the run was last started; None in records of before that was noted.
    series : int or None
        Which image of its file, if that was asked for.
    software : dict or None
        Versions of the libraries with which the run was started, by name; None in records of before they
        were noted.
    tissue : MaskSeal or None
        The tissue mask that the labels go by, once it is found; None without one.
    totals : RegionTotals or None
        Sums over all regions, once they are done.
    files : dict or None
        Digests of the files that are done, by path in the folder: of the OME-Zarr the document that holds its
        seal, which knows all others. None in records of before they were noted.
    digest : str or None
        Of all else, where the record is stored; see `signed`.
    """

    format_version: int = SIGNED_SINCE
    progress: Stage
    labels: Key
    export: Key
    slide: str | None = None
    series: int | None = None
    software: dict[str, str] | None = None
    tissue: MaskSeal | None = None
    totals: RegionTotals | None = None
    files: dict[str, str] | None = None
    digest: str | None = None

    def signed(self) -> str:
        """Return the record as it is stored, with its digest."""
        bare = json.loads(self.model_dump_json(exclude={"digest"}))
        return self.model_copy(update={"digest": _digest(bare)}).model_dump_json(indent=2)

    @classmethod
    def read_checked(cls, path: Path) -> Self:
        """Read a record that `signed` made, or one of before records held digests.

        Raises
        ------
        DocumentError
            If it cannot be read, is damaged, or is of a newer wsi-seg.
        """
        content = read_object(path, OTHER_RECORD)
        record = cls.of(content, path, OTHER_RECORD)
        # Of what stands there, with fields of newer versions that `of` leaves out.
        unsigned = content.get(VERSION, 1) < SIGNED_SINCE
        if not unsigned and content.pop("digest", None) != _digest(content):
            raise DocumentError.at(path, "damaged (altered)", OTHER_RECORD)
        return record


class RegionTotals(BaseModel):
    """Sums over the regions of a slide.

    Attributes
    ----------
    pixels : dict
        Label pixels by label value.
    unreadable : int
        Tiles of the slide that could not be decoded.
    patches : int
        Patches that went through the network.
    seconds : dict
        Seconds by stage, added up over workers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixels: dict[int, int]
    unreadable: int
    patches: int
    seconds: dict[str, float]


def _digest(content: dict[str, Any]) -> str:
    """Return the digest of what a document says, however its JSON is laid out."""
    return digest_of(json.dumps(content, sort_keys=True).encode())


def differences(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> str:
    """Say in a few words what differs between two keys."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return ", ".join(f"{name} ({old.get(name)} then, {new.get(name)} now)" for name in names)
