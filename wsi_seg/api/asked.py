"""What a caller asks for, checked: settings that do not fit are one line that names the argument."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from wsi_seg.errors import UsageError, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    Settings = TypeVar("Settings", bound=BaseModel)

AnyPath = str | os.PathLike[str]


def checked(settings: type[Settings], given: Mapping[str, object]) -> Settings:
    """Make settings of arguments.

    Raises
    ------
    UsageError
        Naming the first argument whose value does not fit.
    """
    try:
        return settings.model_validate(dict(given))
    except ValidationError as error:
        name, _, said = explain(error).partition(": ")
        raise UsageError(f"{name}={given.get(name.partition('.')[0])!r}: {said}") from error


def path_of(path: AnyPath) -> Path:
    """Return a path, as strings and paths alike are given.

    Raises
    ------
    UsageError
        If it is neither.
    """
    try:
        return Path(os.fsdecode(path))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"a {type(path).__name__} names no file: give a path, as a string or a Path"
        ) from error
