"""What people drew is parsed once in each command, however many of its parts ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import tissue_rgb, write_model, write_tiff
from helpers.drawn import write_boxes
from helpers.trainings import tiny_recipe, write_outlined
from typer.testing import CliRunner

from wsi_seg.annotations import annotation_files
from wsi_seg.annotations.annotation_files import AnnotationFile
from wsi_seg.cli.commands import app
from wsi_seg.evaluation.on_results import evaluate_results
from wsi_seg.inference.stream.job import close_job
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training.data.open_data import DataRequest, open_data


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the annotation files that are parsed."""
    names: list[str] = []
    parse = annotation_files._read

    def counted(path: Path) -> AnnotationFile:
        names.append(path.name)
        return parse(path)

    monkeypatch.setattr(annotation_files, "_read", counted)
    return names


def test_training_recommends_a_resolution_and_reads_outlines_in_one_go(
    tmp_path: Path, parsed: list[str]
) -> None:
    slides = write_outlined(tmp_path, "a"), write_outlined(tmp_path, "b", seed=1)
    data = open_data(DataRequest((*slides[0], *slides[1])), tiny_recipe(), None)
    assert data.mpp == pytest.approx(2)
    assert sorted(parsed) == sorted(outlines.name for _, outlines in slides)


def test_so_do_tiles(tmp_path: Path, parsed: list[str]) -> None:
    slide, outlines = write_outlined(tmp_path)
    cut = ["tiles", str(slide), str(outlines), "-o", str(tmp_path / "tiles"), "--size", "128", "-q"]
    assert CliRunner().invoke(app, cut, catch_exceptions=False).exit_code == 0
    assert parsed == [outlines.name]


def test_regions_and_truth_are_read_once(tmp_path: Path, parsed: list[str]) -> None:
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(300, 300))
    model = write_model(tmp_path / "m.safetensors", constant=1)
    roi = write_boxes(tmp_path / "roi.geojson", ("Region", (0, 0, 200, 300)))
    labels = LabelSettings(patch=192, overlap=64, region_cores=1, roi=roi)
    settings = PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2))
    for name in ("a", "b"):
        predict_slide(slide, tmp_path / name, settings)
    close_job()
    assert parsed == ["roi.geojson"] * 2
    drawn = write_boxes(tmp_path / "drawn.geojson", ("Stroma", (50, 50, 250, 100)))
    evaluation = evaluate_results([(tmp_path / "a", drawn), (tmp_path / "b", drawn)])
    assert evaluation.total.confusion.counts.tolist()[1] == [0, 2 * 150 * 50, 0, 2 * 50 * 50]
    assert parsed[2:] == ["drawn.geojson"]
