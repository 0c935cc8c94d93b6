"""Batch normalisations that follow other images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.renormalised import (
    normalisations,
    renormalised,
    shift_of,
    statistics_of,
    with_statistics,
)


@pytest.fixture(scope="module")
def network() -> ESPNet:
    torch.manual_seed(3)
    return ESPNet(ESPNetConfig(3, p=1, q=1)).eval()


IMAGES = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 3 + 2


def test_with_all_of_the_images_maps_are_normalised_as_in_training(network: ESPNet) -> None:
    """PyTorch's own training mode is the second opinion."""
    found = renormalised(network, IMAGES, 1.0)
    trained = renormalised(network, IMAGES, 0.0).train()
    with torch.inference_mode():
        assert torch.allclose(found(IMAGES), trained(IMAGES), rtol=0.02, atol=0.02)
        assert not torch.allclose(found(IMAGES), network(IMAGES), rtol=0.02, atol=0.02)


def test_none_of_the_images_leaves_all_but_the_last_digits(network: ESPNet) -> None:
    found = renormalised(network, IMAGES, 0.0)
    for name, norm in normalisations(network).items():
        for buffer in ("running_mean", "running_var"):
            moved = found.get_submodule(name).get_buffer(buffer)
            assert torch.allclose(moved, norm.get_buffer(buffer), rtol=2**-12, atol=0)


def test_half_is_in_the_middle_at_the_first_normalisation(network: ESPNet) -> None:
    first = next(iter(normalisations(network)))
    none, half, whole = (
        renormalised(network, IMAGES, share).get_submodule(first).get_buffer("running_mean")
        for share in (0.0, 0.5, 1.0)
    )
    assert torch.allclose(half, (none + whole) / 2, rtol=1e-3, atol=1e-5)


def test_the_shift_is_what_means_differ_by_in_variances(network: ESPNet) -> None:
    own = renormalised(network, IMAGES, 1.0)
    assert shift_of(own, IMAGES) < 1e-4
    assert shift_of(network, IMAGES) > 1
    apart = nn.Sequential(nn.BatchNorm2d(3)).eval()
    assert shift_of(apart, torch.full((2, 3, 4, 4), 3.0)) == pytest.approx(9, rel=1e-3)
    assert shift_of(nn.Sequential(nn.Identity()), IMAGES) == 0


def test_the_network_itself_stays(network: ESPNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    renormalised(network, IMAGES, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_statistics_are_read_back_to_the_bit(network: ESPNet) -> None:
    found = renormalised(network, IMAGES, 0.7)
    again = with_statistics(network, statistics_of(found))
    assert statistics_of(again) == statistics_of(found) != statistics_of(network)
    with torch.inference_mode():
        assert torch.equal(again(IMAGES), found(IMAGES))


@pytest.mark.parametrize("other", [nn.Sequential(nn.BatchNorm2d(4)), nn.Sequential()])
def test_statistics_of_another_network_are_refused(other: nn.Module, network: ESPNet) -> None:
    content = statistics_of(other)
    with pytest.raises(ValueError, match="statistics of another network"):
        with_statistics(network, content)


def test_what_is_no_file_of_statistics_is_refused(network: ESPNet) -> None:
    with pytest.raises(ValueError, match="eader"):
        with_statistics(network, b"no statistics")
