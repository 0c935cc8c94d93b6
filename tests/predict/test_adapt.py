"""`--adapt`: a slide's stain turned into the training tissue's, as part of what the result is made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import tissue_rgb, write_model, write_tiff
from helpers.results import Recorder, labels_of

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.inference.network.choice import Compile
from wsi_seg.inference.tissue.patch_looks import Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.folder import ResultFolder
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.restain import Restaining

RGB = tissue_rgb(512, 768)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that remembers `RGB`."""
    path = write_model(tmp_path_factory.mktemp("model") / "remembering.safetensors")
    bundle = load_bundle(path)
    patches = [RGB[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256, 512)]
    looks = Looks.at(patches, sight_by_pytorch(bundle.network, bundle.input))
    assert looks is not None
    tissue = looks.remembered(2.0)
    save_bundle(path, bundle.network, bundle.header.model_copy(update={"tissue": tissue}))
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of `RGB` in another stain."""
    stain = Restaining.of(np.diag([1.6, 0.7, 1.3]), np.zeros(3))
    assert stain is not None
    return write_tiff(tmp_path_factory.mktemp("slide") / "other.tiff", stain(RGB))


def asked(model: Path, compiled: Compile = "no", adapt: bool = True) -> PredictSettings:
    labels = LabelSettings(
        patch=192, overlap=64, region_cores=1, tissue_mask=False, adapt=adapt, compile=compiled
    )
    return PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2))


@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_labels_are_those_of_the_restained_slide_in_either_form(
    compiled: Compile, model: Path, other: Path, tmp_path: Path, kernels: None
) -> None:
    heard = Recorder()
    summary = predict_slide(other, tmp_path / "adapted", asked(model, compiled), heard)
    assert any(line.startswith("stain adapted: ") for line in heard.said)
    assert summary.familiarity is not None
    assert summary.familiarity.verdict is Verdict.FAMILIAR
    record = ResultFolder(tmp_path / "adapted").read_record()
    assert record is not None
    restain = Restaining.of_rows(np.array(record.labels["adapt"]))
    before = write_tiff(tmp_path / "restained.tiff", restain(tifffile.imread(other)))
    predict_slide(before, tmp_path / "plain", asked(model, compiled, adapt=False))
    assert np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "plain"))


def test_a_result_that_is_adapted_and_one_that_is_not_are_not_mixed(
    model: Path, other: Path, tmp_path: Path
) -> None:
    predict_slide(other, tmp_path, asked(model))
    heard = Recorder()
    predict_slide(other, tmp_path, asked(model), heard)
    assert heard.said == ["stain adapted as when the run was started", heard.said[-1]]
    assert heard.said[-1].startswith("already finished")
    with pytest.raises(OutputError, match="made with --adapt: use another -o"):
        predict_slide(other, tmp_path, asked(model, adapt=False))


def test_a_familiar_slide_is_left_as_it_is(model: Path, tmp_path: Path) -> None:
    slide, heard = write_tiff(tmp_path / "same.tiff", RGB), Recorder()
    predict_slide(slide, tmp_path / "adapted", asked(model), heard)
    assert any(line.startswith("stain left as it is") for line in heard.said)
    predict_slide(slide, tmp_path / "plain", asked(model, adapt=False))
    assert np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "plain"))


def test_a_model_without_memory_is_refused_before_anything_is_made(
    model_path: Path, other: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--adapt: .* remembers no stained tissue .*: train the model"):
        predict_slide(other, tmp_path / "out", asked(model_path))
    assert not (tmp_path / "out").exists()
