"""Lines on things of a file that are treated alike, such as those that are left out for one reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.annotations.formats.outline import Skipped

LISTED = 5
"""Of the things in a file that a line is about, so many are named, and the others are counted."""


def lines_on(things: Sequence[Skipped]) -> tuple[str, ...]:
    """List things of a file, with one line for each kind and class: "shapes 3, 7 (Tumour): each a line"."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for number, what, class_name in things:
        groups.setdefault((what, class_name), []).append(number)
    lines = []
    for (what, class_name), numbers in groups.items():
        of_class = f" ({class_name})" if class_name else ""
        listed = ", ".join(str(number) for number in numbers[:LISTED])
        more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
        shapes, each = ("shapes", "each ") if len(numbers) > 1 else ("shape", "")
        lines.append(f"{shapes} {listed}{more}{of_class}: {each}{what}")
    return tuple(lines)
