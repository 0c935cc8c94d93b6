from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import shapely
from conftest import SCHEMA, damage_tile, tissue_rgb, write_tiff
from helpers.drawn_tiffs import write_series

from wsi_seg.data.annotated_slides import LabelledSlide, SlideReading, open_labelled_slides
from wsi_seg.data.pairs import SlidePair
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, MppError, SlideError, UsageError
from wsi_seg.slides.lattice import Rect

REST = TruthSettings(rest="Stroma")
TUMOUR = (100, 60, 300, 260)


def write_shapes(path: Path, *shapes: tuple[str | None, tuple[float, float, float, float]]) -> Path:
    """Write upright rectangles, each with its class, as QuPath does."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shapely.box(*box)),
            "properties": {} if name is None else {"classification": {"name": name, "color": [200, 0, 0]}},
        }
        for name, box in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def pair(tmp_path: Path) -> SlidePair:
    """A slide of 700 x 500 px at 2 um, the right 200 of them filled with grey, and a tumour."""
    rgb = tissue_rgb(500, 700)
    rgb[:, 500:] = 240
    slide = write_tiff(tmp_path / "slide.tiff", rgb)
    return SlidePair(slide, write_shapes(tmp_path / "slide.geojson", ("Tumour", TUMOUR)))


def opened(*pairs: SlidePair, settings: TruthSettings = REST, mpp: float = 2.0) -> LabelledSlide:
    return open_labelled_slides(pairs, SCHEMA, mpp, settings)[1][0]


def test_pixels_come_with_their_classes(pair: SlidePair) -> None:
    labelled = opened(pair)

    read = labelled.read(Rect(0, 0, 500, 700))

    assert (labelled.name, labelled.size, labelled.remarks) == ("slide", (700, 500), ())
    assert (read.rgb[:, :500] == tissue_rgb(500, 700)[:, :500]).all()
    expected = np.full((500, 700), 1, np.uint8)
    expected[:, 500:] = IGNORE
    expected[60:260, 100:300] = 2
    np.testing.assert_array_equal(read.classes, expected)


def test_a_slide_that_is_replaced_is_not_read_on(pair: SlidePair) -> None:
    labelled = opened(pair)
    labelled.read(Rect(0, 0, 10, 10))

    write_tiff(pair.slide.with_name("other.tiff"), tissue_rgb(500, 700, seed=1)).replace(pair.slide)

    with pytest.raises(SlideError, match=r"slide\.tiff: was changed while the slide was read"):
        labelled.read(Rect(0, 0, 10, 10))


def test_a_pixel_does_not_depend_on_the_rectangle(pair: SlidePair) -> None:
    labelled = opened(pair, mpp=4.0)
    whole, part = Rect(0, 0, 250, 350), Rect(20, 40, 148, 168)

    np.testing.assert_array_equal(labelled.read(part).classes, labelled.read(whole).classes[part.slices])
    np.testing.assert_array_equal(labelled.read(part).rgb, labelled.read(whole).rgb[part.slices])


def test_shapes_shrink_with_the_label_frame(pair: SlidePair) -> None:
    classes = opened(pair, mpp=4.0).read(Rect(0, 0, 250, 350)).classes

    assert (classes[30:130, 50:150] == 2).all()
    assert (classes == 2).sum() == 100 * 100


def test_pixels_that_cannot_be_decoded_are_unknown(tmp_path: Path, pair: SlidePair) -> None:
    slide = damage_tile(write_tiff(tmp_path / "bad.tiff", tissue_rgb(500, 700)), tile=0)

    classes = opened(SlidePair(slide, pair.annotations)).read(Rect(0, 0, 256, 256)).classes

    assert (classes[:128, :128] == IGNORE).all()
    assert (classes[128:, 128:] != IGNORE).all()


def test_a_labelled_slide_goes_to_processes_that_spawn(pair: SlidePair) -> None:
    labelled = opened(pair)
    rect = Rect(50, 90, 114, 154)

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(labelled.read, rect).result()

    np.testing.assert_array_equal(there.classes, labelled.read(rect).classes)
    np.testing.assert_array_equal(there.rgb, labelled.read(rect).rgb)
    assert len(pickle.dumps(labelled)) < 1e6


def test_a_slide_that_vanishes_is_named(pair: SlidePair) -> None:
    labelled = opened(pair)
    pair.slide.unlink()

    with pytest.raises(SlideError, match=r"slide\.tiff"):
        labelled.read(Rect(0, 0, 64, 64))


def test_a_slide_that_is_named_twice_is_one_with_all_its_shapes(tmp_path: Path, pair: SlidePair) -> None:
    more = write_shapes(tmp_path / "more.geojson", ("Glass", (0, 0, 20, 20)), ("Stroma", (110, 70, 120, 80)))
    roundabout = pair.slide.parent / ".." / pair.slide.parent.name / pair.slide.name

    _, slides = open_labelled_slides([pair, SlidePair(roundabout, more)], SCHEMA, 2.0, TruthSettings())

    assert len(slides) == 1
    counts = np.bincount(slides[0].read(Rect(0, 0, 500, 700)).classes.ravel(), minlength=256)
    assert counts[:3].tolist() == [400, 100, 200 * 200 - 100]


def test_a_copy_of_a_slide_is_the_slide(tmp_path: Path, pair: SlidePair) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = Path(shutil.copy(pair.slide, tmp_path / "elsewhere" / "renamed.tiff"))
    other = write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1))
    more = write_shapes(tmp_path / "more.geojson", ("Glass", (0, 0, 20, 20)))
    pairs = [pair, SlidePair(other, pair.annotations), SlidePair(copy, more)]

    _, slides = open_labelled_slides(pairs, SCHEMA, 2.0, TruthSettings())

    assert [(slide.path, slide.copies) for slide in slides] == [(pair.slide, (copy,)), (other, ())]
    assert slides[0].fingerprint != slides[1].fingerprint
    assert slides[0].remarks == (
        f"{copy}: the same slide as {pair.slide}: taken as one slide, with the shapes drawn on both",
    )
    counts = np.bincount(slides[0].read(Rect(0, 0, 500, 700)).classes.ravel(), minlength=256)
    assert counts[:3].tolist() == [400, 0, 200 * 200]


def test_a_slide_has_one_resolution(tmp_path: Path, pair: SlidePair) -> None:
    copy = Path(shutil.copy(pair.slide, tmp_path / "copy.tiff"))
    for again in (pair.slide, copy):
        with pytest.raises(UsageError, match=r"slide\.tiff.*: one slide, given 2 and 1 um per px"):
            opened(pair._replace(mpp=2.0), SlidePair(again, pair.annotations, 1.0))
    assert opened(SlidePair(*pair[:2]), SlidePair(copy, pair.annotations, 1.0)).given_mpp == 1.0


def test_classes_come_from_the_annotations_if_no_schema_is_given(pair: SlidePair) -> None:
    schema, slides = open_labelled_slides([pair[:2]], None, 2.0, TruthSettings(rest="Other tissue"))

    assert [(c.id, c.name, c.color) for c in schema.classes] == [
        (0, "Other tissue", (200, 200, 200)), (1, "Tumour", (200, 0, 0)),
    ]  # fmt: skip
    assert set(np.unique(slides[0].read(Rect(0, 0, 500, 500)).classes)) == {0, 1}


def test_a_slides_resolution_may_be_given(tmp_path: Path, pair: SlidePair) -> None:
    slide = write_tiff(tmp_path / "no_mpp.tiff", tissue_rgb(200, 200), mpp=None)

    with pytest.raises(MppError, match=r"no_mpp\.tiff"):
        opened(SlidePair(slide, pair.annotations))
    assert opened(SlidePair(slide, pair.annotations, 1.0)).size == (100, 100)
    assert open_labelled_slides([(slide, pair.annotations)], SCHEMA, 2.0, reading=SlideReading(0.5))[1][
        0
    ].size == (50, 50)


def test_all_classes_that_are_missing_are_one_line(tmp_path: Path, pair: SlidePair) -> None:
    box = (0, 0, 9, 9)
    others = [
        SlidePair(
            pair.slide, write_shapes(tmp_path / "b.geojson", ("Duct", box), ("Nerve", box), (None, box))
        ),
        SlidePair(pair.slide, write_shapes(tmp_path / "c.geojson", ("Duct", box))),
    ]

    with pytest.raises(AnnotationError) as caught:
        open_labelled_slides([pair, *others], SCHEMA, 2.0)

    assert str(caught.value) == (
        f"classes that 'three' lacks: 'Duct' (2 shapes, first in {tmp_path / 'b.geojson'}); "
        f"'Nerve' (1 shape, first in {tmp_path / 'b.geojson'}): it has Glass, Stroma, Tumour; "
        "rename them, or add them or aliases to the schema"
    )


@pytest.mark.parametrize(
    ("settings", "background", "says"),
    [
        (TruthSettings(rest="Fat"), "Glass", "--rest 'Fat': 'three' has no such class: it has Glass, Stroma"),
        (TruthSettings(roi_class="Tumour"), None, "with --rest"),
        (TruthSettings(roi_class="ROI"), None, "no shape has this class"),
        (TruthSettings(roi_class="ROI"), "Glass", "name a class of the annotations, which are Tumour"),
        (TruthSettings(roi_class="ROI", rest="Stroma"), None, "no shape has this class"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    pair: SlidePair, settings: TruthSettings, background: str | None, says: str
) -> None:
    schema = SCHEMA.model_copy(update={"background": background})

    with pytest.raises(UsageError) as caught:
        open_labelled_slides([pair], schema, 2.0, settings)

    assert says in str(caught.value)


def test_shapes_without_classes_are_refused(tmp_path: Path, pair: SlidePair) -> None:
    path = write_shapes(tmp_path / "unnamed.geojson", (None, TUMOUR))

    with pytest.raises(AnnotationError, match=r"unnamed\.geojson: no shape has a class"):
        open_labelled_slides([(pair.slide, path)], SCHEMA, 2.0)


def test_outlines_lie_on_what_they_outline(shared_data: Path) -> None:
    """Carcinoma is darker than the tissue around it; less so if the outlines are moved by 30 um."""
    slides = shared_data / "slides"
    pairs = [(slides / "breast_A03.tiff", slides / "breast_A03.geojson")]
    schema, (labelled,) = open_labelled_slides(pairs, None, 7.47, TruthSettings(rest="Other tissue"))
    width, height = labelled.size
    read = labelled.read(Rect(0, 0, height, width))

    def contrast(dy: int, dx: int) -> float:
        brightness = np.roll(read.rgb.mean(axis=2), (dy, dx), axis=(0, 1))
        inside, outside = (read.classes == 1) | (read.classes == 2), read.classes == 0
        return float(brightness[outside].mean() - brightness[inside].mean())

    shifted = [contrast(dy, dx) for dy, dx in ((-4, 0), (4, 0), (0, -4), (0, 4))]
    filling = (read.rgb == 240).all(axis=2)

    assert [c.name for c in schema.classes] == ["Other tissue", "Carcinoma in situ", "Invasive carcinoma"]
    assert contrast(0, 0) > max(shifted)
    assert (read.classes[filling] == IGNORE).mean() > 0.97


def test_what_lies_in_another_shape_is_its_detail_however_it_is_nested(
    tmp_path: Path, pair: SlidePair
) -> None:
    write_shapes(pair.annotations, ("Stroma", (50, 50, 450, 450)), ("Tumour", (100, 100, 200, 200)))
    parent, child = json.loads(pair.annotations.read_text())["features"]
    parent["properties"]["childObjects"] = [child]
    pair.annotations.write_text(json.dumps({"root": {"properties": {"childObjects": [parent]}}}))

    classes = opened(pair, settings=TruthSettings()).read(Rect(0, 0, 500, 700)).classes

    assert np.bincount(classes[classes != IGNORE]).tolist() == [0, 400 * 400 - 100 * 100, 100 * 100]


def test_the_rest_is_known_inside_of_cores_too(pair: SlidePair) -> None:
    write_shapes(pair.annotations, (None, (20, 20, 480, 480)), ("Tumour", TUMOUR))
    file = json.loads(pair.annotations.read_text())
    file["features"][0]["properties"] = {"objectType": "tmaCore", "isMissing": False}
    pair.annotations.write_text(json.dumps(file))

    labelled = opened(pair)
    classes = labelled.read(Rect(0, 0, 500, 700)).classes

    assert (classes[:, :500] != IGNORE).all()
    assert (classes == 2).sum() == 200 * 200
    assert labelled.remarks == (f"{pair.annotations}: 1 TMA core: left out, not outlines of tissue",)


def test_shapes_of_another_slide_are_refused(tmp_path: Path, pair: SlidePair) -> None:
    path = write_shapes(tmp_path / "other.geojson", ("Tumour", (7000, 0, 7100, 100)))

    with pytest.raises(AnnotationError, match=r"other\.geojson: no shape lies on .*slide\.tiff"):
        opened(SlidePair(pair.slide, path))


def test_shapes_beyond_the_slide_are_told(tmp_path: Path, pair: SlidePair) -> None:
    path = write_shapes(tmp_path / "other.geojson", ("Tumour", TUMOUR), ("Tumour", (7000, 0, 7100, 100)))

    labelled = opened(SlidePair(pair.slide, path))

    assert labelled.remarks == (f"{path}: 1 of 2 shapes lies outside of slide.tiff",)


def test_outlines_beside_the_tissue_are_told(tmp_path: Path, pair: SlidePair) -> None:
    """Those of another slide, or of another level, lie on the slide, and on the wrong things."""
    files = tmp_path / "other.geojson", tmp_path / "glass.geojson"
    write_shapes(files[0], ("Tumour", (520, 10, 690, 200)), ("Stroma", (450, 300, 690, 400)))
    write_shapes(files[1], ("Tumour", TUMOUR), ("Stroma", (520, 10, 690, 490)))

    other, glass = (opened(pair._replace(annotations=file)).remarks for file in files)

    assert other == (
        f"{files[0]}: 91% of what is outlined lies where slide.tiff has no tissue: was it drawn on another "
        "slide, or on another level of this one?",
    )
    assert glass == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (TruthSettings(roi_class="Region*", rest="Stroma"), ""),
        (TruthSettings(), "--rest CLASS"),
        (REST, "--rest CLASS; as it is, all tissue beside outlines is Stroma"),
    ],
)
def test_windows_that_no_setting_gives_a_meaning_are_told(
    pair: SlidePair, settings: TruthSettings, said: str
) -> None:
    write_shapes(pair.annotations, ("Region*", (50, 50, 400, 400)), ("Tumour", TUMOUR))

    remarks = opened(pair, settings=settings).remarks

    assert remarks == (
        (
            f"{pair.annotations}: 1 shape of class Region* without effect: if all within them is outlined, "
            f"give --roi-class 'Region*' and {said}",
        )
        if said
        else ()
    )


def test_a_slide_without_windows_among_others_is_told_and_one_around_it_is_all_of_it(
    tmp_path: Path, pair: SlidePair
) -> None:
    windows, whole = TruthSettings(roi_class="Region*", rest="Stroma"), ("Region*", (0, 0, 700, 500))
    write_shapes(pair.annotations, ("Tumour", TUMOUR), whole)
    plain = write_shapes(tmp_path / "plain.geojson", ("Tumour", TUMOUR))
    other = SlidePair(write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1)), plain)

    _, (first, second) = open_labelled_slides([pair, other], SCHEMA, 2.0, windows)

    assert first.remarks == ()
    assert second.remarks == (
        f"{plain}: no shape of class Region*, so what is not outlined on this slide is unknown: if "
        "everything is outlined, draw one around all of it",
    )
    everything = Rect(0, 0, 500, 700)
    without = opened(SlidePair(pair.slide, plain), settings=REST)
    assert (first.truth.read(everything) == without.truth.read(everything)).all()


def test_a_slide_without_colour_is_read_and_remarked_on(tmp_path: Path, pair: SlidePair) -> None:
    grey = np.repeat(tissue_rgb(500, 500)[..., 1:2], 3, axis=2)
    slides = opened(SlidePair(write_tiff(tmp_path / "grey.tiff", grey), pair.annotations))
    assert any(
        "grey.tiff: has no colour: `predict` takes such slides with --allow-grey" in r for r in slides.remarks
    )
    assert not any("colour" in remark for remark in opened(pair).remarks)


def test_classes_in_one_colour_get_their_own_and_the_first_slide_says_so(pair: SlidePair) -> None:
    path = write_shapes(pair.annotations, ("Tumour", TUMOUR), ("Necrosis", (0, 0, 50, 50)))

    schema, slides = open_labelled_slides([SlidePair(pair.slide, path)], None, 2.0, TruthSettings())

    assert [c.name for c in schema.classes] == ["Necrosis", "Tumour"]
    assert schema.classes[0].color == (200, 0, 0) != schema.classes[1].color
    assert slides[0].remarks[0] == (
        "drawn in the colour of another class, and shown in a colour of its own: Tumour"
    )


def test_slides_that_differ_in_a_tile_are_refused(tmp_path: Path, pair: SlidePair) -> None:
    slide = write_tiff(tmp_path / "m1.tiff", tissue_rgb(500, 700), levels=2)
    other = damage_tile(Path(shutil.copy(slide, tmp_path / "m2.tiff")), 8)
    with pytest.raises(
        UsageError, match=r"m2\.tiff: nearly the same slide as .*m1\.tiff, but the bytes differ"
    ):
        opened(SlidePair(slide, pair.annotations), SlidePair(other, pair.annotations))


def test_images_of_one_file_are_slides_of_their_own(tmp_path: Path) -> None:
    sizes = ((500, 700), (300, 400))
    slide = write_series(
        tmp_path / "two.ome.tif", {f"Image{i}": tissue_rgb(*size) for i, size in enumerate(sizes)}
    )
    drawn = write_shapes(tmp_path / "a.geojson", ("Tumour", TUMOUR))
    pairs = [SlidePair(slide, drawn, 2.0, series) for series in (0, 1)]
    first, second = open_labelled_slides(pairs, SCHEMA, 2.0, REST)[1]
    assert (first.size, second.size) == ((700, 500), (400, 300))
    np.testing.assert_array_equal(second.read(Rect(0, 0, 300, 400)).rgb, tissue_rgb(300, 400))
    assert (first.copies, second.copies) == ((), ())
