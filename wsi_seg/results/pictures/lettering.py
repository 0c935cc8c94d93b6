"""Text on pictures, in the font that Pillow contains.

That font has ASCII and little else: accents are dropped, the raised 2 of square millimetres is drawn, and
other characters become question marks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import ImageFont

if TYPE_CHECKING:
    from PIL import ImageDraw

Color = tuple[int, int, int]

INK: Color = (33, 37, 41)
MUTED: Color = (100, 107, 115)

ELLIPSIS = "…"
SQUARED = "²"
DRAWABLE_BEYOND_ASCII = frozenset({ELLIPSIS, SQUARED, "·"})
LOOKALIKES = str.maketrans({"–": "-", "—": "-", "−": "-", "×": "x", "µ": "u", "μ": "u", "’": "'", "ß": "ss"})


@dataclass(frozen=True)
class Style:
    """The style of a text: font size in pixels, colour, weight."""

    size: int
    color: Color
    bold: bool = False


def drawable(text: str) -> str:
    """Return the text in the font's letters, on one line."""
    letters = []
    for letter in " ".join(text.split()).translate(LOOKALIKES):
        base = letter if letter in DRAWABLE_BEYOND_ASCII else unicodedata.normalize("NFKD", letter)[0]
        letters.append(base if base.isascii() or base in DRAWABLE_BEYOND_ASCII else "?")
    return "".join(letters)


def text_width(text: str, style: Style) -> float:
    """Width of a line of text in pixels."""
    return sum(_font(size).getlength(run) for run, size, _ in _runs(text, style))


def draw_text(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, style: Style, right: bool = False
) -> None:
    """Write one line with its baseline at `xy`, starting there or, if `right`, ending there."""
    x, baseline = xy
    if right:
        x -= text_width(text, style)
    for run, size, raised in _runs(text, style):
        font = _font(size)
        weight = 0.022 * style.size if style.bold else 0
        draw.text((x, baseline - raised), run, style.color, font, anchor="ls", stroke_width=weight)
        x += font.getlength(run)


def fitted(text: str, style: Style, width: float) -> str:
    """Cut a line so that it fits into `width` pixels, with an ellipsis for the rest."""
    text = drawable(text)
    if text_width(text, style) <= width:
        return text
    while text and text_width(text + ELLIPSIS, style) > width:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def wrapped(text: str, style: Style, width: float) -> list[str]:
    """Break text into lines of at most `width` pixels; a word that is wider is cut."""
    lines: list[str] = []
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, style) <= width:
            lines[-1] = longer
        else:
            lines.append(fitted(word, style, width))
    return lines


def _runs(text: str, style: Style) -> list[tuple[str, int, float]]:
    """Cut text into runs of (letters, font size, height above the baseline)."""
    plain, *raised = drawable(text).split(SQUARED)
    runs = [(plain, style.size, 0.0)]
    for rest in raised:
        runs += [("2", round(0.66 * style.size), 0.33 * style.size), (rest, style.size, 0.0)]
    return runs


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels all have FreeType
    return font
