"""A figure of the machine, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """Why a figure is not available, in a few words."""

    why: str


Reading = float | Missing
