"""The page of a slide in a real browser: keys, what it says of a place, addresses, and the overview map."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.browser import Browser
from helpers.written_results import frames_of, write_labels

Show = Callable[..., Browser]

SETTLED = "wsiSeg.classes.settled === wsiSeg.classes.turn"
RESTS = (  # isAnimating() says so a frame late
    "(() => { const v = wsiSeg.viewer.viewport, [now, then] = [true, false].map((c) => v.getBounds(c));"
    " return !wsiSeg.viewer.isAnimating() && now.getCenter().distanceTo(then.getCenter()) < 1e-9"
    " && Math.abs(now.width - then.width) < 1e-9; })()"
)
TIP = "document.getElementById('tip')"
VIEW = "#qupath=801,777&downsample=2"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes in blocks."""
    blocks = np.random.default_rng(0).integers(0, 3, (90, 110))
    labels = np.kron(blocks, np.ones((11, 11))).astype(np.uint8)
    return write_labels(tmp_path_factory.mktemp("page") / "made", labels)


def text(browser: Browser, name: str) -> str:
    said = browser.run(f"document.getElementById('{name}').textContent")
    assert isinstance(said, str)
    return said


def qupath_xy(browser: Browser) -> list[int]:
    """The coordinates that the page states."""
    return [int(value) for value in text(browser, "qupath-xy").split(", ")]


def asked(browser: Browser) -> dict[str, str]:
    """What the page's address holds."""
    return dict(browser.run("[...new URLSearchParams(location.hash.slice(1))]"))


def view(browser: Browser) -> list[float]:
    """The centre of the view and its downsample, as they are on the screen."""
    browser.wait(RESTS)
    seen: list[float] = browser.run(
        "(() => { const v = wsiSeg.viewer.viewport, w = wsiSeg.about.slide.width, c = v.getCenter(true);"
        " return [c.x * w, c.y * w, w / (v.getZoom(true) * v.getContainerSize().x)]; })()"
    )
    return seen


def place_of(browser: Browser) -> tuple[float, float]:
    """A pixel of the screen beside the middle of the viewer."""
    box: dict[str, float] = browser.run("document.getElementById('viewer').getBoundingClientRect().toJSON()")
    return box["left"] + box["width"] / 2 + 30, box["top"] + box["height"] / 2 - 20


def under(browser: Browser, x: float, y: float) -> list[float]:
    """What really lies at a pixel of the screen, in QuPath's frame."""
    browser.wait(RESTS)
    at: list[float] = browser.run(
        "(() => { const box = document.getElementById('viewer').getBoundingClientRect();"
        f" const pixel = new OpenSeadragon.Point({x} - box.left, {y} - box.top);"
        " const at = wsiSeg.viewer.viewport.pointFromPixel(pixel, true), w = wsiSeg.about.slide.width;"
        " return [at.x * w, at.y * w]; })()"
    )
    return at


