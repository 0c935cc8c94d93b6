"""`--adapt`: a slide's stain turned into the training tissue's, as part of what the result is made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from conftest import tissue_rgb, write_model, write_tiff
from helpers.results import Recorder, labels_of

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.inference.network.choice import Compile
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.inference.tissue.patch_looks import Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.renormalised import renormalised, with_statistics
from wsi_seg.predict import adapt
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.folder import ResultFolder
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.restain import Restaining

RGB = tissue_rgb(512, 768)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that remembers `RGB`, and normalises it."""
    path = write_model(tmp_path_factory.mktemp("model") / "remembering.safetensors")
    bundle = load_bundle(path)
    patches = np.stack([RGB[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256, 512)])
    images = Normalisation(bundle.input, torch.device("cpu"))(torch.from_numpy(patches).permute(0, 3, 1, 2))
    network = renormalised(bundle.network, images, 1.0)
    looks = Looks.at(patches, sight_by_pytorch(network, bundle.input))
    assert looks is not None
    tissue = looks.remembered(2.0)
    save_bundle(path, network, bundle.header.model_copy(update={"tissue": tissue}))
    return path


def restained(path: Path, factors: tuple[float, float, float], shift: float) -> Path:
    """Write a slide of `RGB` in another stain."""
    stain = Restaining.of(np.diag(factors), np.full(3, shift))
    assert stain is not None
    return write_tiff(path, stain(RGB))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide that a map of its stain makes familiar."""
    return restained(tmp_path_factory.mktemp("slide") / "other.tiff", (1.6, 0.7, 1.3), 0.0)


@pytest.fixture
def faded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A slide of which the network is surer with other normalisations; no map is good enough."""
    monkeypatch.setattr(adapt, "WORTH", 0.0)
    return restained(tmp_path / "faded.tiff", (0.3, 0.3, 0.3), 0.3)


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
    assert any(line.startswith("adapted: stain, distance ") for line in heard.said)
    assert summary.familiarity is not None
    assert summary.familiarity.verdict is Verdict.FAMILIAR
    record = ResultFolder(tmp_path / "adapted").read_record()
    assert record is not None
    restain = Restaining.of_rows(np.array(record.labels["adapt"]))
    before = write_tiff(tmp_path / "restained.tiff", restain(tifffile.imread(other)))
    predict_slide(before, tmp_path / "plain", asked(model, compiled, adapt=False))
    assert np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "plain"))


@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_labels_are_those_of_the_network_with_other_normalisations_in_either_form(
    compiled: Compile, model: Path, faded: Path, tmp_path: Path, kernels: None
) -> None:
    heard = Recorder()
    predict_slide(faded, tmp_path / "adapted", asked(model, compiled), heard)
    assert any(line.startswith("adapted: normalisations; mean confidence ") for line in heard.said)
    bundle, changed = load_bundle(model), tmp_path / "changed.safetensors"
    content = ResultFolder(tmp_path / "adapted").statistics.read_bytes()
    save_bundle(changed, with_statistics(bundle.network, content), bundle.header)
    predict_slide(faded, tmp_path / "changed", asked(changed, compiled, adapt=False))
    predict_slide(faded, tmp_path / "plain", asked(model, compiled, adapt=False))
    assert np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "changed"))
    assert not np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "plain"))


def test_a_result_that_is_adapted_and_one_that_is_not_are_not_mixed(
    model: Path, other: Path, tmp_path: Path
) -> None:
    predict_slide(other, tmp_path, asked(model))
    heard = Recorder()
    predict_slide(other, tmp_path, asked(model), heard)
    assert heard.said == ["adapted as when the run was started", heard.said[-1]]
    assert heard.said[-1].startswith("already finished")
    with pytest.raises(OutputError, match="made with --adapt: use another -o"):
        predict_slide(other, tmp_path, asked(model, adapt=False))


@pytest.mark.parametrize("edit", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_normalisations_that_were_lost_are_measured_again(
    edit: Callable[[Path], object], model: Path, faded: Path, tmp_path: Path
) -> None:
    out, heard = tmp_path / "out", Recorder()
    predict_slide(faded, out, asked(model))
    predict_slide(faded, out, asked(model), heard)
    assert heard.said[0] == "adapted as when the run was started"
    result = ResultFolder(out)
    labels, content = labels_of(out), result.statistics.read_bytes()
    edit(result.statistics)
    shutil.rmtree(result.zarr)  # so that labels are made again
    predict_slide(faded, out, asked(model), heard)
    assert any(line.startswith("adapted: normalisations; ") for line in heard.said)
    assert np.array_equal(labels_of(out), labels)
    assert result.statistics.read_bytes() == content


def test_normalisations_stay_where_the_network_is_less_sure_with_others(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "WORTH", 0.0)
    dark = restained(tmp_path / "dark.tiff", (2.0, 2.0, 2.0), 0.0)
    heard = Recorder()
    predict_slide(dark, tmp_path / "out", asked(model), heard)
    assert heard.said[0] == "left as it is: neither another stain nor other normalisations help"
    assert not ResultFolder(tmp_path / "out").statistics.exists()


def test_where_the_stain_is_unfamiliar_the_remedy_is_named(model: Path, other: Path, tmp_path: Path) -> None:
    lines = []
    for adapted in (False, True):
        out = tmp_path / f"adapted-{adapted}"
        found = predict_slide(other, out, asked(model, adapt=adapted)).familiarity
        assert found is not None
        lines.append(found.line)
    assert lines[0].endswith(": check the result by eye; if it is such tissue in another stain, try --adapt")
    assert "--adapt" not in lines[1]


def test_a_familiar_slide_is_left_as_it_is(model: Path, tmp_path: Path) -> None:
    slide, heard = write_tiff(tmp_path / "same.tiff", RGB), Recorder()
    predict_slide(slide, tmp_path / "adapted", asked(model), heard)
    assert any(line.startswith("left as it is") for line in heard.said)
    predict_slide(slide, tmp_path / "plain", asked(model, adapt=False))
    assert np.array_equal(labels_of(tmp_path / "adapted"), labels_of(tmp_path / "plain"))


def test_a_model_without_memory_is_refused_before_anything_is_made(
    model_path: Path, other: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--adapt: .* remembers no stained tissue .*: train the model"):
        predict_slide(other, tmp_path / "out", asked(model_path))
    assert not (tmp_path / "out").exists()
