"""Where a pixel's class is decided: in one way, whatever runs the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import tissue_rgb, write_model
from helpers.networks import layer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from wsi_seg.inference.network import pixels
from wsi_seg.inference.network.pixels import Normalisation, best_channel, best_channel_at, decide, enlarge
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.plain_images import label_image
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.training.engine.module import predicted

CPU = torch.device("cpu")
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 2, 8, 21, 256])
def test_of_equal_logits_the_first_channel_wins(layout: torch.memory_format, channels: int) -> None:
    rng = np.random.default_rng(channels)
    logits = rng.integers(0, 3, (2, channels, 33, 70)).astype(np.float32)
    found, largest = decide(torch.from_numpy(logits).contiguous(memory_format=layout))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), logits.argmax(axis=1))
    np.testing.assert_array_equal(largest.numpy(), logits.max(axis=1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 8])
def test_classes_are_decided_at_full_size_without_the_margin(
    layout: torch.memory_format, stride: int
) -> None:
    logits = torch.randn(2, 3, 16, 24).contiguous(memory_format=layout)
    logits[:, 2, :8] = logits[:, 1, :8] = 9
    whole = enlarge(logits, stride) if stride > 1 else logits
    assert torch.equal(best_channel(logits, stride, 5).long(), whole.argmax(1)[:, 5:-5, 5:-5])
    assert (best_channel(logits, stride, 0)[:, : 4 * stride] == 1).all()


@settings(max_examples=30)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    strip=st.sampled_from([1, 300, 2**24]),
)
def test_strips_enlarge_as_a_whole(rows: int, columns: int, width: int, height: int, strip: int) -> None:
    logits = torch.randn(4, rows, columns, generator=torch.Generator().manual_seed(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "STRIP_VALUES", strip)
        best = best_channel_at(logits, (width, height))
    size = (height, width)
    whole = functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    chosen = whole.gather(0, best.long()[None])[0]
    assert best.shape == (height, width)
    torch.testing.assert_close(chosen, whole.amax(dim=0), rtol=0, atol=1e-5)


def test_logits_are_enlarged_and_not_the_mask() -> None:
    logits = torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]])
    assert best_channel_at(logits, (8, 1)).tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A model to which the second and the third class are always equally likely, and the first never."""
    bundle = load_bundle(write_model(tmp_path_factory.mktemp("undecided") / "m.safetensors", constant=1))
    weight = layer(bundle.network, "decoder.level1_up", nn.ConvTranspose2d).weight
    with torch.no_grad():
        weight[:, 2] = weight[:, 1]
    return bundle


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("compiled", ["yes", "no"])
def test_a_tie_is_broken_alike_in_every_form(undecided: ModelBundle, compiled: str, confidence: bool) -> None:
    segmenter = Segmenter(undecided, CPU, compiled=compiled)  # type: ignore[arg-type]
    rgb = tissue_rgb(64, 96)
    assert (segmenter(rgb[None], 8, confidence).labels == undecided.schema.ids[1]).all()
    assert (label_image(rgb, undecided, segmenter) == undecided.schema.ids[1]).all()


def test_a_tie_is_broken_in_training_as_in_prediction(undecided: ModelBundle) -> None:
    images = Normalisation(undecided.input, CPU)(torch.from_numpy(tissue_rgb(64, 96)).permute(2, 0, 1)[None])
    with torch.inference_mode():
        assert (predicted(undecided.network(images), 96) == 1).all()
