"""What DICOM calls the classes of a schema: a number, a label, a colour and codes for each.

DICOM wants a code for whatever is segmented. A class whose schema has none gets a private one, of the scheme
``99WSISEG``: schemes that begin with 99 are anybody's own (PS3.16, section 8).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.files.shipped import shipped_names
from wsi_seg.models.classes import UNPROCESSED_ID, Code, load_schema, name_key
from wsi_seg.results.polygons.written_classes import UNPROCESSED

if TYPE_CHECKING:
    from wsi_seg.models.classes import ClassSchema, Rgb, TissueClass

PRIVATE = "99WSISEG"

TISSUE = Code(value="85756007", meaning="Tissue")
"""The category of a class whose schema states none."""

SPATIAL = Code(value="309825002", meaning="Spatial and Relational Concept")

LONGEST = 64
"""Bytes of a label: DICOM counts characters, but programs that read it count bytes."""


@dataclass(frozen=True)
class CodedClass:
    """A class as DICOM has it.

    Attributes
    ----------
    value : int
        Its label value in the result.
    number : int
        Of the segment or group.
    name : str
    color : (int, int, int)
    code, category : Code
    """

    value: int
    number: int
    name: str
    color: Rgb
    code: Code
    category: Code

    @property
    def label(self) -> str:
        """The name as far as DICOM takes it; a backslash would end it there."""
        return labelled(self.name)

    @property
    def description(self) -> str | None:
        """The whole name, if the label is not."""
        return None if self.label == self.name else self.name


def labelled(text: str) -> str:
    """Return a text as far as DICOM takes it for a label."""
    return text.replace("\\", "/").encode()[:LONGEST].decode(errors="ignore")


def code_classes(
    schema: ClassSchema, values: set[int], codes: str | None = None
) -> tuple[tuple[CodedClass, ...], tuple[str, ...]]:
    """Give classes their numbers and codes.

    Parameters
    ----------
    schema : ClassSchema
        Of the result.
    values : set of int
        The label values to code; `UNPROCESSED_ID` may be among them, and comes last.
    codes : str, optional
        A schema, by name or path, whose codes are taken for the classes of the same names. By default that of
        the same name that comes with wsi-seg: models of before codes came hold none.

    Returns
    -------
    classes : tuple of CodedClass
        Numbered from 1 in the order of the schema.
    without : tuple of str
        The names of classes for which there is no code but a private one.

    Raises
    ------
    UsageError
        If there is no such schema.
    """
    given = _codes_of(schema, codes)
    classes: list[CodedClass] = []
    without: list[str] = []
    for tissue in schema.classes:
        if tissue.id not in values:
            continue
        coded = _coded(tissue, given)
        if coded is None:
            without.append(tissue.name)
        code, category = coded or (_private(tissue.name), tissue.category or TISSUE)
        classes.append(CodedClass(tissue.id, len(classes) + 1, tissue.name, tissue.color, code, category))
    if UNPROCESSED_ID in values:
        name, color = UNPROCESSED
        code = Code(scheme=PRIVATE, value="unprocessed", meaning="Unprocessed: could not be read")
        classes.append(CodedClass(UNPROCESSED_ID, len(classes) + 1, name, color, code, SPATIAL))
    return tuple(classes), tuple(without)


def _codes_of(schema: ClassSchema, codes: str | None) -> ClassSchema | None:
    """Return the schema whose codes are taken where the result's own has none."""
    if codes is None:
        return load_schema(schema.name) if schema.name in shipped_names("annotations") else None
    found = load_schema(codes)
    if all(tissue.code is None for tissue in found.classes):
        raise UsageError(f"{codes}: a class schema without codes: give its classes a `code` each")
    return found


def _coded(tissue: TissueClass, given: ClassSchema | None) -> tuple[Code, Code] | None:
    """Return a class's code and category; None if no schema has a code for it."""
    candidates = [tissue]
    if given is not None and (index := given.index_of(tissue.name)) is not None:
        candidates.append(given.classes[index])
    for candidate in candidates:
        if candidate.code is not None:
            return candidate.code, candidate.category or TISSUE
    return None


def _private(name: str) -> Code:
    """Return the private code of a class; of the same name, the same."""
    value = hashlib.sha256(name_key(name).encode()).hexdigest()[:16]
    return Code(scheme=PRIVATE, value=value, meaning=labelled(name))
