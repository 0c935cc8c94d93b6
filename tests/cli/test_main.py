"""The program as a user meets it: help, errors, exit codes."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import SCHEMA, damage_tile, tissue_rgb, write_model, write_tiff
from helpers.drawn_tiffs import PLANES, write
from PIL import Image

from wsi_seg.cli.main import main
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import InputSpec, ModelHeader, save_bundle
from wsi_seg.models.espnet import ESPNet, ESPNetConfig
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Status


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that an error is."""
        lines = [line for line in self.err.splitlines() if line.startswith("wsi-seg: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def _run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["wsi-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return _run


@pytest.fixture
def predict(run, model_path: Path, tmp_path: Path):
    def _predict(*arguments: object) -> Ended:
        return run("predict", *arguments, "--model", model_path, "-o", tmp_path / "results", "--workers", 1)

    return _predict


def test_help_needs_no_heavy_imports() -> None:
    code = (
        "import sys; sys.argv = ['wsi-seg', 'predict', '--help']\n"
        "from wsi_seg.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'distributed', 'rasterio', 'zarr', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "wsi-seg predict slide.svs" in done.stdout


@pytest.mark.parametrize("command", [["predict", "a.svs"], ["train", "a.svs", "a.geojson", "-o", "out"]])
def test_a_missing_file_is_named_before_pytorch_is_imported(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from wsi_seg.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode in (1, 2)
    assert "a.svs" in done.stderr
    assert "no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_matplotlib_has_no_lines_of_its_own_where_home_cannot_be_written() -> None:
    code = (
        "import sys; sys.argv = ['wsi-seg', '--help']\n"
        "from wsi_seg.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: import matplotlib"
    )
    closed = {**os.environ, "MPLCONFIGDIR": os.devnull}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=closed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["predict", "info", "export", "check", "doctor", "models", "demo"])
def test_every_command_explains_itself(run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert command in ended.out


def test_help_says_what_a_browser_needs_to_read_shards(run) -> None:
    words = " ".join(run("predict", "--help").out.replace("│", " ").split())
    assert "A browser reads 0.5 only from a server that supports Range requests" in words


def test_doctor_finds_this_installation_well(run) -> None:
    ended = run("doctor")
    assert "torch" in ended.out
    assert "openslide" in ended.out


def test_predict_then_export_then_check(predict, run, slide_path: Path, tmp_path: Path) -> None:
    ended = predict(slide_path)
    assert ended.code == 0, ended.err
    assert "mm2" in ended.out
    result = tmp_path / "results" / "tissue"
    ended = run("export", result, "--simplify", 0, "--no-gzip", "-o", tmp_path / "exact.geojson")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "exact.geojson").read_text())["features"]
    assert run("export", result, "--simplify", 4).code == 0
    ended = run("check", result, result / "slide.ome.zarr", "--json")
    assert (ended.code, [json.loads(line)["ok"] for line in ended.out.splitlines()]) == (0, [True, True])
    ended = run("export", result, "--format", "csv")
    assert ended.code == 0, ended.err
    assert len(list(csv.reader((result / "slide.csv").read_text().splitlines()))) > 2
    assert run("check", tmp_path / "exact.geojson", result / "slide.geojson.gz").code == 0


def test_an_export_is_as_the_results_own_polygons_unless_asked_otherwise(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    asked = ("--min-area", 4000, "--simplify", 8, "--include-background", "--object-type", "detection")
    predict(slide_path, *asked, "--no-gzip")
    result = tmp_path / "results" / "tissue"
    own = (result / "slide.geojson").read_bytes()
    moved = (result / "summary.json").rename(tmp_path / "summary.json")  # then the record has it
    assert run("export", result, "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() == own
    moved.rename(result / "summary.json")
    ended = run("export", result)
    assert (ended.code, "islands from 4000 um2" in ended.out) == (0, True)
    assert (result / "slide.geojson").read_bytes() == own
    assert run("export", result, "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() == own
    assert run("export", result, "--no-include-background", "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() != own


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", (), "is a folder: name a file, such as"),
        ("a.txt", (), "not a name for polygons in this format: QuPath reads .geojson and .geojson.gz"),
        ("a.geojson", ("--format", "csv"), "not a name for polygons in this format: it must end in .csv"),
    ],
)
def test_an_export_is_called_what_it_is(
    predict, run, slide_path: Path, tmp_path: Path, name: str, options: tuple[str, ...], words: str
) -> None:
    predict(slide_path)
    (tmp_path / "new").mkdir()
    ended = run("export", tmp_path / "results" / "tissue", "-o", tmp_path / "new" / name, *options)
    assert (ended.code, words in ended.line) == (2, True)
    assert list((tmp_path / "new").iterdir()) == []


def test_labels_with_a_hole_are_exported_from_nowhere(predict, run, slide_path: Path, tmp_path: Path) -> None:
    predict(slide_path)
    result, alone = tmp_path / "results" / "tissue", tmp_path / "copy.ome.zarr"
    shutil.copytree(result / "slide.ome.zarr", alone)
    assert run("export", alone, "-o", tmp_path / "whole.geojson").code == 0
    for zarr in (alone, result / "slide.ome.zarr"):
        shard = zarr / "labels/tissue/0/c/0/0"
        shard.unlink()
        ended = run("export", zarr, "-o", tmp_path / "hole.geojson")
        assert (ended.code, f"{shard}: missing: " in ended.line) == (1, True)
    assert not (tmp_path / "hole.geojson").exists()
    ended = run("check", result)
    assert ended.code == 1
    assert f"  fault: {result}/slide.ome.zarr/labels/tissue/0/c/0/0: missing" in ended.out


def test_an_export_writes_over_no_other_results_files(predict, run, slide_path: Path, tmp_path: Path) -> None:
    predict(slide_path)
    result, alone = tmp_path / "results" / "tissue", tmp_path / "results" / "tissue" / "b.ome.zarr"
    shutil.copytree(result / "slide.ome.zarr", alone)
    before = {path: path.read_bytes() for path in result.rglob("*") if path.is_file()}
    ended = run("export", alone, "--simplify", 9)
    assert (ended.code, f"{alone}: is not the slide.ome.zarr of a result folder" in ended.line) == (2, True)
    own = result / "slide.geojson.gz"
    ended = run("export", alone, "--simplify", 9, "-o", own)
    assert (ended.code, f"{own}: is another result's own" in ended.line) == (2, True)
    for source, name in ((alone, "summary.csv"), (result, "summary.csv"), (result, own.name)):
        assert run("export", source, "--format", "csv", "-o", result / name).code == 2
    assert {path: path.read_bytes() for path in result.rglob("*") if path.is_file()} == before
    assert run("export", alone, "-o", tmp_path / "b.geojson").code == 0


def test_a_batch_has_all_of_its_results_in_the_folder_as_it_is_now(predict, run, tmp_path: Path) -> None:
    slides, results = tmp_path / "slides", tmp_path / "results"
    slides.mkdir()
    write_tiff(slides / "a.tiff", tissue_rgb(200, 300))
    (slides / "b.tiff").write_bytes((slides / "a.tiff").read_bytes()[:3000])
    assert predict(slides).code == 1
    assert f"fault: {slides}/b.tiff: failed" in run("check", results).out
    write_tiff(slides / "b.tiff", tissue_rgb(200, 300, 7))
    assert predict(slides / "b.tiff").code == 0
    moved = results.rename(tmp_path / "moved")
    ended = run("check", moved)
    assert (ended.code, "every slide has its result" in ended.out) == (0, True)
    for name in (".wsi-seg", "slide.ome.zarr"):
        shutil.rmtree(moved / "a" / name)
    ended = run("check", moved)
    assert (
        ended.code,
        f"fault: {moved}/a: missing or damaged, the result of {slides}/a.tiff" in ended.out,
    ) == (1, True)
    shutil.rmtree(moved / "b")
    assert f"{slides}/b.tiff: failed" in run("check", moved).out


def test_a_slide_that_failed_for_an_older_result_stays_failed(predict, run, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(200, 300, seed))
    assert predict(tmp_path / "a.tiff", "--working-mpp", 4).code == 0
    assert predict(tmp_path / "a.tiff", tmp_path / "b.tiff").code == 1
    assert "a.tiff: failed" in run("check", tmp_path / "results").out


def test_an_export_goes_by_its_name_and_a_run_makes_its_own_again(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    for name in ("plain.geojson", "packed.geojson.gz"):
        assert run("export", result, "-o", tmp_path / name).code == 0
        assert run("check", tmp_path / name).code == 0
    polygons = (result / "slide.geojson.gz").read_bytes()
    assert run("export", result, "--simplify", 0).code == 0
    assert (result / "slide.geojson.gz").read_bytes() != polygons
    assert "making polygons again" in predict(slide_path).err
    assert (result / "slide.geojson.gz").read_bytes() == polygons
    ended = run("export", result, "-o", tmp_path / "other.geojson", "--gzip")
    assert (ended.code, "other.geojson" in ended.line) == (2, True)
    assert not (tmp_path / "other.geojson").exists()


def test_the_summary_counts_the_polygons_that_lie_beside_it(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    summary = json.loads((result / "summary.json").read_text())
    assert run("export", result, "--min-area", 0, "-o", tmp_path / "elsewhere.geojson").code == 0
    assert json.loads((result / "summary.json").read_text()) == summary
    ended = run("export", result, "--min-area", 0, "--no-gzip")
    shapes = json.loads((result / "slide.geojson").read_text())["features"]
    assert f"{len(shapes)} shapes" in ended.out
    told = json.loads((result / "summary.json").read_text())
    assert told["polygons"] == len(shapes) > summary["polygons"]
    assert sum(c["polygons"] for c in told["classes"]) == len(shapes)
    assert told["settings"]["export"]["min_area_um2"] == 0
    rows = list(csv.DictReader((result / "summary.csv").read_text().splitlines()))
    assert sum(int(row["polygons"] or 0) for row in rows) == len(shapes)
    (result / "summary.json").write_text("{}")
    ended = run("export", result, "--no-gzip")
    assert (ended.code, "summary.json: damaged (slide: field required): delete it" in ended.line) == (1, True)


def test_a_csv_follows_the_polygons_beside_it(predict, run, slide_path: Path, tmp_path: Path) -> None:
    predict(slide_path, "--min-area", 40, "--simplify", 5, "--no-gzip")
    result = tmp_path / "results" / "tissue"
    shapes = json.loads((result / "slide.geojson").read_text())["features"]

    assert run("export", result, "--format", "csv").code == 0
    rows = list(csv.DictReader((result / "slide.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [shape["id"] for shape in shapes]

    assert run("export", result, "--format", "csv", "--min-area", 2000).code == 0
    rows = list(csv.DictReader((result / "slide.csv").read_text().splitlines()))
    assert 0 < len(rows) < len(shapes)
    assert all(float(row["label_area_um2"]) >= 2000 for row in rows)


def test_the_tolerance_used_and_classes_without_polygons_are_told(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    ended = predict(slide_path, "--simplify", 10)
    assert "8 um, the next step below the 10 um asked for" in ended.out
    assert "mm2 by pixels     share  polygons  mm2 outlined" in ended.out
    assert "islands below 400 um2 are merged into their neighbours (--min-area)" in ended.out
    result = tmp_path / "results" / "tissue"
    summary = json.loads((result / "summary.json").read_text())
    assert summary["simplify"] == {"asked_um": pytest.approx(10), "used_um": pytest.approx(8)}

    assert run("export", result, "--min-area", 90_000).code == 0
    told = json.loads((result / "summary.json").read_text())
    gone = [c for c in told["classes"] if c["mm2"] > 0 and c["polygons"] == 0 and c["share"] is not None]
    assert gone
    assert all(c["no_polygons"] == "all of its islands are smaller than --min-area" for c in gone)
    assert all((c["outlined_mm2"], c["sieved_mm2"]) == (0, 0) for c in gone)
    rows = list(csv.DictReader((result / "summary.csv").read_text().splitlines()))
    assert {r["class"] for r in rows if "smaller" in r["no_polygons"]} >= {c["name"] for c in gone}


def test_one_set_of_polygons_lies_in_a_result(predict, run, slide_path: Path, tmp_path: Path) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    assert run("export", result, "--no-gzip").code == 0
    assert [p.name for p in result.glob("slide.geojson*")] == ["slide.geojson"]
    assert run("export", result, "-o", tmp_path / "elsewhere.geojson.gz").code == 0
    assert [p.name for p in result.glob("slide.geojson*")] == ["slide.geojson"]


def test_a_summary_of_an_older_version_is_read_and_brought_up_to_date(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    path = tmp_path / "results" / "tissue" / "summary.json"
    summary = json.loads(path.read_text())
    old = {key: value for key, value in summary.items() if key != "simplify"}
    old["classes"] = [
        {key: c[key] for key in ("id", "name", "mm2", "share", "polygons")} for c in summary["classes"]
    ]
    path.write_text(json.dumps(old))
    folder = ResultFolder(path.parent)
    folder.write_record(folder.read_record().model_copy(update={"files": None}))  # nor had it digests
    assert predict(slide_path).code == 0
    assert json.loads(path.read_text()) == old
    assert run("export", path.parent).code == 0
    assert json.loads(path.read_text()) == summary


def test_info_as_text_and_as_json(run, slide_path: Path) -> None:
    ended = run("info", slide_path)
    assert ended.code == 0
    assert "700 x 500 px" in ended.out
    described = json.loads(run("info", slide_path, "--json").out)[0]
    assert described["mpp"] == pytest.approx([2.0, 2.0])
    assert described["mpp_source"] == "its resolution tags"
    assert described["read_with"].startswith("OpenSlide ")
    assert described["levels"][0]["tile"] == [128, 128]
    assert json.loads(run("info", slide_path.parent, "--json").out) == [described]
    (slide_path.parent / "empty").mkdir()
    line = run("info", slide_path.parent / "empty").line
    assert (
        "no slide in this folder: name slide files, or a folder that holds some; subfolders are not searched"
        in line
    )


def test_info_says_how_a_slide_is_read_and_what_is_wrong_with_its_resolution(run, tmp_path: Path) -> None:
    dots = {"resolution": (300, 300), "resolutionunit": "INCH"}
    ended = run("info", write(tmp_path / "planes.tiff", PLANES, metadata={"axes": "CYX"}, **dots))
    assert ended.code == 0
    assert re.search(
        r"^  format      generic-tiff, read with tifffile .*: RGB in planes, 8 bits; OpenSlide would show",
        ended.out,
        re.MULTILINE,
    )
    assert (
        "  resolution  not usable: states 84.67 um per px in its resolution tags: that is 300 dpi"
        in ended.out
    )


def test_bad_slides_are_named_with_the_remedy(predict, shared_data: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.svs"
    text.write_text("hello")
    truncated = tmp_path / "truncated.svs"
    truncated.write_bytes((shared_data / "slides" / "CMU-1-Small-Region.svs").read_bytes()[:900_000])
    for path in (tmp_path / "missing.svs", text, truncated, shared_data / "slides" / "broken.svs"):
        ended = predict(path)
        assert ended.code == 1
        assert path.name in ended.line
    ended = predict(shared_data / "slides" / "no_mpp.svs")
    assert ended.code == 1
    assert "--mpp" in ended.line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mpp", "0"],
        ["--mpp", "-3"],
        ["--mpp", "5000"],
        ["--working-mpp", "0.01"],
        ["--patch", "1000"],
        ["--overlap", "37"],
        ["--device", "tpu"],
        ["--precision", "int4"],
        ["--batch-size", "many"],
        ["--batch-size", "0"],
        ["--workers", "0"],
        ["--ngff", "0.3"],
        ["--min-area", "-1"],
        ["--simplify", "nan"],
        ["--object-type", "cell"],
        ["--model", "no-such-model"],
        ["--pipeline", "no-such-pipeline"],
        ["--roi", "no-such.geojson"],
        ["--no-such-option"],
    ],
)
def test_bad_options_end_in_one_line(run, slide_path: Path, tmp_path: Path, arguments: list[str]) -> None:
    ended = run("predict", slide_path, "-o", tmp_path / "out", "--workers", 1, *arguments)
    assert ended.code in (1, 2)
    assert "Traceback" not in ended.err
    assert "internal error" not in ended.err
    assert not (tmp_path / "out" / "tissue" / "summary.json").exists()


def test_a_pickle_posing_as_a_model_is_refused_unopened(
    predict, run, slide_path: Path, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    fake = tmp_path / "fake.safetensors"
    fake.write_bytes(pickle.dumps(Bomb()))
    ended = run("predict", slide_path, "--model", fake, "-o", tmp_path / "out")
    assert ended.code == 1
    assert "fake.safetensors" in ended.line
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_model_is_refused(run, slide_path: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors")
    content = bytearray(model.read_bytes())
    content[-100] ^= 0xFF
    model.write_bytes(content)
    ended = run("predict", slide_path, "--model", model, "-o", tmp_path / "out")
    assert ended.code == 1
    assert "model.safetensors" in ended.line


def test_a_model_for_street_images_is_refused_for_slides(run, slide_path: Path, tmp_path: Path) -> None:
    network, header = new_street_model()
    save_bundle(tmp_path / "street.safetensors", network, header)
    ended = run("predict", slide_path, "--model", tmp_path / "street.safetensors", "-o", tmp_path / "out")
    assert ended.code == 1
    assert "not a model for slides" in ended.line
    image = tmp_path / "street.png"
    Image.fromarray(tissue_rgb(60, 90)).save(image)
    ended = run("predict", image, "--model", tmp_path / "street.safetensors", "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    written = sorted(p.name for p in (tmp_path / "out" / "street").iterdir())
    assert written == [f"street_{kind}.png" for kind in ("color", "index", "index_48x32", "overlay")]
    assert re.search(r"^  network (plain|compiled): .* \(float32\)$", ended.out, re.MULTILINE)


def new_street_model():
    config = ESPNetConfig(classes=len(SCHEMA), p=1, q=1)
    spec = InputSpec(channels="bgr", mean=(80, 80, 80), std=(40, 40, 40), scale=255, size=(48, 32))
    architecture = architecture_of(config)
    return ESPNet(config), ModelHeader(name="street", architecture=architecture, classes=SCHEMA, input=spec)


def test_one_bad_slide_is_recorded_and_the_rest_goes_on(predict, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    write_tiff(folder / "a.tiff", tissue_rgb(200, 200))
    (folder / "b.svs").write_text("not a slide")
    write_tiff(folder / "c.tiff", tissue_rgb(200, 200, seed=1))
    ended = predict(folder)
    assert ended.code == 1
    assert "b.svs" in ended.line
    outcomes = json.loads((tmp_path / "results" / "batch.json").read_text())["outcomes"]
    assert [Path(o["slide"]).name for o in outcomes] == ["a.tiff", "b.svs", "c.tiff"]
    assert [o["error"] is None for o in outcomes] == [True, False, True]
    for name in "ac":
        assert (tmp_path / "results" / name / "summary.json").exists()


def test_a_csv_gives_each_slide_its_resolution(predict, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tiff", tissue_rgb(200, 200), mpp=None)
    write_tiff(tmp_path / "b.tiff", tissue_rgb(200, 200))
    (tmp_path / "slides.csv").write_text("slide,mpp\na.tiff,1.0\nb.tiff,\n")
    ended = predict(tmp_path / "slides.csv")
    assert ended.code == 0, ended.err
    sizes = {
        name: json.loads((tmp_path / "results" / name / "summary.json").read_text())["label_size"]
        for name in "ab"
    }
    assert sizes == {"a": [100, 100], "b": [200, 200]}
    (tmp_path / "slides.csv").write_text("slide,mpp\na.tiff,fine\n")
    assert "line 2" in predict(tmp_path / "slides.csv").line


def test_quiet_says_nothing(predict, slide_path: Path) -> None:
    ended = predict(slide_path, "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_damaged_tile_is_reported_and_the_exit_code_says_so(predict, tmp_path: Path) -> None:
    path = damage_tile(write_tiff(tmp_path / "damaged.tiff", tissue_rgb(512, 768)), 8)
    ended = predict(path)
    assert ended.code == 1
    assert "1 tile could not be decoded" in ended.line
    summary = json.loads((tmp_path / "results" / "damaged" / "summary.json").read_text())
    assert summary["unprocessed_mm2"] == pytest.approx(128 * 128 * 4e-6)
    assert summary["status"] == Status.PARTLY_UNREADABLE
