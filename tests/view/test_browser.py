"""The page in a real browser: what is drawn is compared with the pixels that it should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.browser import Browser
from helpers.drawn import write_boxes
from helpers.served_pages import served
from helpers.written_results import write_labels
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from wsi_seg.models.classes import OUTSIDE_ID, ClassSchema
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.view.finding import Asked

Show = Callable[..., Browser]
Pixels = NDArray[np.uint8]

SLIDE = 90
"""Grey value of the overview that stands for the slide of labels that were written."""

GRAB = "JSON.stringify(document.getElementById('viewer').getBoundingClientRect())"


def drawn(browser: Browser) -> tuple[Pixels, NDArray[np.float64]]:
    """What the viewer shows, and the QuPath coordinates of its pixels' centres, shape (height, width, 2)."""
    place = browser.run(f"JSON.parse({GRAB})")
    left, top, wide, high = (round(place[name]) for name in ("left", "top", "width", "height"))
    browser.run("document.querySelectorAll('#zoom, #scale, .navigator').forEach((e) => (e.hidden = true))")
    picture = browser.picture()[top : top + high, left : left + wide]
    corner = browser.run(
        "(() => { const v = wsiSeg.viewer.viewport, P = OpenSeadragon.Point, w = wsiSeg.about.slide.width;"
        " const a = v.pointFromPixel(new P(0, 0), true), b = v.pointFromPixel(new P(100, 100), true);"
        " return [a.x * w, a.y * w, (b.x - a.x) * w / 100, (b.y - a.y) * w / 100]; })()"
    )
    y, x = np.mgrid[:high, :wide] + 0.5
    return picture, np.stack([corner[0] + x * corner[2], corner[1] + y * corner[3]], axis=-1)


