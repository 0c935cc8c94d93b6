from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from helpers.networks import backward, channels_last
from torch import nn

from wsi_seg.data.sources import IGNORE
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.training.engine.loss import SegmentationLoss
from wsi_seg.training.engine.step_graphs import MOST, Recorded, replica

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


LOSS = SegmentationLoss(torch.tensor([1.0, 2.0, 3.0]), dice=1)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    network = ESPNet(ESPNetConfig(classes=3, p=1, q=1))
    return channels_last(network.to(DEVICE)).train()


def loss_of(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    loss: torch.Tensor = LOSS(network(images), classes)
    return loss


def batch(seed: int, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(3, (2, side, side), generator=generator, dtype=torch.uint8)
    classes[:, : seed % side] = IGNORE
    images = torch.randn(2, 3, side, side, generator=generator)
    return images.to(DEVICE, memory_format=torch.channels_last), classes.to(DEVICE)


@pytest.fixture(autouse=True)
def float32() -> Iterator[None]:
    LOSS.to(DEVICE)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def all_gradients(network: nn.Module) -> torch.Tensor:
    gradients = [parameter.grad for parameter in network.parameters()]
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def test_a_replica_is_the_network_itself_but_for_its_gradients() -> None:
    network = small_network()
    twin = replica(network)
    recorded = Recorded(network, loss_of)
    images, classes = batch(1)
    _, gradients = recorded._compute((images, classes))
    assert all(p.grad is None for p in network.parameters())
    expected = copy.deepcopy(network)
    backward(loss_of(expected, images, classes))
    torch.testing.assert_close(torch.cat([g.flatten() for g in gradients]), all_gradients(expected))

    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    for own, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert own.data_ptr() == other.data_ptr()
    for buffer, shared in zip(network.buffers(), twin.buffers(), strict=True):
        assert buffer is shared


def test_what_cannot_be_recorded_is_computed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Recorded, given: object) -> None:
        raise RuntimeError("no graph\nand more")

    monkeypatch.setattr(Recorded, "_record", fail)
    network = small_network()
    recorded = Recorded(network, loss_of)
    for _ in range(2):
        backward(recorded(*batch(1)))
    assert all_gradients(network).norm() > 0
    assert caplog.messages == ["training is slower than it could be: its steps cannot be recorded (no graph)"]


@on_a_gpu
@pytest.mark.parametrize("cast", [False, True])
def test_losses_gradients_and_statistics_are_those_of_plain_steps(cast: bool) -> None:
    network = small_network()
    plain = copy.deepcopy(network)
    recorded = Recorded(network, loss_of)
    for seed, side in ((1, 64), (2, 64), (3, 96), (4, 64), (5, 96)):
        images, classes = batch(seed, side)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=cast):
            loss, expected = recorded(images, classes), loss_of(plain, images, classes)
        network.zero_grad()
        plain.zero_grad()
        backward(3 * loss)
        backward(3 * expected)

        torch.testing.assert_close(loss, expected, rtol=1e-2 if cast else 1e-4, atol=0)
        own, other = all_gradients(network), all_gradients(plain)
        assert (own - other).norm() <= (0.1 if cast else 1e-3) * other.norm()
        for own, other in zip(network.buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-2, atol=1e-3)


@on_a_gpu
def test_a_network_learns_by_recorded_steps_as_by_plain_ones() -> None:
    def trained(record: bool) -> list[float]:
        network = small_network()
        compute = Recorded(network, loss_of) if record else lambda *given: loss_of(network, *given)
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        losses = []
        for _ in range(20):
            optimiser.zero_grad()
            loss = compute(*batch(7))
            backward(loss)
            optimiser.step()
            losses.append(float(loss.detach()))
        return losses

    recorded, plain = trained(True), trained(False)
    assert recorded[-1] < 0.8 * recorded[0]
    assert recorded[:5] == pytest.approx(plain[:5], rel=1e-2)


@on_a_gpu
def test_more_shapes_than_are_recorded_are_computed_all_the_same() -> None:
    network = small_network()
    recorded = Recorded(network, loss_of)
    for number in range(MOST + 2):
        network.zero_grad()
        backward(recorded(*batch(1, 32 + 8 * number)))
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
