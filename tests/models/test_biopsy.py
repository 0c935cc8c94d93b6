"""The breast-biopsy network: its size, its shapes, and its equations written out a second time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tissue_rgb, write_tiff
from helpers.network_contract import NetworkContract
from helpers.results import labels_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from wsi_seg.cli.models import app
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.architecture import architecture_of, build_network
from wsi_seg.models.biopsy import BiopsyNet, count_unused
from wsi_seg.models.biopsy_blocks import POOL_PERIOD, PooledBranch, Pyramid, enlarge
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.settings import LabelSettings, PredictSettings

AUTHORS_POOLS = (5 / 6, 2 / 3, 1 / 2, 3 / 8)
"""40, 32, 24 and 18 of 48; 80, 64, 48 and 36 of 96; 160, 128, 96 and 72 of 192."""


@pytest.mark.parametrize(
    "config",
    [BiopsyConfig(3), BiopsyConfig(3, diagnoses=4), BiopsyConfig(9, diagnoses=2, block="residual")],
    ids=str,
)
class TestContract(NetworkContract):
    def outputs(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        assert isinstance(network, BiopsyNet)
        return (network(image),) if network.diagnosis is None else network.diagnose(image)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def write_biopsy_model(path: Path, config: NetworkConfig) -> Path:
    names = [TissueClass(id=i, name=f"class {i}", color=(i, 20 * i, 255 - i)) for i in range(config.classes)]
    header = ModelHeader(
        name="biopsy",
        architecture=architecture_of(config),
        classes=ClassSchema(name="some", classes=tuple(names)),
        input=InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0),
    )
    save_bundle(path, build_network(header.architecture), header)
    return path


def test_parameter_counts_are_the_authors() -> None:
    assert parameters(BiopsyNet(BiopsyConfig(8))) == 2_755_488
    assert parameters(BiopsyNet(BiopsyConfig(8, block="residual"))) == 7_624_608
    assert parameters(BiopsyNet(BiopsyConfig(8, diagnoses=5, block="residual"))) == 9_110_437


def test_the_joint_network_lacks_only_the_authors_unused_convolutions() -> None:
    joint = BiopsyNet(BiopsyConfig(8, diagnoses=5))
    # A fourth of the channels to a fourth, 3x3: blocks of 128 and 256; the head's of 128 and 64.
    assert count_unused(joint) == 9 * (2 * 32**2 + 5 * 64**2 + 2 * 32**2 + 2 * 16**2) == 225_792
    assert parameters(joint) == 3_687_589
    assert parameters(joint) + count_unused(joint) == 3_913_381
    assert count_unused(BiopsyNet(BiopsyConfig(8))) == 0
    assert count_unused(BiopsyNet(BiopsyConfig(8, diagnoses=5, block="residual"))) == 0


@settings(max_examples=8, deadline=None)
@given(
    classes=st.sampled_from([2, 3, 8, 21]),
    block=st.sampled_from(["esp", "residual"]),
    head_width=st.sampled_from([None, 1, 5]),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
)
def test_logits_have_the_size_of_the_image(
    classes: int, block: str, head_width: int | None, rows: int, columns: int
) -> None:
    network = BiopsyNet(BiopsyConfig(classes, block=block, head_width=head_width)).eval()  # type: ignore[arg-type]
    logits = network(torch.randn(1, 3, 8 * rows, 8 * columns))
    assert network.output_stride == 1
    assert logits.shape == (1, classes, 8 * rows, 8 * columns)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "wrong", [{"classes": 1}, {"diagnoses": 1}, {"block": "resnet"}, {"head_width": 0}], ids=str
)
def test_a_config_that_makes_no_network_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BiopsyConfig(**({"classes": 8} | wrong))  # type: ignore[arg-type]


def test_heads_are_wide_enough_by_default() -> None:
    assert BiopsyConfig(2).width == BiopsyConfig(8).width == 8
    assert BiopsyConfig(21).width == 21


def test_diagnosis_needs_its_head() -> None:
    image = torch.randn(2, 3, 64, 96)
    network = BiopsyNet(BiopsyConfig(3, diagnoses=5)).eval()
    logits, diagnosis = network.diagnose(image)
    assert torch.equal(logits, network(image))
    assert diagnosis.shape == (2, 5)
    with pytest.raises(ValueError, match="no diagnosis head"):
        BiopsyNet(BiopsyConfig(3)).diagnose(image)


def bilinear(x: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)


def pooled(x: Tensor, pyramid: Pyramid) -> Tensor:
    """The published pyramid: adaptive pools of fixed sizes, as a map of fixed size has them."""
    maps = [x]
    branches: Any = pyramid.branches
    for share, branch in zip(AUTHORS_POOLS, branches, strict=True):
        side = round(x.shape[-1] * share)
        maps.append(bilinear(branch.project(functional.adaptive_avg_pool2d(x, side)), x.shape[-2:]))
    return torch.cat(maps, dim=1)


def published(network: BiopsyNet, image: Tensor) -> Tensor:
    """The network as the table of its layers has it; for sides that are multiples of 192."""

    def level(x: Tensor, layers: Any) -> Tensor:
        first = x = layers.down(x)
        for block in layers.blocks:
            r = functional.conv2d(x, block.reduce.weight, padding=1)
            d1, d2, d4, d8 = (
                functional.conv2d(r, b.weight, padding=d, dilation=d)
                for b, d in zip(block.branches, (1, 2, 4, 8), strict=True)
            )
            x = block.norm_act(torch.cat([d1, d2, d2 + d4, d2 + d4 + d8], dim=1) + x)
        merged: Tensor = layers.merge(torch.cat([first, x], dim=1))
        return merged

    def head(x: Tensor, layers: nn.Sequential) -> Tensor:
        pyramid, *rest = layers
        assert isinstance(pyramid, Pyramid)
        x = nn.Sequential(*rest)(pooled(x, pyramid))
        return bilinear(x, torch.Size([2 * side for side in x.shape[-2:]]))

    level1: Tensor = network.level1(image)
    level2 = level(level1, network.level2)
    coarse = head(level(level2, network.level3), network.head3)
    middle = head(torch.cat([coarse, level2], dim=1), network.head2)
    return head(torch.cat([level1, middle], dim=1), network.head1)


@torch.inference_mode()
def test_it_is_the_published_network() -> None:
    network = BiopsyNet(BiopsyConfig(8)).eval()
    image = torch.randn(1, 3, 192, 192)
    torch.testing.assert_close(network(image), published(network, image))


@torch.inference_mode()
@pytest.mark.parametrize("side", [48, 96, 192])
def test_pools_are_the_published_ones_at_384(side: int) -> None:
    pyramid = Pyramid(3, 4).eval()
    x = torch.randn(1, 3, side, side)
    torch.testing.assert_close(pyramid(x), pooled(x, pyramid))


@torch.inference_mode()
def test_pools_see_the_same_in_every_patch() -> None:
    pyramid = Pyramid(3, 4).eval()
    whole = torch.randn(1, 3, 96, 131)
    period = POOL_PERIOD // 8  # of the coarsest map
    window = (..., slice(period, 91), slice(2 * period, 120))
    expected, patch = pyramid(whole)[window], pyramid(whole[window])
    torch.testing.assert_close(patch[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4])


@torch.inference_mode()
def test_a_flat_map_stays_flat_through_the_pools() -> None:
    branch = PooledBranch(2, 5, 3, 8).eval()
    answer = branch(torch.ones(1, 2, 13, 7))
    torch.testing.assert_close(answer, answer[..., :1, :1].expand_as(answer))


@torch.inference_mode()
@pytest.mark.parametrize("channels", [1, 3, 4, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_enlarging_is_the_same_for_any_threads(channels: int, dtype: torch.dtype) -> None:
    maps = torch.randn(2, channels, 107, 61).to(dtype, memory_format=torch.channels_last)
    before = torch.get_num_threads()
    try:
        answers = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            answers.append(enlarge(maps, 128, 73))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
    torch.testing.assert_close(answers[0], bilinear(maps, torch.Size([128, 73])), atol=0.02, rtol=0.02)


def test_no_convolution_has_a_bias() -> None:
    network = BiopsyNet(BiopsyConfig(8, diagnoses=5))
    assert all(m.bias is None for m in network.modules() if isinstance(m, nn.Conv2d))
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


@torch.inference_mode()
def test_initial_weights_keep_the_variance() -> None:
    network = BiopsyNet(BiopsyConfig(8))  # in training mode: each batch is normalised by itself
    spread = network(torch.randn(2, 3, 96, 96)).std()
    assert 0.3 < spread < 3


@pytest.mark.parametrize(
    "config", [BiopsyConfig(2), BiopsyConfig(8), BiopsyConfig(3, block="residual")], ids=str
)
def test_logits_are_the_same_bytes_for_any_threads_and_neighbours(
    config: BiopsyConfig, tmp_path: Path
) -> None:
    bundle = load_bundle(write_biopsy_model(tmp_path / "model.safetensors", config))
    segmenter = Segmenter(bundle, torch.device("cpu"))
    patches = torch.stack([torch.from_numpy(tissue_rgb(72, 136, seed)) for seed in range(2)]).numpy()
    before = torch.get_num_threads()
    with torch.inference_mode():
        expected = segmenter.logits(patches)
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                assert torch.equal(expected, segmenter.logits(patches[::-1].copy()).flip(0))
        finally:
            torch.set_num_threads(before)


def test_bfloat16_agrees_with_float32_on_most_pixels(tmp_path: Path) -> None:
    path = write_biopsy_model(tmp_path / "model.safetensors", BiopsyConfig(3))
    patches = tissue_rgb(128, 192)[None]
    full, half = (
        Segmenter(load_bundle(path), torch.device("cpu"), precision)(patches).labels
        for precision in ("float32", "bfloat16")
    )
    assert (full == half).mean() > 0.9


def test_show_tells_its_shape(tmp_path: Path) -> None:
    path = write_biopsy_model(tmp_path / "model.safetensors", BiopsyConfig(8, diagnoses=5))
    shown = " ".join(CliRunner().invoke(app, ["show", str(path)]).stdout.split())
    assert "Breast-biopsy network, 8 classes (ESP blocks, heads 8 wide, 5 diagnoses)" in shown
    assert "Parameters 3,687,589" in shown


def test_it_segments_a_slide(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "tissue.tiff", tissue_rgb(250, 400))
    model = write_biopsy_model(tmp_path / "model.safetensors", BiopsyConfig(3))
    labels = LabelSettings(patch=256, overlap=64, region_cores=1)
    predict_slide(slide, tmp_path / "out", PredictSettings(model=str(model), labels=labels))
    found = labels_of(tmp_path / "out")
    assert found.shape == (250, 400)
    assert set(found.flat) <= {0, 1, 2}
    assert not check_file(tmp_path / "out" / "slide.geojson.gz").faults
