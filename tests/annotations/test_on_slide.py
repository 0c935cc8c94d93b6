from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely
from helpers.drawn import Box

from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations
from wsi_seg.annotations.on_slide import place, read_regions
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.frames import Bounds, Frames

FRAMES = Frames(
    bounds=Bounds(x=0, y=0, width=1000, height=800),
    slide_mpp=(1.0, 1.0),
    downsample=(2.0, 2.0),
    label_size=(500, 400),
)
ON, OFF = (100, 100, 300, 200), (2000, 0, 2100, 100)


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Path]:
    def write(*boxes: Box, **properties: object) -> Path:
        path = tmp_path / "drawn.geojson"
        shapes = [shapely.geometry.mapping(shapely.box(*box)) for box in boxes]
        path.write_text(
            json.dumps([{"type": "Feature", "geometry": s, "properties": properties} for s in shapes])
        )
        return path

    return write


@pytest.fixture
def halo(tmp_path: Path) -> Callable[..., Path]:
    def write(*boxes: Box) -> Path:
        path = tmp_path / "drawn.annotations"
        corners = [f'<V X="{x0}" Y="{y0}"/><V X="{x1}" Y="{y1}"/>' for x0, y0, x1, y1 in boxes]
        regions = [f'<Region Type="Rectangle"><Vertices>{v}</Vertices></Region>' for v in corners]
        line = '<V X="0" Y="0"/><V X="900" Y="0"/><V X="900" Y="700"/>'
        regions.append(f'<Region Type="Polygon" HasEndcaps="1"><Vertices>{line}</Vertices></Region>')
        inner = f"<Regions>{''.join(regions)}</Regions>"
        path.write_text(f'<Annotations><Annotation Name="Tumour">{inner}</Annotation></Annotations>')
        return path

    return write


def test_shapes_lie_in_the_label_frame(drawn: Callable[..., Path]) -> None:
    placed = place([read_annotations(drawn(ON))], "slide.svs", FRAMES)

    assert [outline.bounds for outline in placed.outlines_label] == [(50, 50, 150, 100)]
    assert placed.remarks == ()


def test_shapes_beyond_the_slide_are_counted(drawn: Callable[..., Path]) -> None:
    path = drawn(ON, OFF)

    assert place([read_annotations(path)], "slide.svs", FRAMES).remarks == (
        f"{path}: 1 of 2 shapes lies outside of slide.svs",
    )


def test_a_file_beyond_the_slide_is_refused(drawn: Callable[..., Path]) -> None:
    with pytest.raises(
        AnnotationError, match=r"drawn\.geojson: no shape lies on slide\.svs: was it drawn on another slide\?"
    ):
        place([read_annotations(drawn(OFF))], "slide.svs", FRAMES)


def test_halos_frame_of_mirax_slides_is_told(halo: Callable[..., Path], drawn: Callable[..., Path]) -> None:
    on, other = read_annotations(halo(ON)), read_annotations(drawn(ON))

    assert place([on, other], "slide.svs", FRAMES).remarks == ()
    (remark,) = place([on, other], "slide.MRXS", FRAMES).remarks
    assert remark.startswith(f"{on.path}: on MIRAX slides HALO's origin is not the corner of level 0")
    with pytest.raises(AnnotationError, match=r"no shape lies on slide\.mrxs: on MIRAX slides HALO's origin"):
        place([read_annotations(halo((-900, -900, -800, -800)))], "slide.mrxs", FRAMES)


def test_regions_of_interest_off_the_slide_are_refused(drawn: Callable[..., Path]) -> None:
    with pytest.raises(AnnotationError, match=r"drawn\.geojson: no shape lies on slide\.svs"):
        read_regions(drawn(OFF, OFF), "slide.svs", FRAMES)


@pytest.mark.parametrize("box", [(1000, 100, 1200, 200), (-100, -100, 0, 0), (100, 800, 200, 900)])
def test_what_touches_the_slide_at_its_edge_alone_lies_beyond_it(
    drawn: Callable[..., Path], box: Box
) -> None:
    with pytest.raises(AnnotationError, match=r"drawn\.geojson: no shape lies on slide\.svs"):
        read_regions(drawn(box), "slide.svs", FRAMES)
    path = drawn(ON, box)
    assert place([read_annotations(path)], "slide.svs", FRAMES).remarks == (
        f"{path}: 1 of 2 shapes lies outside of slide.svs",
    )


@pytest.mark.parametrize("box", [(0, 0, 0.9, 0.9), (101.2, 100, 102.8, 300), (999.5, 100, 1200, 200)])
def test_regions_of_interest_that_hold_no_pixel_are_refused(drawn: Callable[..., Path], box: Box) -> None:
    with pytest.raises(AnnotationError, match=r"cover no pixel of slide\.svs at 2 um per px: draw larger"):
        read_regions(drawn(box), "slide.svs", FRAMES)
    assert read_regions(drawn(box, ON), "slide.svs", FRAMES).geometry_label.area > 5000


def test_one_pixel_is_a_region_of_interest(drawn: Callable[..., Path]) -> None:
    assert read_regions(drawn((100.5, 100.5, 101.5, 101.5)), "slide.svs", FRAMES).remarks == ()


def test_what_is_left_out_of_regions_of_interest_is_told(halo: Callable[..., Path]) -> None:
    path = halo(ON, OFF)

    regions = read_regions(path, "slide.svs", FRAMES)

    assert regions.geometry_label.intersection(shapely.box(0, 0, 500, 400)).area == 100 * 50
    assert regions.remarks == (
        f"{path}: shape 3 (Tumour): a line: left out, not a drawn area",
        f"{path}: 1 of 2 shapes lies outside of slide.svs",
    )


def test_regions_of_interest_need_no_class(drawn: Callable[..., Path]) -> None:
    assert read_regions(drawn(ON), "slide.svs", FRAMES).remarks == ()


def test_cores_of_a_tissue_microarray_are_regions_of_interest_where_nothing_else_is(
    drawn: Callable[..., Path],
) -> None:
    path = drawn(ON, objectType="tmaCore")

    assert read_regions(path, "slide.svs", FRAMES).geometry_label.bounds == (50, 50, 150, 100)

    features = json.loads(path.read_text())
    features[0]["properties"]["childObjects"] = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(shapely.box(120, 120, 140, 140))}
    ]
    path.write_text(json.dumps(features))
    regions = read_regions(path, "slide.svs", FRAMES)

    assert regions.geometry_label.bounds == (60, 60, 70, 70)
    assert regions.remarks == (f"{path}: 1 TMA core: left out, not outlines of tissue",)


def test_regions_of_interest_that_change_while_they_are_read_are_refused(
    drawn: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawn(ON)

    def read_and_change(path: Path, places: bool) -> AnnotationFile:
        file = read_annotations(path, places)
        drawn(OFF)
        return file

    monkeypatch.setattr("wsi_seg.annotations.on_slide.read_annotations", read_and_change)
    with pytest.raises(AnnotationError, match=r"drawn\.geojson: was changed while it was read: run the same"):
        read_regions(path, "slide.svs", FRAMES)
