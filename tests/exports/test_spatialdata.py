"""A SpatialData store: labels, picture and polygons lie in one place, and `spatialdata` opens it.

That package needs an older Dask than ours, so it runs in an environment of its own: `make spatialdata`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import tissue_rgb, write_tiff
from helpers.results import features_of, labels_of
from helpers.written_results import write_labels
from ome_zarr.format import FormatV05
from ome_zarr.io import ZarrLocation
from ome_zarr.reader import Label, Multiscales, Reader

import wsi_seg as ws
from wsi_seg.errors import OutputError, SlideError, UsageError
from wsi_seg.exports.formats import format_named
from wsi_seg.exports.options import Options
from wsi_seg.exports.source import Source
from wsi_seg.exports.spatialdata import slide_picture
from wsi_seg.exports.written_files import Written
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.halving import halve_mean
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

INSTALL = "is not installed: pip install '.[geo]'"
geopandas = pytest.importorskip("geopandas", reason=f"geopandas {INSTALL}")


def export(result: Path, to: Path | None = None, **asked: Any) -> Written:
    return format_named("spatialdata").prepare(Source.at(result), to, Options(**asked))()


def opened(store: Path) -> dict[str, Any]:
    """What `spatialdata` finds; skips where it isn't."""
    python = os.environ.get("WSI_SEG_SPATIALDATA")
    if not python:
        pytest.skip("no Python with spatialdata is named in WSI_SEG_SPATIALDATA: `make spatialdata` does")
    script = Path(__file__).parents[1] / "helpers" / "open_spatialdata.py"
    bare = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(
        [python, "-W", "error:::spatialdata", script, store], env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def attributes(group: Path) -> dict[str, Any]:
    found: dict[str, Any] = zarr.open_group(group, mode="r").attrs.asdict()
    return found


@pytest.fixture(scope="module")
def store(result: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result as a store, with its slide."""
    path = tmp_path_factory.mktemp("stores") / "slide.zarr"
    written = export(result, path, image="slide")
    assert written.path == path
    assert "images: confidence at 2 um per px, slide at 2 um per px" in written.lines
    return path


def test_spatialdata_opens_it_and_all_lies_in_one_system(result: Path, store: Path, slide_path: Path) -> None:
    found = opened(store)
    assert found["systems"] == ["global"]
    assert set(found["rasters"]) == {"tissue", "confidence", "slide"}
    labels, features = labels_of(result), features_of(result)
    tissue, slide = found["rasters"]["tissue"], found["rasters"]["slide"]
    assert tissue["sum"] == int(labels.sum(dtype=np.int64))
    assert tissue["first"] == labels[:4, :4].tolist()
    assert slide["channels"] == ["r", "g", "b"]
    assert slide["first"][0][0] == tissue_rgb(500, 700)[0, :4, 0].tolist()
    for raster in found["rasters"].values():
        assert raster["to_um"] == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
        assert raster["shapes"][0][-2:] == [500, 700]
    (shapes,) = found["shapes"].values()
    assert shapes["ids"] == [feature["id"] for feature in features]
    assert shapes["areas"] == pytest.approx(shapes["area_um2"])
    assert found["attrs"]["wsi_seg"]["model"] == "test"
    assert [c["name"] for c in found["attrs"]["wsi_seg"]["schema"]["classes"]] == [
        "Glass",
        "Stroma",
        "Tumour",
    ]


def test_labels_and_confidence_are_copied_level_by_level(result: Path, store: Path) -> None:
    own = read_labels(result / "slide.ome.zarr")
    assert len(own.levels) > 1
    for level, array in enumerate(own.levels):
        assert np.array_equal(zarr.open_array(store / "labels/tissue" / str(level))[:], array[:])
    for level, array in enumerate(own.confidence):
        assert np.array_equal(zarr.open_array(store / "images/confidence" / str(level))[0], array[:])


def test_the_slide_is_in_it_pixel_for_pixel(result: Path, store: Path, slide_path: Path) -> None:
    first = zarr.open_array(store / "images/slide/0")
    with Slide(slide_path) as slide:
        frames = read_labels(result / "slide.ome.zarr").frames
        rgb = slide.read(Rect(0, 0, 500, 700), frames).rgb
    assert np.array_equal(np.moveaxis(np.asarray(first[:]), 0, -1), rgb)
    second = np.asarray(zarr.open_array(store / "images/slide/1")[:])
    assert second.shape == (3, 250, 350)
    quartet = rgb[10:12, 20:22].astype(int).sum(axis=(0, 1))
    assert second[:, 5, 10].tolist() == ((quartet + 2) // 4).tolist()


def test_a_slide_of_many_chunks_has_the_same_pixels_and_each_level_halves_the_one_before(
    result: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_picture, "CHUNK", 96)
    many = export(result, tmp_path / "many.zarr", image="slide").path / "images/slide"
    levels = [np.asarray(zarr.open_array(path)[:]) for path in sorted(many.glob("[0-9]"))]
    assert len(list((many / "0/c/0").glob("*/*"))) == 6 * 8
    assert [level.shape[1:] for level in levels] == [(500, 700), (250, 350), (125, 175)]
    assert np.array_equal(levels[0], zarr.open_array(store / "images/slide/0")[:])
    for finer, coarser in pairwise(levels):
        assert np.array_equal(coarser, halve_mean(finer))


def test_files_of_labels_are_the_result_s_own(result: Path, store: Path) -> None:
    own, copied = result / "slide.ome.zarr/labels/tissue", store / "labels/tissue"
    files = sorted(path.relative_to(own) for path in own.glob("*/c/*/*"))
    assert files == sorted(path.relative_to(copied) for path in copied.glob("*/c/*/*"))
    assert all((own / file).read_bytes() == (copied / file).read_bytes() for file in files)


def test_a_file_of_labels_that_is_missing_is_named(result: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(result, tmp_path / "torn")
    gone = sorted((torn / "slide.ome.zarr/labels/tissue/1/c").glob("*/*"))[0]
    gone.unlink()
    with pytest.raises(OutputError, match=r"labels/tissue/1: cannot be read \(No such file"):
        export(torn, image="none")
    assert not (torn / "slide.spatialdata.zarr").exists()


def test_a_reader_of_ome_zarr_finds_names_and_colours(store: Path) -> None:
    (node,) = Reader(ZarrLocation(str(store / "labels/tissue"), fmt=FormatV05()))()
    assert {type(spec) for spec in node.specs} >= {Multiscales, Label}
    assert node.metadata["color"][2] == pytest.approx([0, 0, 130 / 255, 1])
    label = attributes(store / "labels/tissue")["ome"]["image-label"]
    assert {"label-value": 2, "name": "Tumour"} in label["properties"]
    assert "source" not in label  # a picture there would be taken for a second element


def test_a_result_without_its_slide_has_the_overview_and_lies_where_it_should(tmp_path: Path) -> None:
    labels = np.ones((300, 700), dtype=np.uint8)
    labels[100:200, 300:500] = 2
    result = write_labels(tmp_path / "r", labels)
    written = export(result, simplify_um=0.0)
    assert written.path == result / "slide.spatialdata.zarr"
    assert "images: overview at 2 um per px" in written.lines
    assert "the slide itself, at 2 um per px, with --image slide" in written.lines
    ome = attributes(written.path / "images/overview")["ome"]
    (multiscale,) = ome["multiscales"]
    (to_um,) = multiscale["coordinateTransformations"]
    assert (to_um["type"], to_um["scale"]) == ("scale", [1, 2, 2])
    assert to_um["output"]["name"] == "global"
    assert {axis.get("unit") for axis in to_um["output"]["axes"]} == {None, "micrometer"}
    table = geopandas.read_parquet(written.path / "shapes/polygons/shapes.parquet").set_index("class")
    # The label pixels 300 to 500 and 100 to 200, of 2 um, wherever the slide's bounds begin.
    assert table.loc["Tumour"].geometry.bounds == (600, 200, 1000, 400)
    assert table.attrs["frame"] == "um"
    shutil.rmtree(written.path)
    without = export(result, image="none")
    assert "images: none" in without.lines
    assert not (without.path / "images").exists()


def test_an_ome_zarr_of_version_04_alone_becomes_a_store(tmp_path: Path, model_path: Path) -> None:
    """Its arrays are of Zarr v2, and the store's of v3."""
    slide = write_tiff(tmp_path / "small.tiff", tissue_rgb(300, 400))
    ws.segment(slide, model_path, out=tmp_path / "r", device="cpu", workers=1, ngff="0.4")
    alone = shutil.copytree(tmp_path / "r" / "slide.ome.zarr", tmp_path / "alone.ome.zarr")
    with pytest.raises(UsageError, match=r"is not the slide\.ome\.zarr of a result folder: name"):
        export(alone)
    export(alone, tmp_path / "store.zarr")
    copied = zarr.open_array(tmp_path / "store.zarr/labels/tissue/0")
    assert copied.metadata.zarr_format == 3
    assert np.array_equal(copied[:], labels_of(tmp_path / "r"))


def test_a_result_without_polygons_has_no_shapes(tmp_path: Path) -> None:
    result = write_labels(tmp_path / "r", np.zeros((40, 40), dtype=np.uint8))
    written = export(result)
    assert "shapes: none, as there are no polygons" in written.lines
    assert not (written.path / "shapes").exists()
    if os.environ.get("WSI_SEG_SPATIALDATA"):
        assert opened(written.path)["shapes"] == {}


def test_what_cannot_be_written_is_refused_before_anything_is(
    tmp_path: Path, result: Path, slide_path: Path
) -> None:
    bare = write_labels(tmp_path / "bare", np.ones((40, 40), dtype=np.uint8))
    other = write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1))
    (tmp_path / "there.zarr").mkdir()
    new = tmp_path / "new.zarr"
    cases: list[tuple[type[Exception], str, Path, Path, dict[str, Any]]] = [
        (UsageError, "there.zarr: is there already: remove it", result, tmp_path / "there.zarr", {}),
        (UsageError, "it must end in .zarr", result, tmp_path / "store", {}),
        (UsageError, "is a result's own", result, result / "slide.ome.zarr", {}),
        (UsageError, "inside of the labels", result, result / "slide.ome.zarr" / "a.zarr", {}),
        (
            UsageError,
            "--slide: has no effect with --image none",
            result,
            new,
            {"image": "none", "slide": other},
        ),
        (
            UsageError,
            "does not say where its slide lies: name it with --slide",
            bare,
            new,
            {"image": "slide"},
        ),
        (SlideError, "other.tiff: is not the slide that", result, new, {"slide": other}),
    ]
    for kind, words, source, to, asked in cases:
        with pytest.raises(kind, match=words):
            export(source, to, **asked)
    assert not new.exists()
    assert not (tmp_path / "store").exists()


