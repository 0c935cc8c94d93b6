"""When Python looks for garbage in this process, which is the program's own.

What is imported makes hundreds of thousands of objects that stay until the end, with PyTorch a million and a
half. By default Python goes through all that there are again and again meanwhile, then now and then, and once
more at the end.
"""

from __future__ import annotations

import gc

IMPORTING = (1_000_000, 20, 100)
"""Thresholds while packages are imported. Should a command's work begin without a word, memory is still
bounded."""

_usual = gc.get_threshold()


def while_importing() -> None:
    """Look for garbage rarely, from now on."""
    gc.set_threshold(*IMPORTING)


def while_working() -> None:
    """Look for it as often as Python does by default, but no longer among what there is now."""
    gc.freeze()
    gc.set_threshold(*_usual)


def at_the_end() -> None:
    """Leave what there is to the system."""
    gc.freeze()
