"""`wsi-seg suggest` as users meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_model, write_tiff
from helpers.drawn import write_boxes
from helpers.program import Program
from PIL import Image

from wsi_seg.cli.suggest import command_after
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.results.qupath.geojson_check import check_file

WINDOW = "240"
"""um: 120 px, of which five by four fit on the slide of 700 x 500 px."""


@pytest.fixture
def suggest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    monkeypatch.chdir(tmp_path)
    return Program(capsys, monkeypatch, before=("suggest",))


def boxes(path: Path) -> list[tuple[float, ...]]:
    """Return the windows of a file, in its order."""
    features = json.loads(path.read_text())["features"]
    rings = [np.array(feature["geometry"]["coordinates"][0]) for feature in features]
    return [(*ring.min(axis=0), *ring.max(axis=0)) for ring in rings]


def named(path: Path) -> list[dict[str, Any]]:
    return [feature["properties"] for feature in json.loads(path.read_text())["features"]]


def test_windows_open_in_qupath_and_are_the_same_again(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    given = (slide_path, "--model", model_path, "--window-um", WINDOW, "--windows", 4)
    ended = suggest(*given)
    written = tmp_path / "next.geojson"
    assert ended.code == 0, ended.err
    assert "4 windows of 240 um to outline next:" in ended.out
    report = check_file(written)
    assert report.ok
    assert not report.counts  # nor warnings
    assert report.classes == {"Region*": 4}
    found = boxes(written)
    assert all((x1 - x0, y1 - y0) == (120, 120) and x1 <= 700 and y1 <= 500 for x0, y0, x1, y1 in found)
    assert len(set(found)) == 4
    for rank, properties in enumerate(named(written), start=1):
        assert properties["name"].startswith(f"{rank}: ")
        assert properties["name"].removeprefix(f"{rank}: ") in ended.out
        assert properties["isLocked"] is True
    before = written.read_bytes()
    assert suggest(*given).code == 0  # over its own file
    assert written.read_bytes() == before


def test_what_is_outlined_is_not_suggested_again(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    given = (slide_path, "--model", model_path, "--window-um", WINDOW, "--windows", 6)
    assert suggest(*given, "-o", "first.geojson").code == 0
    assert suggest(*given, "-o", "second.geojson", "--outlines", "first.geojson").code == 0
    first, second = boxes(tmp_path / "first.geojson"), boxes(tmp_path / "second.geojson")
    assert len(first) == len(second) == 6
    assert not set(first) & set(second)
    every = write_boxes(tmp_path / "all.geojson", ("Tumour", (0, 0, 700, 500)))
    ended = suggest(*given, "-o", "third.geojson", "--outlines", every)
    assert ended.code == 1
    assert ended.line == (
        f"wsi-seg: {slide_path}: all tissue is outlined already, or lies close to outlines: name other slides"
    )
    assert not (tmp_path / "third.geojson").exists()


def test_tissue_between_outlines_wants_smaller_windows(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    """Each window of the usual size meets an outline, though much tissue is left between them."""
    strips = [("Tumour", (0, top, 700, bottom)) for top, bottom in ((0, 125), (195, 365), (435, 500))]
    drawn = write_boxes(tmp_path / "drawn.geojson", *strips)
    given = (slide_path, "--model", model_path, "--outlines", drawn)
    ended = suggest(*given, "--window-um", WINDOW)
    assert ended.code == 1
    assert ended.line == (
        f"wsi-seg: {slide_path}: no window of 240 um holds enough tissue that is not outlined: "
        "give smaller ones, as with --window-um 120, or name other slides"
    )
    ended = suggest(*given, "--window-um", "120")
    assert ended.code == 0, ended.err


def test_several_slides_share_the_windows_and_have_a_file_each(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    other = write_tiff(tmp_path / "other.tiff", tissue_rgb(300, 420, seed=5))
    copy = tmp_path / "copy.tiff"
    copy.write_bytes(other.read_bytes())
    drawn = write_boxes(tmp_path / "drawn.geojson", ("Tumour", (0, 0, 420, 300)))
    given = ("--model", model_path, "--window-um", WINDOW, "--windows", 5)
    ended = suggest(slide_path, other, copy, *given)
    assert ended.code == 0, ended.err
    files = [tmp_path / "next-tissue.geojson", tmp_path / "next-other.geojson"]
    assert [f"  {path.name}" in ended.out.splitlines() for path in files] == [True, True]
    assert not (tmp_path / "next-copy.geojson").exists()  # the same slide
    assert sum(len(boxes(path)) for path in files) == 5
    ranks = [p["measurements"]["Suggested rank"] for path in files for p in named(path)]
    assert sorted(ranks) == [1, 2, 3, 4, 5]
    ended = suggest(other, slide_path, *given, "--outlines", drawn)  # the first file is the first slide's
    assert ended.code == 0
    assert boxes(tmp_path / "next-other.geojson") == []
    assert len(boxes(tmp_path / "next-tissue.geojson")) == 5
    ended = suggest(other, slide_path, *given, *("--outlines", drawn) * 3)
    assert ended.code == 2
    assert "is one more than there are slides" in ended.line


def test_doubtful_outlines_are_listed_worst_first(suggest: Program, slide_path: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "stroma.safetensors", constant=1)
    drawn = write_boxes(
        tmp_path / "drawn.geojson",
        ("Stroma", (110, 10, 200, 100)),
        ("Tumour", (230, 10, 320, 100)),
        ("Glass", (10, 10, 60, 60)),
        ("Unheard of", (400, 300, 500, 400)),
    )
    given = (slide_path, "--model", model, "--window-um", WINDOW, "--outlines", drawn, "--windows", 2)
    ended = suggest(*given, "--doubtful", "look.geojson")
    assert ended.code == 0, ended.err
    assert "2 outlines that the network contradicts:" in ended.out
    listed = named(tmp_path / "look.geojson")
    assert {p["classification"]["name"] for p in listed} == {"Doubtful*"}
    assert [p["name"].partition(",")[0] for p in listed] == ["1: drawn as Tumour", "2: drawn as Glass"]
    assert "taken for Stroma on 100% of it" in listed[0]["name"]
    assert check_file(tmp_path / "look.geojson").ok
    x0, y0, x1, y1 = boxes(tmp_path / "look.geojson")[0]
    assert max(x0 - 230, y0 - 10, 320 - x1, 100 - y1) < 0  # wider: the outline itself is the smaller shape
    assert "the network is unsure of nothing" in ended.err
    ended = suggest(slide_path, "--model", model, "--doubtful", "look.geojson")
    assert ended.code == 2
    assert "nothing is outlined" in ended.line


def test_a_file_that_somebody_drew_into_is_kept(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    given = (slide_path, "--model", model_path, "--window-um", WINDOW)
    assert suggest(*given).code == 0
    written = tmp_path / "next.geojson"
    content = json.loads(written.read_text())
    shape = {**content["features"][0], "properties": {"classification": "Tumour"}}
    content["features"].append(shape)
    written.write_text(json.dumps(content))
    before = written.read_bytes()
    ended = suggest(*given)
    assert ended.code == 1
    assert "next.geojson: holds something else than suggestions" in ended.line
    assert written.read_bytes() == before
    ended = suggest(*given, "-o", "next.txt")
    assert "next.txt: QuPath reads no file of that name" in ended.line


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("--window-um", "5000"), 2, "larger than {slide} (1400 x 1000 um)"),
        (("--window-um", "20"), 2, "too small to see anything in at the model's 2 um per px"),
        (("--window-um", "-3"), 2, "--window-um: input should be greater than 0"),
        (("--windows", "0"), 2, "--windows: input should be greater than or equal to 1"),
        (("--working-mpp", "1"), 1, "{slide}: 2 um per px is coarser than the working resolution of 1"),
        (("--outlines", "absent.geojson"), 1, "absent.geojson: no such file"),
    ],
)
def test_what_does_not_fit_is_one_line(
    suggest: Program, slide_path: Path, model_path: Path, given: tuple[str, ...], code: int, said: str
) -> None:
    ended = suggest(slide_path, "--model", model_path, *given)
    assert ended.code == code
    assert said.format(slide=slide_path) in ended.line


def test_glass_a_picture_and_a_folder_are_one_line(
    suggest: Program, model_path: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    glass = rng.integers(238, 246, (500, 700, 3)).astype(np.uint8)
    ended = suggest(write_tiff(tmp_path / "glass.tiff", glass), "--model", model_path, "--window-um", WINDOW)
    assert ended.code == 1
    assert "glass.tiff: no tissue was found" in ended.line
    Image.fromarray(tissue_rgb(500, 700)).save(tmp_path / "photo.png")
    ended = suggest("photo.png", "--model", model_path)
    assert ended.code == 1
    assert "photo.png: the file does not state its resolution" in ended.line
    (tmp_path / "folder").mkdir()
    ended = suggest("folder", "--model", model_path)
    assert ended.code == 2
    assert "folder: is a folder" in ended.line


def test_glass_and_gaps_are_not_suggested(suggest: Program, model_path: Path, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(238, 246, (480, 720, 3)).astype(np.uint8)
    rgb[:, :360] = tissue_rgb(480, 360)
    slide = write_tiff(tmp_path / "half.tiff", rgb)
    assert suggest(slide, "--model", model_path, "--window-um", WINDOW, "--windows", 24).code == 0
    found = boxes(tmp_path / "next.geojson")
    assert len(found) >= 8
    assert all(x0 < 360 for x0, _, _, _ in found)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (("slides.csv",), "wsi-seg suggest slides.csv --model t/model.safetensors"),
        (
            ("a b.svs", "a.geojson", "p.qpproj", "drawn"),
            "wsi-seg suggest 'a b.svs' p.qpproj --model t/model.safetensors --outlines a.geojson "
            "--outlines drawn",
        ),
    ],
)
def test_after_a_training_the_command_names_what_it_was_given(data: tuple[str, ...], said: str) -> None:
    paths = [Path(name) for name in data]
    assert command_after(paths, Path("t/model.safetensors"), None, False, False, None) == said
    whole = command_after(paths, Path("t/model.safetensors"), 0.5, True, True, 1)
    assert whole == f"{said} --mpp 0.5 --allow-coarser --from-level-0 --series 1"


def test_what_to_train_with_names_the_class_that_the_model_learned_for_the_rest(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(model_path)
    taught = bundle.header.model_copy(update={"training": {"truth": {"rest": "Other tissue"}}})
    save_bundle(tmp_path / "taught.safetensors", bundle.network, taught)
    for model, said in ((model_path, "CLASS"), (tmp_path / "taught.safetensors", "'Other tissue'")):
        ended = suggest(slide_path, "--model", model, "--window-um", WINDOW, "--windows", 1)
        assert ended.out.splitlines()[-1].endswith(f"train with --roi-class 'Region*' --rest {said}")
        assert ("and train with --rest 'Other tissue' alone" in ended.out) == (said != "CLASS")


def test_a_model_that_knows_the_rest_in_windows_alone_goes_on_with_windows(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(model_path)
    truth = {"rest": "Other tissue", "roi_class": "Region*"}
    save_bundle(
        tmp_path / "taught.safetensors",
        bundle.network,
        bundle.header.model_copy(update={"training": {"truth": truth}}),
    )
    ended = suggest(slide_path, "--model", tmp_path / "taught.safetensors", "--window-um", WINDOW)
    assert "alone" not in ended.out
    assert ended.out.endswith("train with --roi-class 'Region*' --rest 'Other tissue'\n")


def test_of_several_slides_each_window_says_whose_it_is(
    suggest: Program, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    """Also where one slide has them all."""
    other = write_tiff(tmp_path / "glass.tiff", np.full((500, 700, 3), 240, np.uint8))
    ended = suggest(slide_path, other, "--model", model_path, "--window-um", WINDOW, "--windows", 2)
    assert ended.code == 0, ended.err
    assert [line[:5] for line in ended.out.splitlines() if f" {slide_path.name}: " in line] == [
        "  1  ",
        "  2  ",
    ]
