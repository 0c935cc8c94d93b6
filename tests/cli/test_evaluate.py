"""`wsi-seg evaluate` as users meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA, tissue_rgb, write_model, write_tiff
from helpers.drawn import write_boxes
from helpers.pictures import save
from helpers.program import Program
from helpers.qupath_projects import write_project_of

from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

TUMOUR = ("Tumour", (100.0, 60.0, 340.0, 260.0))


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(capsys, monkeypatch, ("evaluate",))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_boxes(tmp_path_factory.mktemp("drawn") / "drawn.geojson", TUMOUR)


@pytest.fixture(scope="module")
def result(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "tissue"
    labels = LabelSettings(region_cores=1)
    predict_slide(
        slide_path, out, PredictSettings(model=str(model_path), labels=labels, run=RunSettings(workers=1))
    )
    return out


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    folder = tmp_path / "tiles"
    for name, seed in (("a", 1), ("b", 2)):
        save(folder / "val" / "images" / f"{name}.png", tissue_rgb(64, 80, seed))
        values = np.random.default_rng(seed).choice([0, 1, 2, 255], (64, 80)).astype(np.uint8)
        save(folder / "val" / "masks" / f"{name}.png", values)
    return folder


def test_a_model_and_a_result_print_the_same(
    evaluate: Program, slide_path: Path, drawn: Path, model_path: Path, result: Path, tmp_path: Path
) -> None:
    scores = [tmp_path / "model.json", tmp_path / "deep" / "result.json"]
    anew = evaluate(model_path, slide_path, drawn, "--rest", "Stroma", "--json", scores[0])
    finished = evaluate(result, drawn, "--rest", "Stroma", "--json", scores[1], "--quiet")
    assert (anew.code, finished.code) == (0, 0)
    assert anew.out.splitlines()[1:] == finished.out.splitlines()[1:]
    assert "mean IoU" in anew.out
    assert "1 region, " in anew.err
    assert finished.err == ""
    contents = [json.loads(path.read_text()) for path in scores]
    assert contents[0]["confusion"] == contents[1]["confusion"]
    assert contents[0]["command"].startswith("wsi-seg evaluate ")
    assert len(contents[0]["model_fingerprint"]) == 64


def test_a_csv_and_a_model_by_its_own_resolution(
    evaluate: Program, slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "slides.csv").write_text(f"slide,annotations\n{slide_path},{drawn}\n")
    plain = evaluate(model_path, tmp_path / "slides.csv", "-q")
    coarse = evaluate(model_path, tmp_path / "slides.csv", "-q", "--working-mpp", "4")
    assert (plain.code, coarse.code) == (0, 0)
    assert "48000 pixels of known class" in plain.out
    assert "12000 pixels of known class" in coarse.out


def test_images_take_the_models_classes_where_they_have_none(
    evaluate: Program, tiles: Path, model_path: Path, tmp_path: Path
) -> None:
    ended = evaluate(model_path, tiles, "--json", tmp_path / "scores.json")
    assert ended.code == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert [c["name"] for c in content["classes"]] == [c.name for c in SCHEMA.classes]
    assert [source["name"] for source in content["sources"]] == ["a", "b"]
    assert "2 images, 0.0 MP" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("MODEL", "nowhere"), 1, "nowhere: does not exist: give a data set's folder"),
        (("MODEL", "SLIDE"), 2, "a slide without its annotations: give SLIDE ANNOTATIONS"),
        (("MODEL", "SLIDE", "DRAWN", "--split", "val"), 2, "--split: has no effect on slides"),
        (("MODEL", "TILES", "--rest", "Stroma"), 2, "--rest: has no effect on images with masks"),
        (("RESULT", "DRAWN", "--mpp", "1"), 2, "--mpp: has no effect on finished results"),
        (
            ("RESULT", "DRAWN", "--device", "cpu", "--precision", "float32", "--compile", "no"),
            2,
            "--device, --precision, --compile: has no effect on finished results: leave it out",
        ),
        (("MODEL", "TILES", "--split", "test"), 2, "tiles: has no split 'test'"),
        (("MODEL", "TILES", "--submission", "out"), 2, "no server takes submissions for tiles"),
        (("MODEL", "TILES", "--precision", "int8"), 2, "--precision: input should be 'float32'"),
        (("MODEL", "TILES", "--device", "tpu"), 2, "no device named 'tpu'"),
        (("MODEL", "TILES", "--classes", "no-such"), 2, "no class schema named 'no-such'"),
        (
            ("MODEL", "TILES", "--classes", "voc"),
            2,
            "its classes (Glass, Stroma, Tumour) lack 'background', ",
        ),
        (("MODEL", "SLIDE", "DRAWN", "--classes", "voc"), 1, "classes that 'voc' lacks: 'Tumour'"),
        (("MODEL", "SLIDE", "DRAWN", "--rest", "Fat"), 2, "--rest 'Fat': 'three' has no such class"),
        (("MODEL", "SLIDE", "DRAWN", "--working-mpp", "-1"), 2, "--working-mpp: input should be greater"),
        (("MODEL", "SLIDE", "DRAWN", "--working-mpp", "1"), 1, "2 um per px is coarser than"),
        (("MODEL", "SLIDE", "SLIDE"), 1, "tissue.tiff: "),
        (("RESULT", "DRAWN", "RESULT"), 2, "give RESULT ANNOTATIONS for each result"),
        (("RESULT", "SLIDE"), 1, "tissue.tiff: "),
        (("RESULT", "nowhere.geojson"), 1, "nowhere.geojson: cannot be read"),
        (("DRAWN", "SLIDE", "DRAWN"), 1, "drawn.geojson: not a model file"),
        (("TILES", "SLIDE", "DRAWN"), 1, "tiles: is a folder"),
        (("no-model", "TILES"), 1, "no-model: no such model"),
        (("RESULT", "DRAWN", "--json", "DRAWN/scores.json"), 1, "scores.json: cannot be written"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    evaluate: Program,
    slide_path: Path,
    drawn: Path,
    model_path: Path,
    result: Path,
    tiles: Path,
    arguments: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    stands_for = {"MODEL": model_path, "SLIDE": slide_path, "DRAWN": drawn, "RESULT": result, "TILES": tiles}
    paths = []
    for argument in arguments:
        first, slash, rest = argument.partition("/")
        paths.append(f"{stands_for.get(first, first)}{slash}{rest}")
    ended = evaluate(*paths)
    assert told in ended.line
    assert ended.code == code
    assert ended.out == ""


def test_a_slide_without_resolution_wants_it(
    evaluate: Program, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    slide = write_tiff(tmp_path / "plain.tiff", tissue_rgb(300, 400), mpp=None)
    assert (
        "plain.tiff: the file does not state its resolution: give the true resolution with --mpp"
        in evaluate(model_path, slide, drawn).line
    )
    assert evaluate(model_path, slide, drawn, "--mpp", "2").code == 0


def test_a_result_with_a_damaged_file_is_not_scored(
    evaluate: Program, result: Path, drawn: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "tissue"
    shutil.copytree(result, copy)
    shard = copy / "slide.ome.zarr/labels/tissue/0/c/0/0"
    shard.write_bytes(b"")
    ended = evaluate(copy, drawn)
    assert (ended.code, f"{shard}: empty: " in ended.line) == (1, True)


def test_the_file_that_is_named_is_scored_whatever_lies_beside_it(
    evaluate: Program, result: Path, slide_path: Path, drawn: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "tumour.safetensors", constant=2)
    predict_slide(slide_path, tmp_path / "b", PredictSettings(model=str(model), run=RunSettings(workers=1)))
    alone = tmp_path / "alone"
    shutil.copytree(result / "slide.ome.zarr", alone / "a.ome.zarr")
    shutil.copytree(tmp_path / "b/slide.ome.zarr", alone / "slide.ome.zarr")
    a, b = (evaluate(folder, drawn).out.splitlines() for folder in (result, tmp_path / "b"))
    assert a[1:] != b[1:]
    assert evaluate(alone / "a.ome.zarr", drawn).out.splitlines()[1:] == a[1:]
    assert evaluate(alone / "slide.ome.zarr", drawn).out.splitlines()[1:] == b[1:]
    both = evaluate(alone / "a.ome.zarr", drawn, alone / "slide.ome.zarr", drawn)
    assert "a.ome.zarr, alone" in both.out + both.err
    ended = evaluate(alone / "a.ome.zarr", drawn, "--rest", "Stroma")
    assert (ended.code, "a.ome.zarr: has no tissue mask" in ended.line) == (2, True)


def test_a_project_and_its_outlines_are_scored_as_its_slides_are(
    evaluate: Program, slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "outlines").mkdir()
    shutil.copy(drawn, tmp_path / "outlines" / f"{slide_path.stem}.geojson")
    project = write_project_of(tmp_path / "project.qpproj", slide_path, tmp_path / "other.svs")
    scored = evaluate(model_path, project, tmp_path / "outlines", "--rest", "Stroma", "-q")
    pair = evaluate(model_path, slide_path, drawn, "--rest", "Stroma", "-q")
    assert (scored.code, pair.code) == (0, 0)
    left_out = f"{project}: 1 image without outlines: other.svs"
    assert left_out in scored.out
    assert scored.out.replace(f"\n{left_out}\n", "") == pair.out
    alone = evaluate(model_path, project)
    assert alone.code == 2
    assert f"{project}: a QuPath project without its outlines: give their folder" in alone.line
