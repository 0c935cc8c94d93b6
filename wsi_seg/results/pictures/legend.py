"""The legend of an overview picture: a colour, a name, an area and a share for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from wsi_seg.results.pictures.fonts import are_installed
from wsi_seg.results.pictures.lettering import (
    INK,
    MUTED,
    Style,
    draw_text,
    fitted,
    is_drawable,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = Style(20, INK)
FIGURES = Style(20, MUTED)
ABSENT = Style(18, MUTED)

NO_FONT = "? stands for a letter that no font of this machine has"
FONTS = "pip install 'wsi-seg[fonts]'"

SWATCH = (36, 22)
ROW, COLUMN, GUTTER = 34, 440, 44
AREA_RIGHT, SHARE_RIGHT = 88, 0
"""Right end of the figures, in pixels from the right end of a column."""


@dataclass(frozen=True)
class Entry:
    """One line of a legend: a swatch of `SWATCH` pixels, a name, and figures where there are any."""

    swatch: Image.Image
    name: str
    mm2: float | None = None
    share: float | None = None


def draw_legend(entries: Sequence[Entry], absent: Sequence[str], width: int) -> Image.Image:
    """Draw entries in columns, read downwards, and below them the names of classes that were not found.

    Where letters of a name cannot be drawn, a line says so, and what to install.
    """
    columns = max(1, min((width + GUTTER) // (COLUMN + GUTTER), len(entries)))
    rows = -(-len(entries) // columns)
    lines = wrapped(f"Not found: {', '.join(absent)}", ABSENT, width) if absent else []
    if not all(map(is_drawable, (*(entry.name for entry in entries), *absent))):
        lines += wrapped(NO_FONT if are_installed() else f"{NO_FONT}: {FONTS}", ABSENT, width)
    picture = Image.new("RGB", (width, rows * ROW + len(lines) * 26 + 6), "white")
    draw = ImageDraw.Draw(picture)
    column_width = min((width + GUTTER) // columns - GUTTER, 490)
    for i, entry in enumerate(entries):
        x, y = i // rows * (column_width + GUTTER), i % rows * ROW
        _draw_entry(picture, draw, entry, (x, y), column_width)
    for i, line in enumerate(lines):
        draw_text(draw, (0, rows * ROW + 24 + 26 * i), line, ABSENT)
    return picture


def told_apart(name: str, number: int) -> str:
    """Return the name of a class, with its number before it if letters of it cannot be drawn."""
    return name if is_drawable(name) else f"{number}: {name}"


def _draw_entry(
    picture: Image.Image, draw: ImageDraw.ImageDraw, entry: Entry, xy: tuple[int, int], width: int
) -> None:
    x, baseline = xy[0], xy[1] + 23
    picture.paste(entry.swatch, (x, xy[1] + 5))
    area = "" if entry.mm2 is None else format_area(entry.mm2)
    share = "" if entry.share is None else format_share(entry.share)
    draw_text(draw, (x + width - AREA_RIGHT, baseline), area, FIGURES, right=True)
    draw_text(draw, (x + width - SHARE_RIGHT, baseline), share, FIGURES, right=True)
    taken = AREA_RIGHT + text_width(area, FIGURES) + 12 if area else 0
    name_left = SWATCH[0] + 12
    draw_text(draw, (x + name_left, baseline), fitted(entry.name, NAME, width - name_left - taken), NAME)


def format_area(mm2: float) -> str:
    """Format an area with three figures, down to a thousandth of a square millimetre.

    >>> format_area(123.4), format_area(1.234), format_area(0.0004), format_area(0)
    ('123 mm²', '1.23 mm²', '<0.001 mm²', '0 mm²')
    """
    if mm2 < 0.001:
        return "<0.001 mm²" if mm2 > 0 else "0 mm²"
    decimals = next(d for d, limit in ((0, 100), (1, 10), (2, 1), (3, 0)) if round(mm2, d) >= limit)
    return f"{mm2:.{decimals}f} mm²"


def format_share(share: float) -> str:
    """Format a share as per cent with one decimal.

    >>> format_share(0.4567), format_share(0.0001)
    ('45.7 %', '<0.1 %')
    """
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