def touch(browser: Browser, kind: str, *points: tuple[float, float]) -> None:
    given = [{"x": x, "y": y} for x, y in points]
    browser.ask("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=given)


def test_the_overview_map_has_the_classes_of_the_view_and_their_pixels(result: Path, shown: Show) -> None:
    browser = shown(result, f"{VIEW}&opacity=1&hidden=0")
    for key in "aoaoa":
        browser.press(key)
    browser.wait(SETTLED)
    browser.wait("wsiSeg.viewer.navigator.world.getItemCount() >= 2")
    time.sleep(0.5)
    map_ = "wsiSeg.viewer.navigator"
    assert browser.run(f"{map_}.world.getItemCount()") == browser.run("wsiSeg.viewer.world.getItemCount()")
    every = f"[0, 1].every((i) => {map_}.world.getItemAt(i).getFullyLoaded())"
    browser.wait(every)
    browser.run(f"new Promise((done) => {{ {map_}.forceRedraw(); setTimeout(done, 200); }})")
    pixels = browser.run(
        f"(() => {{ const c = {map_}.drawer.canvas;"
        " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; })()"
    )
    rgba = np.array(pixels, dtype=np.uint8).reshape(-1, 4)
    drawn = {tuple(color) for color in rgba[rgba[:, 3] == 255, :3].tolist()}
    assert drawn <= {(90, 90, 90), *(tuple(c.color) for c in SCHEMA.classes[1:3])}
    browser.run("document.getElementById('no-classes').click()")
    browser.wait(SETTLED)
    time.sleep(0.5)
    assert browser.run(f"{map_}.world.getItemCount()") == 2


def test_what_is_said_of_the_pointers_place_moves_with_the_view(result: Path, shown: Show) -> None:
    browser = shown(result, VIEW)
    x, y = place_of(browser)
    browser.point(x, y)
    browser.wait(f"!{TIP}.hidden")
    moves: tuple[Callable[[], Any], ...] = (
        lambda: browser.press("ArrowRight"),
        lambda: browser.press("0"),
        lambda: browser.run("void (location.hash = '#qupath=300,320&downsample=0.5')"),
        lambda: browser.run("wsiSeg.viewer.viewport.panBy(new OpenSeadragon.Point(0.01, 0.02)); 0"),
    )
    for move in moves:
        before = under(browser, x, y)
        browser.run(
            f"window.hid = false; window.hides = new MutationObserver(() => (window.hid ||= {TIP}.hidden))"
        )
        browser.run(f"window.hides.observe({TIP}, {{attributes: true}})")
        move()
        browser.wait(f"window.hid && !{TIP}.hidden", seconds=10)  # it is asked again, of the new place
        now = under(browser, x, y)
        assert not np.allclose(now, before, atol=2)
        assert np.allclose(qupath_xy(browser), now, atol=1)
        column, row = (int(value / 2) for value in now)
        value = np.random.default_rng(0).integers(0, 3, (90, 110))[row // 11, column // 11]
        assert text(browser, "tip") == SCHEMA.classes[value].name


def test_a_drag_of_a_finger_forgets_what_was_tapped(result: Path, shown: Show) -> None:
    shown(result).resize(390, 844, touch=True)
    browser = shown(result, VIEW)
    x, y = place_of(browser)
    browser.tap(x, y)
    browser.wait(f"!{TIP}.hidden", seconds=20)
    assert np.allclose(qupath_xy(browser), under(browser, x, y), atol=1)
    time.sleep(0.5)  # else a drag goes on with a double tap, and zooms
    touch(browser, "Start", (x, y))
    for step in range(1, 12):
        touch(browser, "Move", (x - 8 * step, y))
        time.sleep(0.02)
    time.sleep(0.3)  # a finger that rests before it is lifted does not flick
    touch(browser, "End")
    browser.wait(f"{TIP}.hidden", seconds=10)
    centre = view(browser)[:2]
    assert centre[0] > 801 + 60
    assert np.allclose(qupath_xy(browser), centre, atol=1)
    browser.resize(1280, 800)


def test_no_confidence_is_stated_where_no_model_has_looked(result: Path, shown: Show) -> None:
    browser = shown(result, VIEW)
    x, y = place_of(browser)
    for confidence, said in ((0, "Stroma, not segmented"), (0.5, "Stroma, confidence here 0.50")):
        answer = json.dumps({"class": "Stroma", "id": 1, "confidence": confidence})
        browser.run(f"window.fetch = async () => new Response({json.dumps(answer)}); 0")
        browser.point(x + confidence, y)
        browser.wait(f"{TIP}.textContent === {json.dumps(said)}", seconds=10)


def test_pixels_that_are_not_square_have_two_sizes(shown: Show, tmp_path: Path) -> None:
    labels = np.ones((300, 300), dtype=np.uint8)
    browser = shown(write_labels(tmp_path / "square", labels), "#qupath=300,300&downsample=1")
    assert text(browser, "mpp") == "1.00 (slide: 1.000)"
    assert text(browser, "scale-text").endswith(" um")
    oblong = write_labels(tmp_path / "oblong", labels, frames=frames_of(labels, (2.0, 1.0)))
    browser = shown(oblong, "#qupath=300,300&downsample=1")
    assert text(browser, "mpp") == "1.00 x 0.500 (slide: 1.000 x 0.5000)"
    assert text(browser, "scale-text") == "100 um across"


def test_keys_work_wherever_the_focus_is(result: Path, shown: Show) -> None:
    browser = shown(result, VIEW)
    for where in ("document.activeElement.blur()", "document.querySelector('#legend input').focus()"):
        browser.run(where)
        x, y, downsample = view(browser)
        browser.press("ArrowRight")
        browser.press("ArrowUp")
        moved = view(browser)
        assert moved[0] > x + 50
        assert moved[1] < y - 50
        browser.press("+")
        assert view(browser)[2] == pytest.approx(downsample / 2)
        browser.press("-")
        assert view(browser)[2] == pytest.approx(downsample)


def test_the_slider_keeps_the_arrows_and_no_other_key(result: Path, shown: Show) -> None:
    browser = shown(result, f"{VIEW}&opacity=0.50&as=areas")
    browser.run("document.getElementById('opacity').focus()")
    before = view(browser)
    browser.press("ArrowRight")
    assert view(browser) == before
    browser.press("o")
    browser.wait("location.hash.includes('as=outlines')", seconds=5)
    browser.press("]")
    browser.wait("location.hash.includes('opacity=0.6')", seconds=5)
    browser.press("1")
    browser.wait("location.hash.includes('downsample=1.0')", seconds=5)
    browser.run(
        "(() => { const field = document.createElement('input'); document.body.append(field);"
        " field.focus(); })()"
    )
    browser.press("a")
    browser.press("ArrowRight")
    time.sleep(0.3)
    assert asked(browser)["as"] == "outlines"  # what is written is no key of the page


def go(browser: Browser, address: str) -> None:
    """Change the page's address, and wait until it is followed."""
    turn = browser.run("wsiSeg.classes.turn")
    browser.run(f"void (location.hash = {json.dumps('#' + address)})")
    browser.wait(f"wsiSeg.classes.turn > {turn} && {SETTLED}", seconds=20)


def test_an_address_that_asks_for_what_is_not_there_keeps_the_classes(result: Path, shown: Show) -> None:
    browser = shown(result, f"{VIEW}&hidden=300,2&as=constructor&opacity=")
    assert browser.run("wsiSeg.classes.opacity") == 0.5
    for address, hidden in (
        ("hidden=300,2", [2]),
        ("as=toString", [2]),
        ("as=__proto__", [2]),
        ("hidden=-1,254,1.5,x", []),
    ):
        go(browser, address)
        assert browser.run("[...wsiSeg.classes.hidden]") == hidden
        assert browser.run("wsiSeg.classes.drawn") == "areas"
        assert browser.run("document.querySelector('[data-drawn=areas]').ariaPressed") == "true"
    assert "reload" not in text(browser, "notices")
    assert not [line for line in browser.messages if line.startswith("error")]


def test_no_address_leaves_the_view_empty(result: Path, shown: Show) -> None:
    browser = shown(result, "#qupath=1e300,1e300&downsample=2")
    for address in (
        "qupath=1e300,1e300&downsample=0.5",
        "qupath=-1e9,5&downsample=2",
        "qupath=9,9&downsample=Infinity",
        "qupath=900,900&downsample=1e-320",
        "qupath=900,900&downsample=1e300",
    ):
        assert shows_the_slide(browser), address
        go(browser, address)
    assert shows_the_slide(browser)


def shows_the_slide(browser: Browser) -> bool:
    """Whether more than a corner of the view lies on the slide."""
    share = browser.run(
        "(() => { const {viewport, world} = wsiSeg.viewer, seen = viewport.getBounds(true);"
        " const both = seen.intersection(world.getItemAt(0).getBounds(true));"
        " return both ? both.width * both.height / (seen.width * seen.height) : 0; })()"
    )
    return bool(0.02 < share <= 1 + 1e-9)  # far away, rectangles have no exact sides


def test_the_slide_shows_that_it_has_the_keyboards_focus(result: Path, shown: Show) -> None:
    browser = shown(result, VIEW)
    frame = "getComputedStyle(document.querySelector('main'), '::after').borderTopWidth"
    x, y = place_of(browser)
    for kind in ("mousePressed", "mouseReleased"):
        browser.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    browser.wait("document.activeElement === wsiSeg.viewer.canvas", seconds=10)
    assert browser.run(frame) == "0px"  # a click shows where it was by itself
    browser.run("document.getElementById('panel-button').focus()")
    for _ in range(8):
        browser.ask(
            "Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", windowsVirtualKeyCode=9, code="Tab"
        )
        if browser.run("document.activeElement === wsiSeg.viewer.canvas"):
            break
    assert browser.run(frame) == "3px"


def test_an_area_that_rounds_to_none_is_not_none(result: Path, shown: Show) -> None:
    browser = shown(result)
    written = browser.run(
        "import('../../web/page.js').then(({mm2}) => [0, 0.00001, 0.00006, 0.5, null].map(mm2))"
    )
    assert written == ["0", "<0.0001", "0.0001", "0.500", ""]
