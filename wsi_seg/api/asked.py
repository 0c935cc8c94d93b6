"""What a caller asks for, checked: settings that do not fit are one line that names the argument."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from wsi_seg.errors import UsageError, explain, shortened

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
    flags = {name for name, field in settings.model_fields.items() if field.annotation is bool}
    for name in flags & given.keys():
        flag_of(name, given[name])
    try:
        made = settings.model_validate(dict(given))
    except ValidationError as error:
        name, _, said = explain(error).partition(": ")
        raise UsageError(f"{name}={shown(given.get(name.partition('.')[0]))}: {said}") from error
    for name, value in given.items():
        if isinstance(value, bool) and name not in flags:  # which pydantic takes for 0 or 1
            raise UsageError(f"{name}={value}: give a number")
    return made


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
        raise UsageError(f"{shown(path)}: not a path: give a string or a Path") from error


def number_of(name: str, value: float | None) -> float | None:
    """Return a number that may be left out.

    Raises
    ------
    UsageError
        If it is no number.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
        raise UsageError(f"{name}={shown(value)}: not a number")
    return value


def image_of(series: int | None) -> int | None:
    """Return the number of an image in a file, which may be left out.

    Raises
    ------
    UsageError
        If it is none.
    """
    if series is not None and (isinstance(series, bool) or not isinstance(series, Integral) or series < 0):
        raise UsageError(f"series={shown(series)}: give the number of an image, from 0 on")
    return None if series is None else int(series)


def flag_of(name: str, value: object) -> bool:
    """Return a flag.

    Raises
    ------
    UsageError
        If it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{name}={shown(value)}: give True or False")
    return value


def shown(value: object) -> str:
    """Return how a value looks, on one line of sensible length."""
    return shortened(" ".join(repr(value).split()))
