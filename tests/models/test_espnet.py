"""The network: its size, its shapes, and its equations written out a second time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.network_contract import NetworkContract, OnnxContract
from helpers.networks import channels_last, layer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from wsi_seg.models.block_names import BLOCK_TITLES
from wsi_seg.models.cost import count_parameters
from wsi_seg.models.espnet import ESP, ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.norm_act import NormAct

VARIANTS = ("A", "B", "C", "full")


ABLATIONS: tuple[dict[str, Any], ...] = (
    {"reduce": 3},
    {"hff": False},
    {"residual": False},
    {"reinforce": False},
    {"variant": "A", "reinforce": True},
    {"activation": "relu"},
    {"down": "conv"},
    {"reduce": 3, "hff": False, "residual": False, "reinforce": False, "activation": "relu", "down": "conv"},
    *({"block": block} for block in BLOCK_TITLES),
    {"block": "resnet", "down": "conv", "activation": "relu"},
)

CONTRACTED = (
    *(ESPNetConfig(3, p=1, q=1, variant=variant) for variant in VARIANTS),  # type: ignore[arg-type]
    ESPNetConfig(3, p=1, q=1, reduce=3, hff=False, residual=False, reinforce=False, activation="relu"),
    ESPNetConfig(3, p=1, q=1, variant="A", reinforce=True, down="conv"),
    *(ESPNetConfig(3, p=1, q=1, block=block) for block in BLOCK_TITLES),
)


@pytest.mark.parametrize("config", CONTRACTED, ids=lambda config: f"{config.title}, {config.shape}")
class TestContract(NetworkContract): ...


@pytest.mark.parametrize(
    "config", [ESPNetConfig(3, p=1, q=1), ESPNetConfig(3, p=1, q=1, block="shufflenet")], ids=str
)
class TestOnnx(OnnxContract): ...


@pytest.fixture
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("q", "encoder", "full"), [(3, 187_529, 202_649), (5, 252_297, 267_417), (8, 349_449, 364_569)]
)
def test_parameter_counts_are_the_papers(q: int, encoder: int, full: int) -> None:
    assert count_parameters(ESPNet(ESPNetConfig(20, q=q, variant="C"))) == encoder
    assert count_parameters(ESPNet(ESPNetConfig(20, q=q, decoder_width=20, decoder_skip="level1"))) == full
    reinforced = ESPNet(ESPNetConfig(20, q=q, decoder_width=20, decoder_skip="reinforced"))
    assert count_parameters(reinforced) == full + 3 * 20 * 9


@pytest.mark.parametrize("variant", VARIANTS)
def test_output_shape(variant: str) -> None:
    network = ESPNet(ESPNetConfig(3, q=1, variant=variant)).eval()  # type: ignore[arg-type]
    stride = network.output_stride
    assert stride == (1 if variant == "full" else 8)
    assert network(torch.zeros(2, 3, 40, 64)).shape == (2, 3, 40 // stride, 64 // stride)


@settings(max_examples=12, deadline=None)
@given(
    classes=st.integers(2, 30),
    p=st.integers(1, 3),
    q=st.integers(1, 3),
    branches=st.integers(1, 8),
    variant=st.sampled_from(VARIANTS),
    width=st.none() | st.integers(8, 32),
    skip=st.sampled_from(["level1", "reinforced"]),
)
def test_every_valid_config_runs(
    classes: int, p: int, q: int, branches: int, variant: str, width: int | None, skip: str
) -> None:
    config = ESPNetConfig(classes, p, q, branches, variant, width, skip)  # type: ignore[arg-type]
    network = ESPNet(config).eval()
    logits = network(torch.ones(1, 3, 16, 24))
    assert logits.shape == (1, classes, 16 // config.output_stride, 24 // config.output_stride)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 1},
        {"p": 0},
        {"q": 0},
        {"branches": 0},
        {"branches": 21},
        {"decoder_width": 4},
        {"decoder_width": 0},
        {"variant": "D"},
        {"decoder_skip": "level2"},
        {"block": "vgg"},
        {"block_width": 8},
        {"block_width": 0, "block": "resnet"},
        {"block_width": 10, "block": "resnext"},
        {"down": "pool"},
        {"reduce": 5},
        {"activation": "gelu"},
        *({name: value, "block": "resnet"} for name, value in (("hff", False), ("branches", 4))),
    ],
    ids=str,
)
def test_a_config_that_makes_no_network_is_refused(wrong: dict[str, Any]) -> None:
    named = "branches" if wrong == {"decoder_width": 4} else next(iter(wrong))
    with pytest.raises(ValueError, match=f"^{named} is |^p and q are "):
        ESPNetConfig(**({"classes": 8} | wrong))


def test_decoder_is_wide_enough_by_default() -> None:
    assert ESPNetConfig(2).width == 20
    assert ESPNetConfig(33).width == 33
    assert ESPNetConfig(8) == ESPNetConfig(8, decoder_width=20)


def test_sides_that_do_not_fit_are_refused_with_the_size_that_does() -> None:
    with pytest.raises(ValueError, match="100 x 64 pixels does not fit: pad to 104 x 64"):
        ESPNet(ESPNetConfig(2, q=1))(torch.zeros(1, 3, 64, 100))


@pytest.mark.parametrize(("outputs", "thin", "first"), [(64, 12, 16), (128, 25, 28), (20, 4, 4)])
def test_esp_splits_as_released(outputs: int, thin: int, first: int) -> None:
    esp = ESP(outputs, outputs, ESPNetConfig(2))
    branches = [layer(esp, f"branches.{i}", nn.Conv2d) for i in range(5)]
    shapes = [tuple(branch.weight.shape[:2]) for branch in branches]
    assert shapes == [(first, thin)] + [(thin, thin)] * 4
    assert len(esp.branches) == len(branches)
    assert [branch.dilation[0] for branch in branches] == [1, 2, 4, 8, 16]


def branch_weights(esp: ESP) -> list[torch.Tensor]:
    """The weights of its dilated convolutions."""
    return [layer(esp, f"branches.{i}", nn.Conv2d).weight for i in range(len(esp.branches))]


def test_esp_merges_as_released(seeded: None) -> None:
    esp = ESP(64, 64, ESPNetConfig(2)).eval()
    x = torch.randn(1, 64, 40, 40)
    reduced = functional.conv2d(x, esp.reduce.weight)
    d1, d2, d4, d8, d16 = (
        functional.conv2d(reduced, weight, padding=2**k, dilation=2**k)
        for k, weight in enumerate(branch_weights(esp))
    )
    merged = torch.cat([d1, d2, d2 + d4, d2 + d4 + d8, d2 + d4 + d8 + d16], dim=1) + x
    torch.testing.assert_close(esp(x), esp.norm_act(merged))


def test_esp_sees_33_pixels() -> None:
    esp = ESP(5, 5, ESPNetConfig(2)).eval()
    for convolution in (esp.reduce, *esp.branches):
        nn.init.ones_(convolution.weight)
    x = torch.zeros(1, 5, 65, 65, requires_grad=True)
    esp(x)[0, :, 32, 32].sum().backward()
    assert x.grad is not None
    rows = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 3)))
    assert (int(rows.min()), int(rows.max())) == (32 - 16, 32 + 16)


def test_norm_act_has_the_released_constants() -> None:
    norm, act = NormAct(7)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.eps == 1e-3
    assert act.weight.shape == (7,)


def test_no_convolution_has_a_bias() -> None:
    convolutions = [
        m for m in ESPNet(ESPNetConfig(8)).modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert len(convolutions) > 40
    assert all(convolution.bias is None for convolution in convolutions)


def test_initial_weights_keep_the_variance(seeded: None) -> None:
    logits = ESPNet(ESPNetConfig(8)).train()(torch.randn(2, 3, 64, 64))
    assert 0.3 < logits.std() < 3


def test_a_trained_encoder_fits_the_full_network() -> None:
    encoder = ESPNet(ESPNetConfig(20, variant="C"))
    full = ESPNet(ESPNetConfig(20, decoder_width=20))
    missing, unexpected = full.load_state_dict(encoder.state_dict(), strict=False)
    assert unexpected == []
    assert all(name.startswith("decoder.") for name in missing)


def test_exports_with_any_batch_and_size(seeded: None) -> None:
    network = ESPNet(ESPNetConfig(4, p=1, q=1)).eval()
    batch, eighth_h, eighth_w = (torch.export.Dim(name, min=2, max=64) for name in ("batch", "h", "w"))
    exported = torch.export.export(
        network, (torch.randn(2, 3, 32, 48),), dynamic_shapes=({0: batch, 2: 8 * eighth_h, 3: 8 * eighth_w},)
    )
    image = torch.randn(3, 3, 64, 40)
    torch.testing.assert_close(exported.module()(image), network(image))


def test_channels_last_gives_the_same(seeded: None) -> None:
    network = ESPNet(ESPNetConfig(4, p=1, q=1)).eval()
    image = torch.randn(1, 3, 64, 40)
    expected = network(image)
    network = channels_last(network)
    actual = network(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("ablation", ABLATIONS, ids=str)
@pytest.mark.parametrize("variant", ["C", "full"])
def test_every_ablation_keeps_the_shape_and_changes_the_network(
    ablation: dict[str, Any], variant: str, seeded: None
) -> None:
    chosen: dict[str, Any] = {"classes": 3, "p": 1, "q": 1, "variant": variant, **ablation}
    config = ESPNetConfig(**chosen)
    network = ESPNet(config)
    logits = network(torch.randn(2, 3, 64, 72))
    assert logits.shape == (2, 3, 64 // config.output_stride, 72 // config.output_stride)
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert config.ablations
    assert all(words in config.shape for words in config.ablations)


def test_the_published_networks_have_no_ablations() -> None:
    assert not any(ESPNetConfig(8, variant=variant).ablations for variant in VARIANTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ablation", "more"),
    [
        ({"hff": False}, 0),
        ({"residual": False}, 0),
        # A 3x3 reduction has 8 weights more for each of its 1x1; two modules of 64 and three of 128 channels.
        ({"reduce": 3}, 8 * (2 * 64 * 12 + 3 * 128 * 25)),
        # One slope for each channel: of level 1, of each module, and of what is merged.
        ({"activation": "relu"}, -(16 + 19 + 3 * 64 + 131 + 4 * 128 + 256)),
        # Level 1 is handed on as it is; three channels fewer are normalised at level 2, and reduced twice.
        ({"reinforce": False}, -(3 * 19 + 3 * 3 + 3 * 9 * 12 + 3 * 9 * 25)),
        # And level 2 is handed on as it is, without its first map; and so is level 3, to the head.
        ({"variant": "A"}, -(3 * 19 + 3 * 9 * 12 + 3 * 131 + 67 * 9 * 25 + 3 * 256 + 128 * 20)),
        # 131 to 25 and 25 to 128 five times over, all 3x3, against 131 to 128; and so at level 2.
        ({"down": "conv"}, 9 * (131 * 128 - 131 * 25 - 25 * 128 + 19 * 64 - 19 * 12 - 12 * 64)),
    ],
    ids=str,
)
def test_what_an_ablation_costs(ablation: dict[str, Any], more: int) -> None:
    chosen: dict[str, Any] = {"classes": 20, "variant": "C", **ablation}
    config = ESPNetConfig(**chosen)
    assert count_parameters(ESPNet(config)) == 187_529 + more


def test_strided_esps_save_the_papers_third_of_the_parameters() -> None:
    plain = ESPNetConfig(20, variant="C", down="conv")
    assert 0.33 < 1 - 187_529 / count_parameters(ESPNet(plain)) < 0.34


def test_variants_are_presets_of_reinforcement(seeded: None) -> None:
    shared, reinforced = ESPNet(ESPNetConfig(3, variant="B")), ESPNet(ESPNetConfig(3, variant="C"))
    plain = ESPNet(ESPNetConfig(3, variant="C", reinforce=False)).eval()
    plain.load_state_dict(shared.state_dict())
    image = torch.randn(1, 3, 32, 40)
    assert torch.equal(plain(image), shared.eval()(image))
    both = ESPNet(ESPNetConfig(3, variant="B", reinforce=True))
    assert both.state_dict().keys() == reinforced.state_dict().keys()


def test_without_fusion_the_branches_lie_side_by_side(seeded: None) -> None:
    fused, plain = (
        ESP(20, 20, ESPNetConfig(2, hff=hff, residual=False, reduce=3, activation="relu")).eval()
        for hff in (True, False)
    )
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(1, 20, 40, 40)
    reduced = functional.conv2d(x, plain.reduce.weight, padding=1)
    maps = [
        functional.conv2d(reduced, weight, padding=2**k, dilation=2**k)
        for k, weight in enumerate(branch_weights(plain))
    ]
    torch.testing.assert_close(plain(x), plain.norm_act(torch.cat(maps, dim=1)))
    assert not torch.allclose(plain(x), fused(x))


def test_nothing_is_left_of_prelu() -> None:
    network = ESPNet(ESPNetConfig(3, activation="relu"))
    assert not any(isinstance(module, nn.PReLU) for module in network.modules())


def test_widths_by_default_keep_to_the_esp_modules_budget() -> None:
    for block in BLOCK_TITLES:
        parameters = count_parameters(ESPNet(ESPNetConfig(20, variant="C", block=block)))
        assert 0.95 * 187_529 < parameters <= 187_529
