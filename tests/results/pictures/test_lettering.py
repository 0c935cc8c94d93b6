"""Text on pictures and the legend made of it: nothing foreign, nothing too wide."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont, features

from wsi_seg.results.pictures import fonts, legend
from wsi_seg.results.pictures.font_face import Face
from wsi_seg.results.pictures.fonts import face_of
from wsi_seg.results.pictures.legend import (
    SWATCH,
    Entry,
    draw_legend,
    format_area,
    format_share,
    told_apart,
)
from wsi_seg.results.pictures.lettering import (
    Style,
    _runs,
    draw_text,
    drawable,
    fitted,
    is_drawable,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

STYLE = Style(20, (0, 0, 0))
DEJAVU = Face(findfont("DejaVu Sans"), 0)


@pytest.fixture(autouse=True)
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Face | None]]:
    """A machine without fonts: what tests see does not depend on this one's."""
    found: dict[str, Face | None] = {}
    monkeypatch.setattr(fonts, "_found", found)
    monkeypatch.setattr(fonts, "COMMAND", ("no-such-program",))
    monkeypatch.setattr(fonts, "PACKAGES", ("no_such_package",))
    fonts._installed.cache_clear()
    yield found
    fonts._installed.cache_clear()


@pytest.fixture
def noto(no_fonts: dict[str, Face | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts of the extra, on a machine that has no others."""
    packages = ("manimgx_fonts", "noto_cjk_sans_otc")
    if not all(map(find_spec, packages)):
        pytest.skip("the extra `fonts` is not installed")
    monkeypatch.setattr(fonts, "PACKAGES", packages)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Übergang – naïve", "Ubergang - naive"),
        ("½ ﬁ", "1/2 fi"),
        ("5 µm × 3 mm²", "5 um x 3 mm²"),
        ("患者 7", "?? 7"),
        ("two\nlines\tand  more", "two lines and more"),
        ("", ""),
    ],
)
def test_drawable(text: str, letters: str) -> None:
    assert drawable(text) == letters


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.integers(40, 300))
def test_fitted_text_fits(text: str, width: int) -> None:
    line = fitted(text, STYLE, width)
    assert text_width(line, STYLE) <= width
    if text_width(text, STYLE) <= width:
        assert line == drawable(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab cd ² é", max_size=80), st.integers(60, 300))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int) -> None:
    lines = wrapped(text, STYLE, width)
    assert all(text_width(line, STYLE) <= width for line in lines)
    if all(text_width(word, STYLE) <= width for word in drawable(text).split()):
        assert " ".join(lines) == drawable(text)


def ink(text: str, right: bool = False) -> np.ndarray:
    """Columns and rows that a line of text, anchored at (100, 50), leaves ink in."""
    picture = Image.new("L", (200, 80), "white")
    draw_text(ImageDraw.Draw(picture), (100, 50), text, Style(20, 0), right=right)  # type: ignore[arg-type]
    return np.argwhere(np.asarray(picture) < 128)


def test_text_stands_on_its_anchor() -> None:
    assert ink("mm")[:, 0].max() in (49, 50)
    assert 98 <= ink("mm")[:, 1].min() <= 103
    assert 96 <= ink("mm", right=True)[:, 1].max() <= 101


def test_squared_is_raised_and_smaller() -> None:
    first, plain, raised = ink("m"), ink("m2"), ink("m²")
    plain, raised = (rows[rows[:, 1] > first[:, 1].max()] for rows in (plain, raised))
    assert raised[:, 0].max() < plain[:, 0].max() - 3
    assert np.ptp(raised[:, 0]) < np.ptp(plain[:, 0])


def test_figures() -> None:
    areas = {1234.5: "1234 mm²", 99.96: "100 mm²", 12.34: "12.3 mm²", 1.0: "1.00 mm²", 0.0123: "0.012 mm²"}
    assert {value: format_area(value) for value in areas} == areas
    assert (format_area(0.0), format_area(0.0004)) == ("0 mm²", "<0.001 mm²")
    shares = {1.0: "100.0 %", 0.0449: "4.5 %", 0.0002: "<0.1 %", 0.0: "0.0 %"}
    assert {value: format_share(value) for value in shares} == shares


def test_legend_holds_every_swatch_in_columns_that_fit() -> None:
    colors = [(40 * i, 255 - 40 * i, 90) for i in range(6)]
    entries = [
        Entry(Image.new("RGB", SWATCH, color), "a name that is far too long for one column " * 2, 12.3, 0.5)
        for color in colors
    ]
    wide, narrow = draw_legend(entries, (), 1520), draw_legend(entries, ("necrosis",), 500)
    for picture in (wide, narrow):
        found = picture.getcolors(1 << 16)
        assert found is not None
        counts = {color: count for count, color in found}
        assert all(counts[color] == SWATCH[0] * SWATCH[1] for color in colors)
    assert (wide.width, narrow.width) == (1520, 500)
    assert narrow.height > 2 * wide.height
    assert draw_legend((), (), 500).height < 20


def test_letters_of_other_scripts_are_drawn_by_a_font_of_the_machine(
    no_fonts: dict[str, Face | None],
) -> None:
    question = ink("???")
    no_fonts.update(dict.fromkeys("ЖΩ", DEJAVU))
    assert drawable("Ж a Ω 患") == "Ж a Ω ?"
    assert is_drawable("ЖΩ why?")
    assert not is_drawable("患")
    drawn = ink("ЖЖЖ")
    assert drawn.shape != question.shape
    assert abs(drawn[:, 1].max() - 100 - text_width("ЖЖЖ", STYLE)) < 4
    assert abs(text_width("Ж Ω", STYLE) - width_in_dejavu("Ж Ω")) < 0.5  # the space between them, too


def width_in_dejavu(text: str) -> float:
    return ImageFont.truetype(DEJAVU.path, STYLE.size).getlength(text)


def test_fontconfig_is_asked_once_for_all_letters_and_answers_which_it_has(
    no_fonts: dict[str, Face | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "fc-match"
    program.write_text(f"#!/bin/sh\necho \"$2\" >> {asked}\nprintf '%s\\n0' {DEJAVU.path}\n")
    program.chmod(0o755)
    monkeypatch.setattr(fonts, "COMMAND", (str(program), "--format"))
    assert drawable("ЖΩ患") == "ЖΩ?"
    assert drawable("Ω患Ж") == "Ω?Ж"
    assert face_of("Ж") == DEJAVU
    lines = asked.read_text().splitlines()
    assert lines[0].endswith("charset=3a9 416 60a3")
    assert len(lines) == 2  # once for all, once more for what that font lacks


NAMES = {
    "恶性肿瘤": "NotoSansCJK-Regular.ttc",
    "悪性腫瘍のがん": "NotoSansCJK-Regular.ttc",
    "악성 종양": "NotoSansCJK-Regular.ttc",
    "ورم خبيث": "NotoSansArabic[wght].ttf",
    "גידול ממאיר": "NotoSansHebrew[wght].ttf",
    "घातक ट्यूमर क्षि": "NotoSansDevanagari[wght].ttf",
    "เนื้องอกร้าย": "NotoSansThai[wght].ttf",
    "Злокачественная": "NotoSans[wght].ttf",
    "Κακοήθης όγκος": "NotoSans[wght].ttf",
}


@pytest.mark.usefixtures("noto")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_scripts_are_drawn_where_the_machine_has_no_font(name: str) -> None:
    assert is_drawable(name)
    (face,) = {face_of(letter) for letter in name if letter != " "}
    assert face is not None
    assert Path(face.path).name == NAMES[name]
    if not features.check("raqm"):
        pytest.skip("Pillow has no FriBidi here, to compare with")
    # The second way: Pillow's own layout, which is Raqm's with FriBidi.
    size = 40
    language = "ja" if "の" in name else "zh-hans" if "恶" in name else None
    theirs, ours = (Image.new("L", (500, 100), "white") for _ in range(2))
    font = ImageFont.truetype(face.path, size, face.number)
    ImageDraw.Draw(theirs).text((20, 60), name, 0, font, anchor="ls", language=language)
    draw_text(ImageDraw.Draw(ours), (20, 60), name, Style(size, 0))  # type: ignore[arg-type]
    inks = [np.asarray(picture) < 128 for picture in (theirs, ours)]
    shared = (inks[0] & inks[1]).sum() / (inks[0] | inks[1]).sum()
    assert shared > 0.8, shared
    assert abs(font.getlength(name) - text_width(name, Style(size, (0, 0, 0)))) < 3


@pytest.mark.usefixtures("noto")
@pytest.mark.parametrize(
    ("name", "from_left"),
    [
        ("ורם 2", ("2 ", "ורם")),
        ("ורם (CD8)", ("(CD8) ", "ורם")),
        ("Ki-67 ורם", ("Ki-67 ", "ורם")),
        ("ورم ٢٣", ("٢٣", " ", "ورم")),
        ("ורם (ממאיר)", ("(", "ממאיר", ") ", "ורם")),
        ("Ж ורם", ("Ж", " ", "ורם")),
    ],
)
def test_lines_read_from_the_right_stand_in_their_order(name: str, from_left: tuple[str, ...]) -> None:
    runs = _runs(name, STYLE)
    assert tuple(run.letters for run in runs) == from_left
    assert [run.from_right for run in runs] == [piece in ("ורם", "ממאיר", "ورم") for piece in from_left]


@pytest.mark.usefixtures("noto")
def test_a_joiner_keeps_letters_apart_and_a_mark_its_letter() -> None:
    joined, apart = ink("میشود"), ink("می\u200cشود")
    assert not np.array_equal(joined, apart)
    assert is_drawable("می\u200cشود שָׁלוֹם")
    plain, marked = ink("שלום"), ink("שָׁלוֹם")
    assert np.ptp(marked[:, 0]) > np.ptp(plain[:, 0]) + 3  # marks stand above and below
    assert abs(text_width("שָׁלוֹם", STYLE) - text_width("שלום", STYLE)) < 1


@pytest.mark.usefixtures("noto")
def test_bold_letters_have_more_ink() -> None:
    def ink_of(style: Style) -> int:
        picture = Image.new("RGB", (300, 80), "white")
        draw_text(ImageDraw.Draw(picture), (20, 50), "恶性 ورم", style)
        return int((255 - np.asarray(picture.convert("L")).astype(int)).sum())

    assert ink_of(Style(24, (0, 0, 0), bold=True)) > 1.2 * ink_of(Style(24, (0, 0, 0)))


def test_a_font_of_the_machine_that_cannot_be_read_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "font.ttf").write_bytes(b"no font")
    for found in ("font.ttf", "gone.ttf"):
        program = tmp_path / "fc-match"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n0' {tmp_path / found}\n")
        program.chmod(0o755)
        monkeypatch.setattr(fonts, "COMMAND", (str(program),))
        monkeypatch.setattr(fonts, "_found", {})
        assert drawable("Ж") == "?"


@pytest.mark.parametrize(("installed", "says"), [(False, "pip install 'wsi-seg[fonts]'"), (True, "has")])
def test_the_legend_says_what_to_install(installed: bool, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []

    def remembered(text: str, style: Style, width: float) -> list[str]:
        lines.append(text)
        return wrapped(text, style, width)

    monkeypatch.setattr(legend, "wrapped", remembered)
    monkeypatch.setattr(legend, "are_installed", lambda: installed)
    draw_legend((Entry(Image.new("RGB", SWATCH, "red"), "恶性"),), (), 500)
    (line,) = lines
    assert line.startswith("? stands for a letter that no font of this machine has")
    assert line.endswith(says)


def test_without_a_font_a_class_has_its_number_and_the_legend_says_why() -> None:
    assert told_apart("恶性", 2) == "2: 恶性"
    assert told_apart("Tumour?", 2) == "Tumour?"
    entry = Entry(Image.new("RGB", SWATCH, "red"), told_apart("恶性", 2))
    plain = Entry(Image.new("RGB", SWATCH, "red"), "Tumour")
    assert draw_legend((entry,), (), 500).height > draw_legend((plain,), (), 500).height
