"""The errors that reach a user: one line that names the file and the remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that control a terminal, end a line or change the writing direction, and surrogates, by which
Python
keeps the bytes of a file name that are not UTF-8."""


def printable(text: str) -> str:
    r"""Return a text on one line, with control characters escaped: `\x1b` for an escape."""
    return UNPRINTABLE.sub(lambda found: _shown(ord(found[0])), text)


def _shown(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class WsiSegError(Exception):
    """Something is wrong with the data or the machine; the message is one line for the user."""

    exit_code = 1

    def __str__(self) -> str:
        # On one line, whatever the file names and values in it hold.
        return printable(super().__str__())


class UsageError(WsiSegError):
    """The command or call itself is wrong (an option's value, a combination of options)."""

    exit_code = 2


class MissingError(WsiSegError):
    """A file or a folder that is named is not there."""


class SlideError(WsiSegError):
    """A slide cannot be opened or read."""


class MppError(SlideError):
    """A slide's resolution is missing, absurd, or too coarse for the model."""


class UnstatedMppError(MppError):
    """A slide's file does not state its resolution, neither rightly nor wrongly."""


class ModelError(WsiSegError):
    """A model file is missing, damaged, or made for other input."""


class AnnotationError(WsiSegError):
    """An annotation file cannot be read or holds something unusable."""


class OutputError(WsiSegError):
    """A result cannot be written, or belongs to another run."""


class SchedulerError(WsiSegError):
    """A Dask scheduler cannot be reached, or its workers cannot do the work."""


class NoSchedulerError(SchedulerError):
    """No Dask scheduler answers: nothing that needs one can be done, whatever slide it is."""


class DeviceError(WsiSegError):
    """The requested compute device is not available, or ran out of memory."""


class KernelsError(WsiSegError):
    """Why compiled kernels are not available here, and the remedy. It is caught: it costs only speed."""


class TrainingError(WsiSegError):
    """A training cannot continue, or the data do not allow one."""


class FinishedError(TrainingError):
    """The requested training is already finished: there is nothing to do."""


def shortened(text: str, most: int = 200) -> str:
    """Return a text from a file, shortened to fit into a line."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def explain(error: ValidationError) -> str:
    """Describe the first fault that pydantic found in a few words."""
    first = error.errors()[0]
    where = [shortened(str(part)) for part in first["loc"]]
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":  # pydantic's own message speaks of tags and discriminators
        known = first["ctx"]
        where.append(known["discriminator"].strip("'"))
        said = f"{shortened(str(known['tag']))!r} is not one of {known['expected_tags']}"
    said = shortened(said[0].lower() + said[1:], 500)
    return f"{'.'.join(where)}: {said}" if where else said
