"""Text on pictures, in the font that Pillow contains.

That font has ASCII and little else: accents are dropped, and the raised 2 of square millimetres is drawn.
Letters of other scripts are drawn by HarfBuzz, in fonts of the extra `fonts` or of the machine; without any,
they become question marks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageFont

from wsi_seg.results.pictures.fonts import face_of, has, look_for

if TYPE_CHECKING:
    from PIL import ImageDraw

    from wsi_seg.results.pictures.font_face import Face
    from wsi_seg.results.pictures.shaping import Shaped

Color = tuple[int, int, int]

INK: Color = (33, 37, 41)
MUTED: Color = (100, 107, 115)

ELLIPSIS = "…"
SQUARED = "²"
DRAWABLE_BEYOND_ASCII = frozenset({ELLIPSIS, SQUARED, "·"})
LOOKALIKES = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "×": "x", "µ": "u", "μ": "u", "’": "'", "ß": "ss", "\u2044": "/"}
)

AS_MARKS = {0x200C: 0xFE00, 0x200D: 0xFE01}
"""Joiners, which are dropped where a line is put into order, as marks, which are not."""

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
    return sum(_width(run) for run in _runs(text, style))


def draw_text(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, style: Style, right: bool = False
) -> None:
    """Write one line with its baseline at `xy`, starting there or, if `right`, ending there."""
    x, baseline = xy
    if right:
        x -= text_width(text, style)
    for run in _runs(text, style):
        if run.face is None:
            weight = 0.022 * style.size if style.bold else 0
            place = (x, baseline - run.raised)
            draw.text(place, run.letters, style.color, _font(run.size), anchor="ls", stroke_width=weight)
        else:
            text_ink = _shaped(run)
            draw.bitmap((round(x) + text_ink.left, round(baseline) - text_ink.top), text_ink.ink, style.color)
        x += _width(run)


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
    """Letters that are drawn together, as they are read. Without a font, they are of Pillow's."""

    letters: str
    size: int
    face: Face | None = None
    bold: bool = False
    from_right: bool = False
    raised: float = 0.0


def _width(run: _Run) -> float:
    return _font(run.size).getlength(run.letters) if run.face is None else _shaped(run).width


def _shaped(run: _Run) -> Shaped:
    from wsi_seg.results.pictures.shaping import shaped  # HarfBuzz is slow to import, and seldom needed

    assert run.face is not None
    return shaped(run.letters, run.face, run.size, run.bold, run.from_right)


def _runs(text: str, style: Style) -> list[_Run]:
    """Cut text into runs of letters of one font, size and height, from left to right."""
    plain, *raised = _from_left_to_right(drawable(text)).split(SQUARED)
    runs = _by_font(plain, style)
    for rest in raised:
        runs.append(_Run("2", round(0.66 * style.size), raised=0.33 * style.size))
        runs += _by_font(rest, style)
    return runs


def _by_font(line: str, style: Style) -> list[_Run]:
    """Cut a line by font and direction. Words of one kind stay together."""
    kinds = list(zip(_faces(line), _read_from_right(line), strict=True))
    for i in range(1, len(line) - 1):
        if line[i] == " " and kinds[i - 1] == kinds[i + 1]:
            kinds[i] = kinds[i - 1]
    runs = []
    for (face, from_right), pairs in groupby(zip(line, kinds, strict=True), key=lambda pair: pair[1]):
        letters = "".join(letter for letter, _ in pairs)
        as_read = letters[::-1] if from_right else letters
        runs.append(_Run(as_read, style.size, face, style.bold, from_right))
    return runs


def _faces(line: str) -> list[Face | None]:
    """Return the font of each letter. Marks and joiners, which many fonts have, go with the letter beside."""
    faces: list[Face | None] = []
    last: Face | None = None
    for letter in line:
        if _in_own_font(letter):
            faces.append(None)
            continue
        if last is None or not has(last, letter):
            last = face_of(letter)
        faces.append(last)
    return faces


def _from_left_to_right(text: str) -> str:
    """Return the letters of a line in the order in which they stand on it."""
    if not any(_read_from_right(text)):
        return text
    from bidi.algorithm import get_display  # unlike `bidi.get_display`, it turns brackets round

    line = str(get_display(text.translate(AS_MARKS)))
    return line.translate({mark: joiner for joiner, mark in AS_MARKS.items()})


def _read_from_right(line: str) -> list[bool]:
    """Say of each letter on a line whether it is of a word that is read from the right. Numbers are not."""
    flags = [False] * len(line)
    for i in reversed(range(len(line))):
        kind = unicodedata.bidirectional(line[i])
        flags[i] = kind in ("R", "AL") or (kind in ("NSM", "BN") and flags[i + 1 : i + 2] == [True])
    return flags


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels all have FreeType
    return font
