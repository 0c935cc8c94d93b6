"""QuPath projects: which images they list, and where the files of these lie now.

The project file (``project.qpproj``, QuPath 0.2 to 0.8) is JSON, and nothing else of a project is opened. It
stores each image's place as a URI, and its own as it was when it was last saved: the relative path between
the two leads to an image that was moved together with its project.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsi_seg.data.projects.entry import ProjectEntry
from wsi_seg.data.projects.server import NotTakenError, Server
from wsi_seg.errors import AnnotationError, SlideError, UsageError, explain
from wsi_seg.files.file_uri import in_words, local_path, moved_path, path_of_uri
from wsi_seg.files.jsonfile import parse_json
from wsi_seg.files.plain_files import read_plain
from wsi_seg.files.unpack import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".qpproj"
USUAL_NAME = f"project{SUFFIX}"

AGAIN = "open it in QuPath, save it and give it again"


class _Image(BaseModel):
    """An image as the project file stores it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int = Field(alias="entryID")
    name: str | None = Field(None, alias="imageName")
    server: dict[str, Any] = Field(alias="serverBuilder")


def find_project(path: Path) -> Path | None:
    """Return the project file that a path names: itself, or the one in a folder; None if there is none.

    Raises
    ------
    UsageError
        If a folder holds several, and none has the usual name.
    """
    if path.suffix.lower() == SUFFIX:
        return path
    if not os.path.isdir(path):
        return None
    try:
        projects = sorted(one for one in path.iterdir() if one.suffix.lower() == SUFFIX)
    except OSError:
        return None  # whoever reads the folder says what is wrong with it
    usual = [one for one in projects if one.name == USUAL_NAME]
    if len(usual or projects) > 1:
        raise UsageError(f"{path}: holds several QuPath projects: name one: {projects[0]}, {projects[1]} ...")
    return next(iter(usual or projects), None)


def read_project(path: Path) -> tuple[ProjectEntry, ...]:
    """Read the images of a project, in its order; those that cannot be taken say why.

    Raises
    ------
    SlideError
        If the file cannot be read, is no project of QuPath 0.2 or later, or lists no image.
    """
    content = _content(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(images, list):
        raise SlideError(f"{path}: not a QuPath project: name its project.qpproj")
    if content.get("version") is None and "lastID" not in content:
        raise SlideError(f"{path}: of QuPath before 0.2, which is not read: {AGAIN}")
    if not images:
        raise SlideError(f"{path}: lists no image: add slides to the project in QuPath")
    before = _folder_before(content.get("uri"))
    return tuple(_entry(path, place, image, before) for place, image in enumerate(images, start=1))


def _content(path: Path) -> object:
    try:
        return parse_json(path, read_plain(path, MAX_BYTES)).value
    except OSError as error:
        raise SlideError(f"{path}: {error.strerror}: name a QuPath project's {USUAL_NAME}") from error
    except AnnotationError as error:
        what = str(error).removeprefix(f"{path}: ").partition("): ")[0]
        raise SlideError(
            f"{path}: {what}): not a QuPath project, or damaged: {AGAIN}; QuPath keeps the one before as "
            f"{path.name}.backup"
        ) from error


def _folder_before(uri: object) -> str | None:
    """Return the folder of the project when it was last saved, if that is known."""
    try:
        return posixpath.dirname(path_of_uri(uri)) if isinstance(uri, str) else None
    except ValueError:
        return None  # then only images that were not moved are found


def _entry(project: Path, place: int, stored: object, before: str | None) -> ProjectEntry:
    try:
        image = _Image.model_validate(stored)
    except ValidationError as error:
        damaged = f"is damaged ({explain(error)}): add the image to the project again"
        return ProjectEntry(project, place, f"image {place} of the list", None, damaged)
    name = image.name or f"Image {image.number}"
    try:
        server = Server.of(image.server)
        stated = path_of_uri(server.uri)
    except NotTakenError as error:
        return ProjectEntry(project, image.number, name, None, str(error))
    except ValueError as error:
        return ProjectEntry(project, image.number, name, None, f"{error}: give its slide as a file")
    path, fault = _find(project, stated, before)
    if fault is None and path.suffix.lower() == ".qpproj":
        fault = f"{path}: is a QuPath project, not a slide: remove the image from the project"
    return ProjectEntry(project, image.number, name, path, fault, server.size, server.mpp, server.series)


def _find(project: Path, stated: str, before: str | None) -> tuple[Path, str | None]:
    """Return the file of an image, and what is wrong if it is not there.

    As in QuPath, the stated path counts while there is a file, and the relative one afterwards.
    """
    path = local_path(stated)
    moved = None if before is None else moved_path(stated, before, project.parent)
    for candidate in (path, moved):
        if candidate is not None and os.path.exists(candidate):
            return candidate, None
    also = "" if moved is None or moved == path else f", nor {moved}"
    return path, (
        f"{in_words(stated)}: no such file{also}: open the project in QuPath, which asks where its images "
        "are, or give the slide as a file"
    )
