from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from conftest import SCHEMA, tissue_rgb, write_model
from torch.nn import functional

from wsi_seg.errors import DeviceError, UsageError
from wsi_seg.inference.network.pixels import best_channel, enlarge
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader

CPU = torch.device("cpu")


def batch(count: int = 2, side: int = 128) -> np.ndarray:
    return np.stack([tissue_rgb(side, side, seed) for seed in range(count)])


def test_it_gives_what_the_network_gives(model_path: Path) -> None:
    bundle = load_bundle(model_path)
    patches = batch()
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (bundle.input.mean, bundle.input.std))
    with torch.inference_mode():
        logits = bundle.network((torch.from_numpy(patches).permute(0, 3, 1, 2).float() - mean) / std)
        logits = functional.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False)
        probability, channel = logits.softmax(1).max(1)
    found = Segmenter(bundle, CPU)(patches, confidence=True)
    assert found.confidence is not None
    assert (found.labels == np.array(SCHEMA.ids)[channel]).mean() > 0.9999
    assert np.abs(found.confidence - 255 * probability.numpy()).max() <= 1


@pytest.mark.parametrize("threads", [1, 3])
def test_logits_are_the_same_bytes_for_any_threads_and_neighbours(model_path: Path, threads: int) -> None:
    segmenter = Segmenter(load_bundle(model_path), CPU)
    patches = batch()
    before = torch.get_num_threads()
    with torch.inference_mode():
        expected = segmenter.logits(patches)
        try:
            torch.set_num_threads(threads)
            other = segmenter.logits(patches[::-1].copy())
        finally:
            torch.set_num_threads(before)
    assert torch.equal(expected, other.flip(0))


@pytest.mark.parametrize("factor", [2, 8])
def test_enlarging_is_torch_s_bilinear_interpolation(factor: int) -> None:
    maps = torch.randn(2, 3, 7, 11)
    expected = functional.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarge(maps, factor), expected, atol=1e-5, rtol=1e-5)


def test_the_margin_is_left_out(model_path: Path) -> None:
    segmenter = Segmenter(load_bundle(model_path), CPU)
    whole, core = segmenter(batch()), segmenter(batch(), margin=32)
    np.testing.assert_array_equal(core.labels, whole.labels[:, 32:-32, 32:-32])


def test_bfloat16_agrees_with_float32_on_nearly_all_pixels(model_path: Path) -> None:
    full = Segmenter(load_bundle(model_path), CPU)(batch()).labels
    half = Segmenter(load_bundle(model_path), CPU, "bfloat16")(batch()).labels
    assert (full == half).mean() > 0.95


def test_a_constant_model_gives_its_class(tmp_path: Path) -> None:
    for wanted in range(len(SCHEMA)):
        path = write_model(tmp_path / f"{wanted}.safetensors", constant=wanted)
        assert (Segmenter(load_bundle(path), CPU)(batch()).labels == SCHEMA.ids[wanted]).all()


def test_float16_needs_a_gpu(model_path: Path) -> None:
    with pytest.raises(UsageError, match="float16"):
        Segmenter(load_bundle(model_path), CPU, "float16")


@pytest.mark.parametrize("confidence", [False, True])
def test_batches_too_large_for_the_device_are_halved(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, confidence: bool
) -> None:
    segmenter, seen = Segmenter(load_bundle(model_path), CPU, compiled="no"), []
    expected = segmenter(batch(5, 64), 8, confidence)
    network = segmenter._form._network  # type: ignore[union-attr]
    plain = network.logits

    def limited(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        if seen[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(pixels)

    monkeypatch.setattr(network, "logits", limited)
    monkeypatch.setattr(
        network, "best", lambda pixels, margin: best_channel(limited(pixels), network.output_stride, margin)
    )
    for _ in range(2):
        found = segmenter(batch(5, 64), 8, confidence)
        np.testing.assert_array_equal(found.labels, expected.labels)
        if confidence:
            np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert seen == [5, *[2] * 3, *[2] * 3]
    assert segmenter.most == 2
    assert [r.message for r in caplog.records] == [
        "cpu: out of memory at 5 patches of 64 px: continuing with 2 at a time"
    ]


def test_a_single_patch_too_large_for_the_device_is_an_error(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    segmenter = Segmenter(load_bundle(model_path), CPU, compiled="no")
    monkeypatch.setattr(segmenter._form._network, "best", full)  # type: ignore[union-attr]
    with pytest.raises(DeviceError, match="out of memory at 1 patches of 64 px: give a smaller --patch"):
        segmenter(batch(2, 64))


@pytest.mark.parametrize("variant", ["C", "full"])
def test_compiled_or_not_the_labels_are_the_same(
    tmp_path: Path, variant: Literal["C", "full"], by_amx: bool
) -> None:
    network = ESPNet(ESPNetConfig(len(SCHEMA), p=1, q=1, variant=variant))
    header = ModelHeader(
        name="test",
        architecture=architecture_of(network.config),
        classes=SCHEMA,
        input=InputSpec(channels="rgb", mean=(180, 150, 190), std=(50, 50, 50)),
    )
    save_bundle(tmp_path / "model.safetensors", network, header)
    bundle = load_bundle(tmp_path / "model.safetensors")
    compiled = Segmenter(bundle, CPU, compiled="amx" if by_amx else "yes")
    plain = Segmenter(bundle, CPU, compiled="no")
    assert (compiled.choice.form, plain.choice.form) == ("amx" if by_amx else "compiled", "plain")
    one, other = compiled(batch(), 16, confidence=True), plain(batch(), 16, confidence=True)
    assert (one.labels == other.labels).mean() >= 0.9999
    assert one.confidence is not None
    assert other.confidence is not None
    assert np.abs(one.confidence.astype(int) - other.confidence).max() <= 1
    np.testing.assert_array_equal(one.labels, compiled(batch(), 16).labels)


def test_twins_compute_side_by_side(model_path: Path) -> None:
    segmenter = Segmenter(load_bundle(model_path), CPU)
    batches = [batch(1, 64 + 8 * i) for i in range(4)]
    expected = [segmenter(b).labels for b in batches]
    with ThreadPoolExecutor(4) as pool:
        twins = [segmenter, *(segmenter.twin() for _ in range(3))]
        for _ in range(3):
            found = pool.map(lambda twin, b: twin(b).labels, twins, batches)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
