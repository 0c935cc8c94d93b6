"""Warnings that name the line of the user's program which called the API."""

from __future__ import annotations

import inspect
import warnings

PACKAGE = __name__.partition(".")[0]


def warn_user(message: str) -> None:
    """Warn, and name the innermost line of the call that is not in this package.

    From Python 3.12 on, `warnings.warn` can do so itself (``skip_file_prefixes``).
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
