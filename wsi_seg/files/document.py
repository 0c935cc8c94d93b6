"""JSON documents that this program stores and reads again, each with the version of its form.

A document's ``format_version`` is raised when an older reader would get it wrong, and only then: that reader
refuses it in one line. A field that an older reader can do without is added without a new version; the reader
ignores it, in parts of the document too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from wsi_seg.errors import OutputError, explain
from wsi_seg.files.plain_files import open_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = "format_version"

UPGRADE = "upgrade wsi-seg"
"""What helps against a document of a newer version."""


class DocumentError(OutputError):
    """A stored document cannot be used.

    Attributes
    ----------
    what : str
        What is wrong with it.
    remedy : str
    """

    def __init__(self, line: str, what: str = "", remedy: str = "") -> None:
        super().__init__(line)
        self.what, self.remedy = what, remedy

    @classmethod
    def at(cls, path: Path, what: str, remedy: str) -> Self:
        """Return the error about a file."""
        return cls(f"{path}: {what}: {remedy}", what, remedy)


class NewerError(DocumentError):
    """A stored document is of a version that only a newer wsi-seg reads."""


class Document(BaseModel):
    """A document that is stored as JSON.

    Attributes
    ----------
    format_version : int
        Version of its form. What is read of an older one is brought to this one. A subclass overrides the
        default when its form changes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: int = 1

    @classmethod
    def newest(cls) -> int:
        """Return the newest version that this wsi-seg reads, and the one that it writes."""
        return int(cls.model_fields[VERSION].default)

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path, remedy: str) -> Self:
        """Make a document of its JSON object.

        Parameters
        ----------
        content : mapping
        path : Path
            The file that it stands in, for errors to name.
        remedy : str
            What helps if it is damaged.

        Raises
        ------
        NewerError
            If it is of a newer version.
        DocumentError
            If it is damaged.
        """
        refuse_newer(content, cls.newest(), path, remedy)
        try:
            return cls.model_validate({**content, VERSION: cls.newest()}, extra="ignore")
        except ValidationError as error:
            raise DocumentError.at(path, f"damaged ({explain(error)})", remedy) from error

    @classmethod
    def read(cls, path: Path, remedy: str) -> Self:
        """Read a file that holds the document and nothing else.

        Raises
        ------
        NewerError, DocumentError
            As for `of`; and if the file cannot be read.
        """
        return cls.of(read_object(path, remedy), path, remedy)


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read the JSON object that a file holds.

    Raises
    ------
    DocumentError
        If it cannot be read, or holds anything else.
    """
    try:
        with open_plain(path) as file:
            content = file.read()
    except OSError as error:
        raise DocumentError.at(path, f"cannot be read ({error.strerror})", remedy) from error
    return parse_object(content, path, remedy)


def parse_object(content: bytes, path: Path, remedy: str) -> dict[str, Any]:
    """Do what `read_object` does, with bytes that are there already."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DocumentError.at(path, "damaged (not JSON)", remedy) from error
    if not isinstance(document, dict):
        raise DocumentError.at(path, "damaged (not a JSON object)", remedy)
    return document


def refuse_newer(content: Mapping[str, Any], newest: int, path: Path, remedy: str) -> None:
    """Refuse a document whose version is newer than what is read here. One without a version is of the first.

    Raises
    ------
    NewerError
    DocumentError
        If its version is none.
    """
    version = content.get(VERSION, 1)
    if type(version) is not int or version < 1:
        raise DocumentError.at(path, f"damaged ({VERSION} is no version)", remedy)
    if version > newest:
        what = f"written by a newer wsi-seg (format {version}, this one reads up to {newest})"
        raise NewerError.at(path, what, UPGRADE)


def versioned(content: Mapping[str, Any], version: int = 1) -> dict[str, Any]:
    """Put its version before a document that is written for others, and that nothing here reads again."""
    return {VERSION: version, **content}
