"""Class schemas: ids, names and colours of the classes."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wsi_seg.errors import UNPRINTABLE, printable
from wsi_seg.files.shipped import read_yaml

UNPROCESSED_ID = 255
"""Label value of pixels that were not processed: unreadable ones, and those of an unfinished run."""

OUTSIDE_ID = 254
"""Label value of pixels that were not asked for: outside the region of interest, or outside the
tissue when the schema has no background class."""

MAX_CLASSES = 254
MAX_NAME = 256
"""Largest number of characters in a name, so that it fits in legends and lists."""

Channel = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Channel, Channel, Channel]


def _shown_as_it_is(name: str) -> str:
    if UNPRINTABLE.search(name):
        raise ValueError(f"{printable(name)} holds control characters: take them out")
    return name


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_shown_as_it_is)]
"""A name that terminals, tables and QuPath show unchanged: on one line, in one direction."""


class Code(BaseModel):
    """An entry of a terminology: what a class is called wherever files of it go.

    Attributes
    ----------
    value : str
        The entry's identifier.
    meaning : str
        What it is called there.
    scheme : str
        The terminology, by DICOM's designators (PS3.16, section 8): SCT is SNOMED CT.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-\[\]-~]+$")]
    meaning: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_shown_as_it_is)]
    scheme: Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[!-\[\]-~]+$")] = "SCT"


class TissueClass(BaseModel):
    """One class: the value of its pixels in a label image, its name and its colour.

    Attributes
    ----------
    code : Code or None
        What the class is, for files that state it by a code.
    category : Code or None
        The kind of thing that this is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[int, Field(ge=0, lt=MAX_CLASSES)]
    name: Name
    color: Rgb
    aliases: tuple[Name, ...] = ()
    # Left out where there is none: documents of classes without codes keep their bytes.
    code: Annotated[Code | None, Field(exclude_if=lambda code: code is None)] = None
    category: Annotated[Code | None, Field(exclude_if=lambda code: code is None)] = None


class ClassSchema(BaseModel):
    """An ordered list of classes; a network's output channel ``i`` means ``classes[i]``.

    Attributes
    ----------
    name : str
        Name of the schema, as in ``annotations/NAME.yaml``.
    classes : tuple of TissueClass
        In the order of the network's output channels.
    background : str or None
        Name of the class of empty glass, if there is one. By default there are no polygons of it. Pixels
        outside the tissue mask get this class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    classes: Annotated[tuple[TissueClass, ...], Field(min_length=2, max_length=MAX_CLASSES)]
    background: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [c.id for c in self.classes]
        names = [c.name for c in self.classes]
        if len(set(ids)) != len(ids):
            raise ValueError("class ids are not unique")
        if len(set(names)) != len(names):
            raise ValueError("class names are not unique")
        if self.background is not None and self.background not in names:
            raise ValueError(f"background class {self.background!r} is not among the classes")
        return self

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        """Label value of each output channel."""
        return tuple(c.id for c in self.classes)

    @cached_property
    def _index_by_key(self) -> dict[str, int]:
        """Positions of the classes by name, then by alias, in the form used to compare names."""
        found: dict[str, int] = {}
        for names in ([[c.name] for c in self.classes], [c.aliases for c in self.classes]):
            for index, spellings in enumerate(names):
                for spelling in spellings:
                    found.setdefault(name_key(spelling), index)
        return found

    def index_of(self, name: str) -> int | None:
        """Return the position of the class that annotations call `name`, or None if there is none.

        Case and white space do not matter. Aliases count as names, but a name comes first. For a derived
        class, as QuPath writes it, the whole name is looked up first, then its bases: ``A: B: C``, ``A: B``,
        ``A``.
        """
        for index, known in enumerate(self.classes):
            if known.name == name:
                return index
        parts = name.split(":")
        keys = (name_key(":".join(parts[:count])) for count in range(len(parts), 0, -1))
        return next((self._index_by_key[key] for key in keys if key in self._index_by_key), None)

    @property
    def background_id(self) -> int | None:
        """Label value of the background class, if the schema has one."""
        return next((c.id for c in self.classes if c.name == self.background), None)

    @property
    def outside_id(self) -> int:
        """Label value for pixels outside the tissue: the background class, else `OUTSIDE_ID`."""
        return OUTSIDE_ID if self.background_id is None else self.background_id


def name_key(name: str) -> str:
    """Return the form in which class names are compared: lower case, single spaces."""
    return ":".join(" ".join(part.split()) for part in name.split(":")).casefold()


def load_schema(name_or_path: str) -> ClassSchema:
    """Read a class schema from the shipped ones by name, or from a YAML file.

    Raises
    ------
    UsageError
        If there is no such schema, or the file is not one.
    """
    return read_yaml(ClassSchema, name_or_path, "annotations", "class schema")