def agreement(picture: Pixels, wanted: Pixels, seen: NDArray[np.bool_]) -> float:
    """Share of the pixels that have the wanted colour, or that of one beside: edges lie on whole pixels."""
    good = np.zeros(seen.shape, dtype=bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            good |= (np.roll(wanted, (dy, dx), axis=(0, 1)) == picture).all(axis=-1)
    return float(good[seen].mean())


def classes_at(
    result: Path, qupath_xy: NDArray[np.float64], level: int, hidden: tuple[int, ...] = (0,)
) -> tuple[Pixels, NDArray[np.bool_]]:
    """The colours of the labels at points, and where there are labels to see."""
    labels = read_labels(ResultFolder(result).zarr)
    height, width = labels.levels[level].shape
    values = labels.read(Rect(0, 0, height, width), level)
    xy = np.floor(labels.frames.coarsened(2**level).qupath_to_label(qupath_xy)).astype(int)
    inside = np.asarray(((xy >= 0) & (xy < (width, height))).all(axis=-1))
    xy = np.clip(xy, 0, (width - 1, height - 1))
    found = values[xy[..., 1], xy[..., 0]]
    nothing = np.isin(found, [*hidden, OUTSIDE_ID])
    within = binary_erosion(inside, iterations=2, border_value=1)  # not where the labels end
    return colors(labels.schema, hidden)[found], within & ~nothing


def colors(schema: ClassSchema, hidden: tuple[int, ...] = (0,)) -> Pixels:
    """The colour of each label value; where a class is hidden, the slide's, which is grey throughout."""
    table = np.full((256, 3), SLIDE, dtype=np.uint8)
    for c in schema.classes:
        if c.id not in hidden:
            table[c.id] = c.color
    return table


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of odd sizes, in blocks and in single pixels; their slide is not to be had."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (101, 131)), np.ones((11, 11))).astype(np.uint8)
    labels[300:500, 300:600] = rng.integers(1, 3, (200, 300))
    return write_labels(tmp_path_factory.mktemp("browser") / "made", labels)


@pytest.mark.parametrize(("downsample", "level"), [(2.7, 0), (0.25, 0), (7.3, 2)])
def test_classes_are_where_they_should_be_at_every_zoom(
    result: Path, shown: Show, downsample: float, level: int
) -> None:
    browser = shown(result, f"#qupath=801,777&downsample={downsample}&opacity=1&hidden=0")
    picture, qupath_xy = drawn(browser)
    wanted, seen = classes_at(result, qupath_xy, level)
    assert seen.mean() > 0.1
    assert agreement(picture, wanted, seen) > 0.999
    assert not [line for line in browser.messages if line.startswith("error")]


def test_a_phone_shows_the_same(result: Path, shown: Show) -> None:
    shown(result).resize(390, 844, touch=True)
    browser = shown(result, "#qupath=500,500&downsample=2.7&opacity=1&hidden=0,1")
    picture, qupath_xy = drawn(browser)
    wanted, seen = classes_at(result, qupath_xy, 0, hidden=(0, 1))
    assert seen.mean() > 0.1
    assert agreement(picture, wanted, seen) > 0.999
    assert browser.run("document.documentElement.scrollWidth") == 390
    browser.resize(1280, 800)


def test_a_slide_with_bounds_is_where_its_pixels_are(shown: Show, shared_data: Path) -> None:
    path = shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs"
    with Slide(path) as slide:
        assert slide.bounds.x > 0
        x, y = liveliest(slide)
        whole = Frames.of_cells(slide.bounds, (1, 1))
        for downsample in (4, 8, 16):  # the file's two finest levels are damaged
            step = whole.coarsened(downsample)
            browser = shown(path, f"#qupath={x},{y}&downsample={downsample}", layers=1)
            picture, qupath_xy = drawn(browser)
            first, last = (np.round(qupath_xy[i, i] / downsample - 0.5).astype(int) for i in (0, -1))
            rect = Rect(first[1], first[0], last[1] + 1, last[0] + 1).clipped(*step.label_size)
            read = slide.read(rect, step).rgb.astype(float)
            at = rect.relative_to(Rect(first[1], first[0], last[1] + 1, last[0] + 1))
            seen = picture[at.slices].astype(float)
            read = read[: seen.shape[0], : seen.shape[1]]
            off = [
                np.abs(np.roll(read, (dy, dx), (0, 1)) - seen)[4:-4, 4:-4].mean()
                for dy in (-2, -1, 0, 1, 2)
                for dx in (-2, -1, 0, 1, 2)
            ]
            assert read.std() > 2  # there is something to see
            assert int(np.argmin(off)) == 12, (downsample, off)  # not moved by a pixel of the screen
            assert off[12] < 6  # JPEG, of strong colours


def liveliest(slide: Slide) -> tuple[int, int]:
    """A place of a slide, in QuPath's frame, where there is most to see."""
    coarse, side = Frames.of_cells(slide.bounds, (1, 1)).coarsened(16), 16
    read = slide.read(Rect(0, 0, coarse.label_size[1], coarse.label_size[0]), coarse)
    rows, columns = (length // side for length in read.present.shape)
    blocks = read.rgb[: rows * side, : columns * side].astype(float).reshape(rows, side, columns, side, 3)
    row, column = np.unravel_index(int(blocks.std(axis=(1, 3)).sum(axis=-1).argmax()), (rows, columns))
    x, y = coarse.label_to_qupath(((column + 0.5) * side, (row + 0.5) * side)).tolist()
    return round(x), round(y)


def test_keys_and_boxes_change_what_is_drawn_and_the_address(result: Path, shown: Show) -> None:
    browser = shown(result, "#qupath=801,777&downsample=2&opacity=1&hidden=0")
    before, qupath_xy = drawn(browser)
    wanted, seen = classes_at(result, qupath_xy, 0)
    tumour = seen & (wanted == colors(SCHEMA)[2]).all(axis=-1)
    browser.run(
        "[...document.querySelectorAll('#legend label')].find(l => l.textContent === 'Tumour').click()"
    )
    browser.wait("location.hash.includes('hidden=0,2')")
    wait_for_tiles(browser)
    after, _ = drawn(browser)
    assert (before[tumour] == SCHEMA.classes[2].color).all(axis=-1).mean() > 0.9
    assert (after[tumour] == SCHEMA.classes[2].color).all(axis=-1).mean() < 0.1
    browser.press("o")
    browser.wait("location.hash.includes('as=outlines')")
    wait_for_tiles(browser)
    outlined, _ = drawn(browser)
    stroma = (outlined == SCHEMA.classes[1].color).all(axis=-1)
    assert 0 < stroma.sum() < 0.5 * (after == SCHEMA.classes[1].color).all(axis=-1).sum()
    browser.press("h")
    browser.wait("location.hash.includes('opacity=0.00')")
    browser.press("h")
    browser.wait("location.hash.includes('opacity=1.00')")


TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def wait_for_tiles(browser: Browser) -> None:
    """Wait until the new look has taken the old one's place."""
    browser.wait("wsiSeg.classes.settled === wsiSeg.classes.turn")
    browser.run(TWO_FRAMES)


def test_a_look_that_is_left_before_its_tiles_came_leaves_nothing_behind(result: Path, shown: Show) -> None:
    browser = shown(result, "#qupath=801,777&downsample=2&opacity=0.5&hidden=0")
    once, _ = drawn(browser)
    browser.run(
        "(() => { const {viewer, classes} = wsiSeg;"
        " viewer.world.addOnceHandler('add-item', () => setTimeout(() => classes.toggle(2, true)));"
        " window.turns = classes.turn + 2; classes.toggle(2, false); })()"
    )
    browser.wait("wsiSeg.classes.turn === window.turns")
    wait_for_tiles(browser)
    assert browser.run("wsiSeg.viewer.world.getItemCount()") == 2
    assert (drawn(browser)[0] == once).all()


def test_coordinates_are_those_of_slide_and_qupath(result: Path, shown: Show) -> None:
    browser = shown(result, "#qupath=801,777&downsample=2")
    place = browser.run(f"JSON.parse({GRAB})")
    x, y = place["left"] + place["width"] / 2 + 30, place["top"] + place["height"] / 2 - 20
    browser.point(x, y)
    browser.wait("!document.getElementById('tip').hidden")
    at = [int(v) for v in browser.run("document.getElementById('qupath-xy').textContent").split(", ")]
    slide = [int(v) for v in browser.run("document.getElementById('slide-xy').textContent").split(", ")]
    assert np.allclose(at, (801 + 60, 777 - 40), atol=2)
    assert (slide[0] - at[0], slide[1] - at[1]) == (30, 20)  # the corner of the bounds
    labels = read_labels(ResultFolder(result).zarr)
    value = int(labels.read(Rect(at[1] // 2, at[0] // 2, at[1] // 2 + 1, at[0] // 2 + 1))[0, 0])
    assert browser.run("document.getElementById('tip').textContent") == SCHEMA.classes[value].name
    assert browser.run("document.getElementById('scale-text').textContent").endswith("um")


def test_a_tap_says_what_lies_there_until_the_view_zooms(result: Path, shown: Show) -> None:
    shown(result).resize(390, 844, touch=True)
    browser = shown(result, "#qupath=801,777&downsample=2")
    place = browser.run(f"JSON.parse({GRAB})")
    x, y = place["left"] + place["width"] / 2, place["top"] + place["height"] / 2
    browser.tap(x, y)
    browser.wait("!document.getElementById('tip').hidden", seconds=20)
    labels = read_labels(ResultFolder(result).zarr)
    at = [int(v) for v in browser.run("document.getElementById('qupath-xy').textContent").split(", ")]
    assert np.allclose(at, (801, 777), atol=2)
    value = int(labels.read(Rect(at[1] // 2, at[0] // 2, at[1] // 2 + 1, at[0] // 2 + 1))[0, 0])
    assert browser.run("document.getElementById('tip').textContent") == SCHEMA.classes[value].name
    browser.press("0")
    browser.wait("document.getElementById('tip').hidden", seconds=20)
    browser.resize(1280, 800)


def test_names_are_text_whatever_they_hold(shown: Show, tmp_path: Path) -> None:
    evil = "<img src=x onerror=window.hit=1>"
    names = {1: evil, 2: "肿瘤"}
    renamed = [c.model_copy(update={"name": names.get(c.id, c.name)}) for c in SCHEMA.classes]
    schema = SCHEMA.model_copy(update={"classes": tuple(renamed)})
    labels = np.full((64, 64), 1, dtype=np.uint8)
    browser = shown(write_labels(tmp_path / "<b>bold<", labels, schema))
    text = browser.run("document.getElementById('legend').innerText")
    assert evil in text
    assert "肿瘤" in text
    assert browser.run("window.hit") is None
    assert browser.run("document.getElementById('name').textContent") == "<b>bold<.svs"
    assert not browser.run("document.querySelectorAll('h1 b, #legend img').length")


def test_what_stands_beside_a_name_read_from_the_right_stays_whole(
    result: Path, browser: Browser, tmp_path: Path
) -> None:
    write_labels(tmp_path / "results" / "one", np.ones((64, 64), dtype=np.uint8))
    with served(Asked(tmp_path / "results")) as address:
        browser.open(address)
        boxes, left, name_right = browser.run(
            "(() => { const heading = document.createElement('h3'); document.body.append(heading);"
            " heading.innerHTML = 'most errors of גידול 2<span class=\"state\">11.0 % right, 56 %</span>';"
            " const name = document.createRange(); name.selectNode(heading.firstChild);"
            " const state = heading.querySelector('.state');"
            " return [state.getClientRects().length, state.getBoundingClientRect().left,"
            " name.getBoundingClientRect().right]; })()"
        )
        assert boxes == 1
        assert left >= name_right


def test_without_its_slide_the_overview_is_shown_with_a_notice(result: Path, shown: Show) -> None:
    browser = shown(result)
    said = browser.run("document.getElementById('notices').innerText")
    assert "only the overview in the result is shown: name the slide with --slide" in said


COUNT_BOXES = (
    "(() => { const own = CanvasRenderingContext2D.prototype.fillRect; window.boxes = 0;"
    " CanvasRenderingContext2D.prototype.fillRect = function (...at)"
    " { window.boxes++; own.apply(this, at); }; })()"
)


def test_many_outlines_are_drawn_in_place_and_not_again_for_the_pointer(
    result: Path, shown: Show, tmp_path: Path
) -> None:
    boxes = [(x, y, x + 4, y + 4) for y in range(100, 1000, 20) for x in range(100, 1000, 20)]
    file = write_boxes(
        tmp_path / "many.geojson", ("Large", (40, 40, 1060, 1060)), *(("Small", b) for b in boxes)
    )
    browser = shown(Asked(result, (file,)), "#qupath=550,550&downsample=2&hidden=0,1,2")
    browser.wait(f"wsiSeg.drawings.shapes.length === {1 + len(boxes)}")
    browser.run(COUNT_BOXES)
    browser.run("wsiSeg.drawings.draw()")
    assert browser.run("window.boxes") == len(boxes)
    picture, qupath_xy = drawn(browser)
    red = (picture == (200, 0, 0)).all(axis=-1)
    x, y = qupath_xy[..., 0], qupath_xy[..., 1]
    inner = (abs(x - 550) < 430) & (abs(y - 550) < 430)
    in_box = ((x - 100) % 20 < 4) & ((y - 100) % 20 < 4)
    assert (red == in_box)[inner].mean() > 0.98
    assert red[(abs(x - 40) < 0.6) & (abs(y - 550) < 300)].all()  # the line of the large one
    browser.run("window.boxes = 0")
    browser.run("wsiSeg.viewer.forceRedraw(); 0")
    browser.run(TWO_FRAMES)
    assert browser.run("window.boxes") == 0  # nothing has moved
    browser.run(
        "wsiSeg.drawings.took = 1e6; wsiSeg.viewer.viewport.panBy(new OpenSeadragon.Point(0.01, 0)); 0"
    )
    browser.run(TWO_FRAMES)
    assert browser.run("wsiSeg.viewer.isAnimating()")
    assert browser.run("window.boxes") == 0  # they take too long to be drawn while the view moves
    browser.wait("window.boxes > 0 && !wsiSeg.viewer.isAnimating()")
    browser.run("wsiSeg.viewer.viewport.panBy(new OpenSeadragon.Point(-0.01, 0), true); 0")
    browser.run(TWO_FRAMES)
    browser.run("window.boxes = 0")
    browser.run("wsiSeg.drawings.mark([[200, 200, 400, 200, 400, 400, 200, 400]])")
    assert browser.run("window.boxes") == 0
    assert (drawn(browser)[0] == (17, 17, 17)).all(axis=-1).any()
    browser.run("wsiSeg.drawings.mark(null)")
    again = drawn(browser)[0]
    assert ((again == picture).all(axis=-1))[inner].all()


def test_cards_keep_their_pictures_when_they_are_sorted(
    result: Path, browser: Browser, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        write_labels(tmp_path / "results" / name, np.ones((64, 64), dtype=np.uint8))
    with served(Asked(tmp_path / "results")) as address:
        browser.open(address)
        browser.wait("document.querySelectorAll('.result').length === 2")
        browser.run("window.first = document.querySelector('.result')")
        browser.run("document.getElementById('turn').click()")
        assert browser.run("document.querySelectorAll('.result')[1] === window.first")
