"""Whole results and region files: what is measured, and what is refused, in one line each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers.drawn import write_boxes
from helpers.written_results import Labels, write_labels

from wsi_seg.errors import AnnotationError, OutputError, UsageError
from wsi_seg.measures.measure_results import measure_results
from wsi_seg.measures.measure_settings import MeasureSettings

PIXEL_MM2 = 4e-6


def quarters() -> Labels:
    """130 x 100 pixels: glass, and a square of tumour in stroma; two rows that could not be read."""
    labels = np.ones((100, 130), dtype=np.uint8)
    labels[:, 100:] = 0
    labels[20:60, 20:60] = 2
    labels[98:] = 255
    return labels


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labels(tmp_path_factory.mktemp("results") / "case", quarters())


def test_a_whole_slide_is_one_region(result: Path) -> None:
    (found,) = measure_results([(result, None)]).results
    (region,) = found.regions
    glass, stroma, tumour = region.classes
    assert (found.opened.slide, found.file) == ("case.svs", None)
    assert tumour.mm2 == pytest.approx(1600 * PIXEL_MM2)
    assert stroma.mm2 == pytest.approx((9800 - 1600) * PIXEL_MM2)
    assert tumour.share == pytest.approx(1600 / 9800)
    assert glass.share is None
    assert region.mm2 == pytest.approx(130 * 100 * PIXEL_MM2)
    assert region.unprocessed_mm2 == pytest.approx(260 * PIXEL_MM2)
    assert [c.components for c in region.classes] == [1, 1, 1]


def test_regions_lie_in_the_frame_that_their_file_is_drawn_in(result: Path, tmp_path: Path) -> None:
    # In QuPath's frame, two slide pixels for a label pixel: the first is the tumour's own square.
    drawn = write_boxes(
        tmp_path / "drawn.geojson", ("Tumour", (40, 40, 120, 120)), ("Other", (-40, 0, 40, 40))
    )
    (found,) = measure_results([(result, drawn)]).results
    one, other = found.regions
    assert [c.mm2 for c in one.classes] == pytest.approx([0, 0, 1600 * PIXEL_MM2])
    assert (one.region.number, one.region.class_name) == (1, "Tumour")
    assert other.off_slide_mm2 == other.outside_mm2 == pytest.approx(400 * PIXEL_MM2)
    assert other.mm2 == pytest.approx(800 * PIXEL_MM2)


def test_lines_and_repairs_are_remarked(result: Path, tmp_path: Path) -> None:
    drawn = write_boxes(tmp_path / "drawn.geojson", ("Tumour", (40, 40, 120, 120)))
    content = json.loads(drawn.read_text())
    line = {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}
    content["features"].append({"type": "Feature", "geometry": line, "properties": {}})
    drawn.write_text(json.dumps(content))
    assert measure_results([(result, drawn)]).remarks == (
        f"{drawn}: shape 2: a line: left out, not a drawn area",
    )


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (
            (900, 900, 950, 950),
            r"shape 2 \(B\) lies off case.svs: was it drawn on another slide",
        ),
        (
            (50.2, 50.2, 50.6, 50.6),
            r"shape 2 \(B\) covers no pixel of case.svs at 2 um per px",
        ),
        ((50, 50, 50, 60), r"drawn.geojson: shape 2 \(B\): .*: draw it again, or leave it out"),
    ],
)
def test_a_shape_that_is_no_region_is_refused(
    result: Path, tmp_path: Path, box: tuple[float, float, float, float], said: str
) -> None:
    drawn = write_boxes(tmp_path / "drawn.geojson", ("A", (40, 40, 120, 120)), ("B", box))
    with pytest.raises(AnnotationError, match=said):
        measure_results([(result, drawn)])


def test_a_file_of_another_slide_is_refused(result: Path, tmp_path: Path) -> None:
    drawn = write_boxes(tmp_path / "drawn.geojson", ("A", (900, 40, 999, 120)))
    with pytest.raises(AnnotationError, match=r"no shape lies on case.svs: was it drawn on another slide"):
        measure_results([(result, drawn)])


def test_results_that_are_none_are_refused(result: Path, tmp_path: Path) -> None:
    (tmp_path / "half" / ".wsi-seg").mkdir(parents=True)
    with pytest.raises(OutputError, match="half: not finished: run `wsi-seg predict` again"):
        measure_results([(tmp_path / "half", None)])
    with pytest.raises(
        UsageError, match=r"holds 1 result, and is none itself: name them, such as .*half, or .*/\*/ for all"
    ):
        measure_results([(tmp_path, None)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match="empty: not a result: give a result folder"):
        measure_results([(tmp_path / "empty", None)])
    with pytest.raises(OutputError, match="absent: no such folder: give a result folder"):
        measure_results([(tmp_path / "absent", None)])
    with pytest.raises(UsageError, match=r"case/slide\.ome\.zarr: is named twice"):
        measure_results([(result, None), (result / "slide.ome.zarr", None)])


def test_a_damaged_result_is_refused(tmp_path: Path) -> None:
    damaged = write_labels(tmp_path / "case", quarters())
    shard = damaged / "slide.ome.zarr/labels/tissue/0/c/0/0"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    with pytest.raises(OutputError, match=f"{shard}: altered"):
        measure_results([(damaged, None)])


def test_a_class_is_named_as_the_result_has_it(result: Path) -> None:
    asked = MeasureSettings("tumour", (0.0, 10.0))
    (found,) = measure_results([(result, None)], asked).results
    assert found.distance_to == "Tumour"
    near = [c.near_mm2[0] / PIXEL_MM2 for c in found.regions[0].classes]
    # 10 um are five pixels: a ring inside of the square, and one around it, round at its corners.
    around = shapely.box(20, 20, 60, 60).buffer(5, quad_segs=64).area - 1600
    assert near == pytest.approx([0, around, 1600 - 30 * 30], abs=8)
    assert near[2] == pytest.approx(700)
