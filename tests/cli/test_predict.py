"""`wsi-seg predict` with several inputs, and with plain images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tifffile
from conftest import SCHEMA, damage_tile, tissue_rgb, write_model, write_tiff
from helpers.dicom_slides import Written, write_level
from helpers.dicoms import SEGMENTATION, copy_series, write_dicom
from helpers.drawn_tiffs import write_series
from helpers.qupath_projects import BIO_FORMATS, image, server, uri_of, write_project
from helpers.results import labels_of
from PIL import Image
from typer.testing import CliRunner, Result

from wsi_seg.cli.commands import app
from wsi_seg.errors import MppError, SlideError, UsageError, WsiSegError
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import save_bundle
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.predict import session
from wsi_seg.predict.predict_slide import predict_on
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.slides.slide import Slide


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)


def record(out: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((out / "batch.json").read_text())
    return stored


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.fromarray(tissue_rgb(40, 60)).save(path)
    return path


@pytest.fixture
def street_model(tmp_path: Path) -> Path:
    """A model of pictures, resized to 48 x 32."""
    config = ESPNetConfig(classes=len(SCHEMA), p=1, q=1)
    spec = InputSpec(channels="bgr", mean=(80, 80, 80), std=(40, 40, 40), scale=255, size=(48, 32))
    header = ModelHeader(name="street", architecture=architecture_of(config), classes=SCHEMA, input=spec)
    save_bundle(tmp_path / "street.safetensors", ESPNet(config), header)
    return tmp_path / "street.safetensors"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--mpp", 0.5), "--mpp"),
        (("--allow-coarser",), "--allow-coarser"),
        (("--tissue-mask",), "--tissue-mask"),
        (("--no-tissue-mask",), "--no-tissue-mask"),
        (("--roi", "no-such.geojson"), "--roi"),
        (("--confidence",), "--confidence"),
        (("--ngff", 0.4), "--ngff"),
        (("--ngff", 0.5), "--ngff"),
        (("--min-area", 400), "--min-area"),
        (("--simplify", 4), "--simplify"),
        (("--object-type", "detection"), "--object-type"),
        (("--gzip",), "--gzip"),
        (("--no-gzip",), "--no-gzip"),
        (("--include-background",), "--include-background"),
        (("--batch-size", 2), "--batch-size"),
        (("--patch", 512), "--patch"),
        (("--overlap", 192), "--overlap"),
        (("--workers", 1), "--workers"),
        (("--scheduler", "tcp://127.0.0.1:1"), "--scheduler"),
    ],
)
def test_what_means_nothing_for_a_plain_image_is_refused(
    picture: Path, street_model: Path, tmp_path: Path, given: tuple[object, ...], named: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=rf"^{named}: has no effect on a plain image such as street\.png: "):
        run(picture, "--model", street_model, "-o", out, *given)
    assert not out.exists()


def test_what_a_plain_image_goes_by_is_taken(picture: Path, street_model: Path, tmp_path: Path) -> None:
    by = ("--device", "cpu", "--precision", "float32", "--compile", "no", "--overwrite")
    done = run(picture, "--model", street_model, "-o", tmp_path / "out", *by)
    assert done.exit_code == 0
    assert "network plain" in done.stdout
    assert (tmp_path / "out" / "street" / "street_index.png").is_file()


def test_to_a_model_of_slides_a_picture_is_a_slide_whose_resolution_is_to_be_given(
    picture: Path, model_path: Path, street_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(MppError, match=r"street\.png: .*does not state its resolution: .* with --mpp"):
        run(picture, "--model", model_path, "-o", tmp_path / "out")
    with pytest.raises(MppError, match=r"street\.png: .* with --mpp"):
        run(picture, "--model", street_model, "--working-mpp", 2, "-o", tmp_path / "out")
    (tmp_path / "one.csv").write_text("slide,mpp\nstreet.png,2\n")
    assert run(tmp_path / "one.csv", "--model", model_path, "-o", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "street" / "slide.geojson.gz").is_file()


def test_a_pipeline_may_say_what_is_so_anyway(picture: Path, street_model: Path, tmp_path: Path) -> None:
    run_it = (picture, "--model", street_model, "-o", tmp_path / "out", "-q", "--pipeline")
    assert run(*run_it, "breast-biopsy").exit_code == 0
    own = tmp_path / "own.yaml"
    own.write_text("description: ours\npredict: {labels: {tissue_mask: true, patch: 512}}\n")
    with pytest.raises(UsageError, match=r"^predict\.labels\.patch in the pipeline: has no effect"):
        run(*run_it, own)


def test_a_pipeline_that_only_trains_is_refused(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    """Else the usual model would run, as if the pipeline had not been named."""
    for given in ((), ("--model", model_path)):
        with pytest.raises(
            UsageError, match=r"^--pipeline cityscapes: has settings for training only: .* name a model with"
        ):
            run(slide_path, "-o", tmp_path / "out", "--pipeline", "cityscapes", *given)
    assert not (tmp_path / "out").exists()


def test_half_precision_without_a_gpu_is_refused_before_a_folder_is_made(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    given = (slide_path, "--model", model_path, "-o", tmp_path / "out", "--device", "cpu")
    with pytest.raises(UsageError, match=r"^--precision float16 needs a GPU: use float32 or bfloat16$"):
        run(*given, "--precision", "float16")
    assert not (tmp_path / "out").exists()


def test_slides_and_pictures_with_options_for_slides_are_to_be_predicted_apart(
    picture: Path, slide_path: Path, street_model: Path, model_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(
        UsageError, match=r"--patch: .* street\.png: predict slides and plain images separately"
    ):
        run(slide_path, picture, "--patch", 192, "--model", street_model, "-o", out)
    (tmp_path / "both.csv").write_text(f"slide,mpp\n{slide_path},2\nstreet.png,2\n")
    with pytest.raises(UsageError, match=r"mpp in the CSV file: has no effect .* street\.png"):
        run(tmp_path / "both.csv", "--model", street_model, "-o", out)
    assert not out.exists()
    # To a model of slides both are slides.
    assert run(tmp_path / "both.csv", "--model", model_path, "-o", out).exit_code == 0
    assert [outcome["error"] for outcome in record(out)["outcomes"]] == [None, None]


def test_a_striped_tiff_is_no_picture_to_a_model_of_slides(
    model_path: Path, street_model: Path, tmp_path: Path
) -> None:
    striped = tmp_path / "striped.tif"
    tifffile.imwrite(striped, tissue_rgb(64, 64), rowsperstrip=16, photometric="rgb")
    with pytest.raises(SlideError, match=r"striped\.tif"):
        run(striped, "--model", model_path, "-o", tmp_path / "out")
    assert not list(tmp_path.glob("out/**/*.png"))
    assert run(striped, "--model", street_model, "-o", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "striped" / "striped_index.png").is_file()
    run(striped, "--model", street_model, "--working-mpp", 2, "--mpp", 2, "-o", tmp_path / "slides")
    assert (tmp_path / "slides" / "striped" / "slide.geojson.gz").is_file()


def test_options_are_named_as_they_are_given(slide_path: Path, tmp_path: Path) -> None:
    for option in ("--min-area", "--simplify", "--working-mpp", "--batch-size"):
        with pytest.raises(UsageError, match=f"^{option}: "):
            run(slide_path, option, "-1", "-o", tmp_path / "out")


def test_one_slide_in_several_places_is_done_once(model_path: Path, tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder / "x").mkdir(parents=True)
        write_tiff(tmp_path / folder / "x" / "s.tiff", tissue_rgb(200, 200, seed=ord(folder)))
    shutil.copy(tmp_path / "a" / "x" / "s.tiff", tmp_path / "copy.tiff")
    named = [tmp_path / name for name in ("a/x/s.tiff", "b/x/s.tiff", "b/../a/x/s.tiff", "copy.tiff")]
    out = tmp_path / "out"
    done = run(*named, "--model", model_path, "-o", out)
    assert done.exit_code == 0
    assert f"{named[3]}: the same slide as {named[0]}: its result is {out / 'a__x__s.tiff'}" in done.stderr
    assert "3 slides, 1 of them a copy, 0 with errors" in done.stdout
    assert [(o["status"], Path(str(o["result"])).name) for o in record(out)["outcomes"]] == [
        ("finished", "a__x__s.tiff"),
        ("finished", "b__x__s.tiff"),
        ("copy of a slide before it", "a__x__s.tiff"),
    ]
    named_so = ["a__x__s.tiff", "b__x__s.tiff", "batch.json", "report.html", "summary.csv"]
    assert sorted(path.name for path in out.iterdir()) == named_so


def test_a_copy_at_another_resolution_is_an_error(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(200, 200))
    shutil.copy(slide, tmp_path / "copy.tiff")
    (tmp_path / "slides.csv").write_text("slide,mpp\ns.tiff,2\ncopy.tiff,1\n")
    done = run(tmp_path / "slides.csv", "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "copy.tiff: the same slide as" in done.stderr
    assert "at 1 um per px, not at 2: give both the true resolution" in done.stderr


def test_what_is_given_for_one_of_two_copies_is_true_of_both(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(200, 200))
    shutil.copy(slide, tmp_path / "copy.tiff")
    (tmp_path / "slides.csv").write_text("slide,mpp\ns.tiff,1\ncopy.tiff,\n")
    done = run(tmp_path / "slides.csv", "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "copy.tiff: the same slide as" in done.stderr
    (tmp_path / "slides.csv").write_text("slide,mpp\ncopy.tiff,\ns.tiff,1\n")
    done = run(tmp_path / "slides.csv", "--model", model_path, "-o", tmp_path / "other")
    assert done.exit_code == 1
    assert "give both the true resolution, for example in a CSV file: slide,mpp" in done.stderr


def test_a_batch_survives_what_nobody_foresaw(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abc"):
        write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(200, 200, seed=number))
    clients = []

    def failing(client: Any, slide: Slide, *more: Any) -> object:
        clients.append(client)
        if slide.path.stem == "b":
            raise ZeroDivisionError("no room")
        return predict_on(client, slide, *more)

    monkeypatch.setattr(session, "predict_on", failing)
    out = tmp_path / "out"
    done = run(*(tmp_path / f"{name}.tiff" for name in "abc"), "--model", model_path, "-o", out)
    assert done.exit_code == 1
    kept = out / "b.traceback.txt"
    assert f"b.tiff: internal error (ZeroDivisionError: no room): please report it with {kept}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError: no room" in kept.read_text()
    outcomes = record(out)["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == ["finished", "failed", "finished"]
    assert outcomes[1]["result"] is None
    assert clients[0] is clients[1]
    assert clients[2] is not clients[1]
    monkeypatch.undo()
    assert (
        run(*(tmp_path / f"{name}.tiff" for name in "abc"), "--model", model_path, "-o", out).exit_code == 0
    )
    assert not kept.exists()


def test_an_interrupted_batch_leaves_its_record(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("ab"):
        write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(200, 200, seed=number))

    def interrupted(client: Any, slide: Slide, *more: Any) -> object:
        if slide.path.stem == "b":
            raise KeyboardInterrupt
        return predict_on(client, slide, *more)

    monkeypatch.setattr(session, "predict_on", interrupted)
    done = run(tmp_path / "a.tiff", tmp_path / "b.tiff", "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 130
    stored = record(tmp_path / "out")
    assert [outcome["status"] for outcome in stored["outcomes"]] == ["finished"]
    assert stored["waiting"] == [str(tmp_path / "b.tiff")]


def test_what_lies_beside_a_dicom_slide_is_no_failed_slide(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case 7"
    copy_series(shared_data, folder, "")
    seg = write_dicom(folder / "0.seg.dcm", SEGMENTATION)
    model = write_model(tmp_path / "model.safetensors")
    done = run(folder, "--model", model, "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert f"{seg}: DICOM, but a segmentation (SEG): skipped" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case 7"]


def test_dicom_slides_are_called_as_their_folders(model_path: Path, tmp_path: Path) -> None:
    """Their files have the same names: those that a converter gives."""
    for number, case in enumerate(("case-1", "case-2"), start=1):
        (tmp_path / case).mkdir()
        how = Written(series=f"1.2.{number}", number=number)
        write_level(tmp_path / case / "l0.dcm", tissue_rgb(256, 256, seed=number), how=how)
    result = run(
        tmp_path / "case-1", tmp_path / "case-2", "--model", model_path, "-o", tmp_path / "o", "--workers", 1
    )
    assert result.exit_code == 0, result.output
    assert "case-1: 1 region, 0.1 MP" in result.stderr
    assert "case-2: 1 region, 0.1 MP" in result.stderr
    assert "case-2: finished in " in result.stdout
    assert "l0.dcm" not in result.output
    for case in ("case-1", "case-2"):
        assert read_labels(tmp_path / "o" / case / "slide.ome.zarr").attributes["slide"] == case


def test_a_slide_may_be_named_by_a_link_to_where_its_other_files_are_not(
    shared_data: Path, tmp_path: Path
) -> None:
    """As archives keep files: named by content, with links that bear the names."""
    (tmp_path / "store").mkdir()
    shutil.copy(shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs", tmp_path / "store" / "0815")
    (tmp_path / "m.mrxs").symlink_to(tmp_path / "store" / "0815")
    (tmp_path / "m").symlink_to(shared_data / "slides" / "Mirax2-Fluorescence-2")
    model = write_model(tmp_path / "model.safetensors")
    done = run(tmp_path / "m.mrxs", "--model", model, "--working-mpp", 32, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "out" / "m" / "summary.json").read_text())["unprocessed_mm2"] == 0


def test_a_missing_slide_of_a_batch_is_one_line(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(WsiSegError, match="absent"):
        run(tmp_path / "absent.svs", "--model", model_path, "-o", tmp_path / "out")
    done = run(tmp_path / "absent.svs", slide_path, "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert [(o["status"], o["result"] is None) for o in record(tmp_path / "out")["outcomes"]] == [
        ("failed", True),
        ("finished", False),
    ]


def test_a_slide_that_differs_in_a_tile_is_no_copy(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "m1.tiff", tissue_rgb(500, 700), levels=2)
    other = damage_tile(Path(shutil.copy(slide, tmp_path / "m2.tiff")), 8)
    with Slide(slide) as one, Slide(other) as two:
        assert one.fingerprint == two.fingerprint
    done = run(slide, other, "--model", model_path, "-o", tmp_path / "out")
    assert "the same slide" not in done.stderr
    assert f"{other}: 1 tile could not be decoded" in done.stderr
    assert done.exit_code == 1
    assert [Path(str(o["result"])).name for o in record(tmp_path / "out")["outcomes"]] == ["m1", "m2"]


def test_a_projects_images_are_a_batch(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    silent = write_tiff(tmp_path / "silent.tiff", tissue_rgb(500, 700, seed=1), mpp=None)
    turned = {"builderType": "rotated", "rotation": "ROTATE_90", "builder": server(uri_of(slide_path))}
    project = write_project(
        tmp_path / "project.qpproj",
        image("Case 1", server(uri_of(slide_path), (700, 500), 2.0), 1),
        image("Turned", turned, 2),
        image("On a server", server("https://example.org/a.svs"), 3),
        image("Gone", server("file:/nowhere/gone.svs"), 4),
        image("Case 2", server(uri_of(silent), (700, 500), 2.0), 5),
        image("Exchanged", server(uri_of(silent.rename(tmp_path / "moved.tiff")), (700, 501), 2.0), 6),
    )
    shutil.copy(tmp_path / "moved.tiff", silent)
    done = run(project, "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    results = [path.name for path in sorted((tmp_path / "out").iterdir()) if path.is_dir()]
    assert results == ["Case 1", "Case 2"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("wsi-seg: ")]
    assert [line.split(": ")[2] for line in errors] == ["'Turned'", "'On a server'", "'Gone'", "'Exchanged'"]
    assert f"{project}: 'Case 2': 2 um per px, as set in QuPath" in done.stderr
    stored = record(tmp_path / "out")["outcomes"]
    assert [o["status"] for o in stored] == ["finished", "failed", "failed", "failed", "finished", "failed"]
    assert [o["slide"] for o in stored[1:4]] == [
        str(project / "Turned"),
        str(project / "On a server"),
        "/nowhere/gone.svs",
    ]


def test_one_image_that_cannot_be_taken_is_an_error(model_path: Path, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project.qpproj", image("Gone", server("file:/nowhere/gone.svs")))
    with pytest.raises(SlideError, match=r"project\.qpproj: 'Gone': /nowhere/gone\.svs: no such file: open"):
        run(project, "--model", model_path, "-o", tmp_path / "out")


def test_a_projects_images_may_be_of_one_file(model_path: Path, tmp_path: Path) -> None:
    sizes = ((500, 700), (300, 400))
    slide = write_series(
        tmp_path / "two.ome.tif", {f"Image{i}": tissue_rgb(*size) for i, size in enumerate(sizes)}
    )
    images = [
        image(f"Image{i}", server(uri_of(slide), size[::-1], 0.5, ("--series", str(i)), BIO_FORMATS), i + 1)
        for i, size in enumerate(sizes)
    ]
    project = write_project(tmp_path / "project.qpproj", *images)
    done = run(project, "--model", model_path, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert [labels_of(tmp_path / "out" / f"Image{i}").shape for i in range(2)] == [(125, 175), (75, 100)]
