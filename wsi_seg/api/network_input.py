"""The description of a network given in Python: its classes and its input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from wsi_seg.api.arguments import AnyPath, number_of, shown, text_of
from wsi_seg.data.named_classes import schema_of_names
from wsi_seg.errors import UsageError, explain
from wsi_seg.models.classes import load_schema
from wsi_seg.models.header import InputSpec

if TYPE_CHECKING:
    from wsi_seg.models.classes import ClassSchema

WHITE = 255


def schema_of(classes: Sequence[str] | AnyPath) -> ClassSchema:
    """Return a class schema, from its name or file or from the names of classes.

    Raises
    ------
    UsageError
        If there is no such schema, or a name is not valid.
    """
    if isinstance(classes, str | os.PathLike):
        return load_schema(text_of("classes", classes))
    if not isinstance(classes, Sequence) or not all(isinstance(name, str) for name in classes):
        raise UsageError(f"classes={shown(classes)}: give their names, or a class schema by name or file")
    try:
        return schema_of_names(classes)
    except ValidationError as error:
        raise UsageError(f"classes={list(classes)!r}: {explain(error)}") from error


def input_of(
    mean: Sequence[float],
    std: Sequence[float],
    pixel_max: Literal[1, 255] | None,
    channels: Literal["rgb", "bgr"],
    mpp: float | None,
) -> InputSpec:
    """Return a network's input, with mean and standard deviation on the scale of 8-bit pixels.

    Raises
    ------
    UsageError
        If a value is not valid, or the scale is not clear.
    """
    mean, std = _three("mean", mean), _three("std", std)
    white = _white(mean, std) if pixel_max is None else pixel_max
    if white not in (1, WHITE):
        raise UsageError(f"pixel_max={pixel_max!r}: use 1 or {WHITE}")
    factor = WHITE / white
    given = {
        "channels": channels,
        "mean": [factor * value for value in mean],
        "std": [factor * value for value in std],
        "mpp": number_of("mpp", mpp),
    }
    try:
        return InputSpec.model_validate(given)
    except ValidationError as error:
        where, _, said = explain(error).partition(": ")
        name = where.partition(".")[0]
        stated = {"channels": channels, "mean": mean, "std": std, "mpp": mpp}[name]
        raise UsageError(f"{name}={shown(stated)}: {said}") from error


def _three(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    """Return what is given by channel, as numbers."""
    numbers = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else ()
    if len(numbers) != 3 or not all(isinstance(n, Real) and not isinstance(n, bool) for n in numbers):
        raise UsageError(f"{name}={shown(values)}: give three numbers, one for each channel")
    red, green, blue = map(float, numbers)
    return red, green, blue


def _white(mean: Sequence[float], std: Sequence[float]) -> int:
    """Infer from mean and standard deviation whether white is 1 or 255."""
    if max(*mean, *std) > 1:
        return WHITE
    if not any(mean) and all(value == 1 for value in std):
        raise UsageError(f"mean 0 and std 1 do not show the value of white: give pixel_max=1 or {WHITE}")
    return 1
