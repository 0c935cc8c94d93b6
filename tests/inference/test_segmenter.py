from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SCHEMA, tissue_rgb, write_model
from torch.nn import functional

from wsi_seg.errors import DeviceError, UsageError
from wsi_seg.inference.pixels import enlarge
from wsi_seg.inference.segmenter import Segmenter, choose_device
from wsi_seg.models.bundle import load_bundle

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


def test_devices_that_are_not_there_are_named() -> None:
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="cuda:N"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        assert choose_device("auto") == CPU
        with pytest.raises(DeviceError, match="--device cpu"):
            choose_device("cuda")


def test_float16_needs_a_gpu(model_path: Path) -> None:
    with pytest.raises(UsageError, match="float16"):
        Segmenter(load_bundle(model_path), CPU, "float16")
