from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers.networks import backward, channels_last
from torch import nn
from torch.nn import functional

from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.training.engine.parts import Parts


def small_network() -> ESPNet:
    torch.manual_seed(0)
    return channels_last(ESPNet(ESPNetConfig(classes=3, p=1, q=1)))


def loss_of(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(network(images).float(), classes)


def batch(seed: int = 0, count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 32, 32, generator=generator)
    return images, torch.randint(3, (count, 32, 32), generator=generator)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("cast", [False, True])
def test_losses_gradients_and_statistics_are_the_means_of_the_parts(count: int, cast: bool) -> None:
    network, (images, classes) = small_network(), batch()
    losses, gradients, buffers = [], [], []
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        for part in zip(images.chunk(count), classes.chunk(count), strict=True):
            alone = copy.deepcopy(network)
            losses.append(loss_of(alone, *part))
            gradients.append(torch.autograd.grad(losses[-1], list(alone.parameters())))
            buffers.append(list(alone.buffers()))

        loss = Parts(network, loss_of, count)(images, classes)
    backward(3 * loss)

    torch.testing.assert_close(loss, torch.stack(losses).mean())
    for parameter, *each in zip(network.parameters(), *gradients, strict=True):
        torch.testing.assert_close(parameter.grad, 3 * torch.stack(each).mean(dim=0))
    for own, *each in zip(network.buffers(), *buffers, strict=True):
        torch.testing.assert_close(own.double(), torch.stack([b.double() for b in each]).mean(dim=0))


def test_the_same_to_the_bit_with_one_core() -> None:
    def trained(threads: int) -> list[torch.Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            network = small_network()
            parts = Parts(network, loss_of, 2)
            optimiser = torch.optim.SGD(network.parameters(), 0.1)
            for step in range(3):
                optimiser.zero_grad()
                backward(parts(*batch(step)))
                optimiser.step()
            return [*network.parameters(), *network.buffers()]
        finally:
            torch.set_num_threads(before)

    assert all(torch.equal(a, b) for a, b in zip(trained(1), trained(2), strict=True))


def test_the_state_is_that_of_one_network() -> None:
    network = small_network()
    names = set(network.state_dict())
    backward(Parts(network, loss_of, 2)(*batch()))
    assert set(network.state_dict()) == names


def test_a_part_that_fails_fails_the_batch() -> None:
    def broken(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no more")

    with pytest.raises(torch.OutOfMemoryError):
        Parts(small_network(), broken, 2)(*batch())


def test_other_threads_keep_their_cores() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        Parts(small_network(), loss_of, 2)(*batch())
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 4
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


class WithoutBuffers(nn.Module):
    """No normalisation, and a layer that nothing uses: as a network of somebody else's may be."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Conv2d(3, 3, 3, padding=1)
        self.unused = nn.Linear(2, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classify(image)
        return logits


def test_a_network_may_have_no_buffers_and_layers_that_it_does_not_use() -> None:
    network, (images, classes) = WithoutBuffers(), batch()
    loss = Parts(network, loss_of, 2)(images, classes)
    backward(loss)
    torch.testing.assert_close(loss, loss_of(network, images, classes))
    expected = torch.autograd.grad(loss_of(network, images, classes), network.classify.weight)
    torch.testing.assert_close(network.classify.weight.grad, *expected)
    assert network.unused.weight.grad is not None
    assert not network.unused.weight.grad.any()