def test_a_slide_that_is_gone_is_named_and_may_lie_elsewhere(
    tmp_path: Path, result: Path, slide_path: Path
) -> None:
    moved = shutil.copytree(result, tmp_path / "moved")
    gone = str(tmp_path / "gone.tiff")
    summary, folder = moved / "summary.json", ResultFolder(moved)
    summary.write_text(summary.read_text().replace(str(slide_path), gone))
    record = folder.read_record()
    assert record is not None
    folder.write_record(record.model_copy(update={"slide": gone}))
    with pytest.raises(UsageError, match=r"gone\.tiff: the slide of this result is not there any more: name"):
        export(moved, tmp_path / "store.zarr", image="slide")
    export(moved, tmp_path / "store.zarr", slide=slide_path)
    assert zarr.open_array(tmp_path / "store.zarr/images/slide/0").shape == (3, 500, 700)


def test_a_slide_that_was_named_from_another_folder_is_found(
    tmp_path: Path, result: Path, slide_path: Path
) -> None:
    moved = shutil.copytree(result, tmp_path / "moved")
    summary = moved / "summary.json"
    summary.write_text(summary.read_text().replace(str(slide_path), slide_path.name))
    export(moved, tmp_path / "store.zarr", image="slide")
    assert (tmp_path / "store.zarr/images/slide/0").is_dir()


def test_a_store_that_fails_leaves_nothing(
    tmp_path: Path, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OutputError("labels: damaged")

    monkeypatch.setattr("wsi_seg.results.polygons.polygon_export.vectorise", failing)
    (tmp_path / ".store.zarr.0123456789ab.partial" / "labels").mkdir(parents=True)  # of a run that was killed
    with pytest.raises(OutputError, match="labels: damaged"):
        export(result, tmp_path / "store.zarr")
    assert list(tmp_path.iterdir()) == []
