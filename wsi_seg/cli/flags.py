"""The names of options, as users type them, for messages."""

from __future__ import annotations

OPTIONS = {"simplify_um": "--simplify", "min_area_um2": "--min-area"}
"""Options whose name differs from their setting."""


def option_name(setting: str) -> str:
    """Return the name of a setting's option."""
    return OPTIONS.get(setting, f"--{setting.replace('_', '-')}")


def option_given(setting: str, value: object) -> str:
    """Return an option as it was given: a flag that is off has a name of its own."""
    return option_name(setting) if value is not False else f"--no-{option_name(setting)[2:]}"
