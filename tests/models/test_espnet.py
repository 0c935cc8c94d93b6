"""The network: its size, its shapes, and its equations written out a second time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from wsi_seg.models.espnet import ESP, ESPNet, ESPNetConfig, NormAct

VARIANTS = ("A", "B", "C", "full")


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("q", "encoder", "full"), [(3, 187_529, 202_649), (5, 252_297, 267_417), (8, 349_449, 364_569)]
)
def test_parameter_counts_are_the_papers(q: int, encoder: int, full: int) -> None:
    assert parameters(ESPNet(ESPNetConfig(20, q=q, variant="C"))) == encoder
    assert parameters(ESPNet(ESPNetConfig(20, q=q, decoder_width=20, decoder_skip="level1"))) == full
    reinforced = ESPNet(ESPNetConfig(20, q=q, decoder_width=20, decoder_skip="reinforced"))
    assert parameters(reinforced) == full + 3 * 20 * 9


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
    ],
)
def test_a_config_that_makes_no_network_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(wrong)) if wrong.keys() != {"decoder_width"} else "branches"
    ):
        ESPNetConfig(**({"classes": 8} | wrong))  # type: ignore[arg-type]


def test_decoder_is_wide_enough_by_default() -> None:
    assert ESPNetConfig(2).width == 20
    assert ESPNetConfig(33).width == 33
    assert ESPNetConfig(8) == ESPNetConfig(8, decoder_width=20)


def test_sides_that_do_not_fit_are_refused_with_the_size_that_does() -> None:
    with pytest.raises(ValueError, match="100 x 64 pixels does not fit: pad to 104 x 64"):
        ESPNet(ESPNetConfig(2, q=1))(torch.zeros(1, 3, 64, 100))


@pytest.mark.parametrize(("outputs", "thin", "first"), [(64, 12, 16), (128, 25, 28), (20, 4, 4)])
def test_esp_splits_as_released(outputs: int, thin: int, first: int) -> None:
    esp = ESP(outputs, outputs, 5, residual=True)
    shapes = [tuple(branch.weight.shape[:2]) for branch in esp.branches]
    assert shapes == [(first, thin)] + [(thin, thin)] * 4
    assert [branch.dilation[0] for branch in esp.branches] == [1, 2, 4, 8, 16]


def test_esp_merges_as_released(seeded: None) -> None:
    esp = ESP(64, 64, 5, residual=True).eval()
    x = torch.randn(1, 64, 40, 40)
    reduced = functional.conv2d(x, esp.reduce.weight)
    d1, d2, d4, d8, d16 = (
        functional.conv2d(reduced, branch.weight, padding=2**k, dilation=2**k)
        for k, branch in enumerate(esp.branches)
    )
    merged = torch.cat([d1, d2, d2 + d4, d2 + d4 + d8, d2 + d4 + d8 + d16], dim=1) + x
    torch.testing.assert_close(esp(x), esp.norm_act(merged))


def test_esp_sees_33_pixels() -> None:
    esp = ESP(5, 5, 5).eval()
    for convolution in (esp.reduce, *esp.branches):
        nn.init.ones_(convolution.weight)
    x = torch.zeros(1, 5, 65, 65, requires_grad=True)
    esp(x)[0, :, 32, 32].sum().backward()
    assert x.grad is not None
    rows = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 3)))
    assert (rows.min(), rows.max()) == (32 - 16, 32 + 16)


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
    network = network.to(memory_format=torch.channels_last)
    actual = network(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
