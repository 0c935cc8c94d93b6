"""Text on pictures, in the font that Pillow contains.

That font has ASCII and little else: accents are dropped, and the raised 2 of square millimetres is drawn. For
letters of other scripts a font of the machine is used; without one, they become question marks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageFont

from wsi_seg.results.pictures.fonts import face_of, look_for

if TYPE_CHECKING:
    from PIL import ImageDraw

    from wsi_seg.results.pictures.fonts import Face

Color = tuple[int, int, int]

INK: Color = (33, 37, 41)
MUTED: Color = (100, 107, 115)

ELLIPSIS = "…"
SQUARED = "²"
DRAWABLE_BEYOND_ASCII = frozenset({ELLIPSIS, SQUARED, "·"})
LOOKALIKES = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "×": "x", "µ": "u", "μ": "u", "’": "'", "ß": "ss", "\u2044": "/"}
)

LACKING = "?"
"""Drawn for a letter that no font has."""


@dataclass(frozen=True)
class Style:
    """The style of a text: font size in pixels, colour, weight."""

    size: int
    color: Color
    bold: bool = False


def drawable(text: str) -> str:
    """Return the text in letters that can be drawn, on one line."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    letters = [_plain(letter) for letter in line.translate(LOOKALIKES)]
    look_for(letter for letter in letters if not _in_own_font(letter))
    return "".join(
        letter if _in_own_font(letter) or face_of(letter) is not None else LACKING for letter in letters
    )


def is_drawable(text: str) -> bool:
    """Return whether no letter of a text is replaced by a question mark."""
    return drawable(text).count(LACKING) == text.count(LACKING)


def _plain(letter: str) -> str:
    """Return a letter in ASCII, without accents, perhaps as several; itself if it has no such form."""
    parts = unicodedata.normalize("NFKD", letter).translate(LOOKALIKES)
    base = "".join(part for part in parts if not unicodedata.combining(part))
    return base if base and base.isascii() and not _in_own_font(letter) else letter


def _in_own_font(letters: str) -> bool:
    return letters.isascii() or letters in DRAWABLE_BEYOND_ASCII


def text_width(text: str, style: Style) -> float:
    """Width of a line of text in pixels."""
    return sum(run.font.getlength(run.letters) for run in _runs(text, style))


def draw_text(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, style: Style, right: bool = False
) -> None:
    """Write one line with its baseline at `xy`, starting there or, if `right`, ending there."""
    x, baseline = xy
    if right:
        x -= text_width(text, style)
    for letters, font, raised in _runs(text, style):
        weight = 0.022 * style.size if style.bold else 0
        draw.text((x, baseline - raised), letters, style.color, font, anchor="ls", stroke_width=weight)
        x += font.getlength(letters)


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


class _Run(NamedTuple):
    """Letters of one font, and their height above the baseline."""

    letters: str
    font: ImageFont.FreeTypeFont
    raised: float = 0.0


def _runs(text: str, style: Style) -> list[_Run]:
    """Cut text into runs of letters of one font, size and height."""
    plain, *raised = drawable(text).split(SQUARED)
    runs = _by_font(plain, style.size)
    for rest in raised:
        runs.append(_Run("2", _font(round(0.66 * style.size)), 0.33 * style.size))
        runs += _by_font(rest, style.size)
    return runs


def _by_font(text: str, size: int) -> list[_Run]:
    """Cut text by font. Words of one font stay together, as they may run from right to left."""
    faces = [None if _in_own_font(letter) else face_of(letter) for letter in text]
    for i in range(1, len(text) - 1):
        if text[i] == " " and faces[i - 1] == faces[i + 1]:
            faces[i] = faces[i - 1]
    runs = groupby(zip(text, faces, strict=True), key=lambda pair: pair[1])
    return [_Run("".join(letter for letter, _ in run), _font(size, face)) for face, run in runs]


@lru_cache(maxsize=32)
def _font(size: int, face: Face | None = None) -> ImageFont.FreeTypeFont:
    if face is not None:
        return ImageFont.truetype(face.path, size, face.number)
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels all have FreeType
    return font
