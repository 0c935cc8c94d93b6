"""Check the arguments of public calls: an invalid value is an error of one line that names the argument."""

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
    Listener = TypeVar("Listener")

LONGEST_NAME, LONGEST_PATH = 255, 4096
"""Bytes that Linux takes in a name, and in a path with its end."""

AnyPath = str | os.PathLike[str]


def checked(settings: type[Settings], given: Mapping[str, object]) -> Settings:
    """Make settings from arguments.

    Raises
    ------
    UsageError
        If a value is not valid; it names the argument.
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
        # pydantic would read True as 1, and "2" as 2
        if (isinstance(value, bool) and name not in flags) or (
            isinstance(value, str | bytes) and getattr(made, name) != value
        ):
            raise UsageError(f"{name}={shown(value)}: give a number")
    return made


def path_of(path: AnyPath) -> Path:
    """Return a path that was given as a string or a path.

    Raises
    ------
    UsageError
        If it is neither, or no file can have that name.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise UsageError(f"{shown(path)}: not a path: give a string or a Path") from error
    if not _can_exist(text):
        raise UsageError(f"{shown(text)}: no file can have that name: give a path")
    return Path(text)


def text_of(name: str, value: AnyPath) -> str:
    """Return a name or a path as a string.

    Raises
    ------
    UsageError
        If it is neither, or no file can have that name.
    """
    try:
        text = os.fsdecode(value)
    except TypeError as error:
        raise UsageError(f"{name}={shown(value)}: give a string or a Path") from error
    if not _can_exist(text):
        raise UsageError(f"{name}={shown(text)}: no file can have that name")
    return text


def _can_exist(path: str) -> bool:
    """Tell whether an operating system takes a path; for others it raises all kinds of errors."""
    try:
        size = len(os.fsencode(path))
        longest = max(len(os.fsencode(part)) for part in path.split("/"))
    except UnicodeEncodeError:
        return False
    return "\0" not in path and 0 < size < LONGEST_PATH and longest <= LONGEST_NAME


def listener_of(kind: type[Listener], progress: Listener | None) -> Listener:
    """Return who hears of the progress; one that hears nothing if nobody is given.

    Raises
    ------
    UsageError
        If it is not of that kind.
    """
    if progress is None:
        return kind()
    if not isinstance(progress, kind):
        raise UsageError(f"progress={shown(progress)}: give a wsi_seg.progress.{kind.__name__}")
    return progress


def number_of(name: str, value: float | None) -> float | None:
    """Return an optional number.

    Raises
    ------
    UsageError
        If it is not a number.
    """
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError("no real number")
        float(value)
    except (TypeError, OverflowError) as error:
        raise UsageError(f"{name}={shown(value)}: not a number") from error
    return value


def image_of(series: int | None) -> int | None:
    """Return the optional number of an image in a file.

    Raises
    ------
    UsageError
        If it is not a whole number of 0 or more.
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
    """Return the representation of a value, on one line and shortened."""
    return shortened(" ".join(repr(value).split()))
