"""What every network keeps to. A network's tests inherit it, and say which shapes of it are tested:

@pytest.mark.parametrize("config", [ESPNetConfig(3), ...], ids=str)
class TestContract(NetworkContract): ...
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from helpers.networks import backward, channels_last, open_script
from wsi_seg.models.architecture import architecture_of, build_network
from wsi_seg.models.bundle import ModelBundle, load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.model_export import CHECKED, Format, export_model, images_of, open_onnx, open_torchscript
from wsi_seg.models.network import Network, NetworkConfig

SIZES = ((1, 1, 1), (2, 5, 8), (3, 3, 17))
"""Batch, height and width, the sides counted in what they are multiples of; in 8, if that is less."""


def images(config: NetworkConfig, *size: int) -> Tensor:
    """Return random images: how many, their height and their width, counted likewise."""
    batch, height, width = size
    return torch.randn(images_of((batch, height, width), config.multiple))


def header_of(config: NetworkConfig) -> ModelHeader:
    names = [TissueClass(id=i, name=f"class {i}", color=(i, 5 * i, 255 - i)) for i in range(config.classes)]
    return ModelHeader(
        name="tested",
        architecture=architecture_of(config),
        classes=ClassSchema(name="some", classes=tuple(names)),
        input=InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0),
    )


def check_export(network: Network, config: NetworkConfig, path: Path, kind: Format) -> None:
    """Export a network, and compare it at sizes that the export itself does not check."""
    bundle = ModelBundle.of(network, header_of(config), "a fingerprint", Path("a model"))
    assert export_model(bundle, path, kind, 256).difference < 1e-4
    run = open_onnx(path) if kind == "onnx" else open_torchscript(path)
    for size in ((2, 6, 3), (1, 13, 17)):
        assert size not in CHECKED
        image = images(config, *size)
        expected = network(image)
        if network.output_stride > 1:
            expected = functional.interpolate(expected, image.shape[2:], mode="bilinear")
        same(run(image), expected)


def same(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Compare logits that were computed in another order: to a share of the largest."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * expected.abs().max().item())


class Built:
    """Gives each test a network of its own."""

    @pytest.fixture
    def network(self, config: NetworkConfig) -> Network:
        torch.manual_seed(0)
        return build_network(architecture_of(config)).eval()


class NetworkContract(Built):
    """Tests of one network, made fresh for each.

    `threads` are the numbers of CPU threads to compute with; `outputs` is all that the network can
    compute of an image.
    """

    threads: tuple[int, ...] = (1, 2, 3)

    def outputs(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        return (network(image),)

    @torch.inference_mode()
    def test_logits_cover_the_image(self, network: Network, config: NetworkConfig) -> None:
        stride = network.output_stride
        assert 32 % stride == 0
        for batch, height, width in SIZES:
            image = images(config, batch, height, width)
            logits = network(image)
            sides = (image.shape[2] // stride, image.shape[3] // stride)
            assert logits.shape == (batch, config.classes, *sides)
            assert torch.isfinite(logits).all()

    @pytest.mark.parametrize(
        ("rows", "columns", "beyond"), [(8, 12, (0, 1)), (0, 0, (1, 1)), (3, 1, (1, 0)), (0, 1, (0, 0))]
    )
    def test_sides_that_do_not_fit_are_refused_with_the_size_that_does(
        self, network: Network, config: NetworkConfig, rows: int, columns: int, beyond: tuple[int, int]
    ) -> None:
        """Sides are a number of multiples, and perhaps a pixel beyond."""
        multiple = config.multiple
        height, width = rows * multiple + beyond[0], columns * multiple + beyond[1]
        fit = f"{max(1, columns + beyond[1]) * multiple} x {max(1, rows + beyond[0]) * multiple}"
        with pytest.raises(ValueError, match=f"{width} x {height} pixels does not fit: pad to {fit}"):
            network(torch.zeros(1, 3, height, width))

    def test_gradients_reach_every_parameter(self, network: Network, config: NetworkConfig) -> None:
        # Not in training mode, where a convolution's bias is lost in the norm that follows.
        outputs = self.outputs(network, images(config, 2, 12, 8))
        backward(torch.stack([output.square().sum() for output in outputs]).sum())
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0, name

    def test_a_step_of_training_changes_every_parameter(
        self, network: Network, config: NetworkConfig
    ) -> None:
        channels_last(network.train())
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        image = images(config, 2, 8, 8).to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        backward(torch.stack([output.square().sum() for output in self.outputs(network, image)]).sum())
        optimiser.step()
        for name, parameter in network.named_parameters():
            assert torch.isfinite(parameter).all(), name
            assert not torch.equal(parameter, before[name]), name

    @torch.inference_mode()
    def test_logits_depend_on_no_neighbours_and_hardly_on_threads(
        self, network: Network, config: NetworkConfig
    ) -> None:
        channels_last(network)
        image = images(config, 2, 9, 17).to(memory_format=torch.channels_last)
        expected = network(image)
        before = torch.get_num_threads()
        try:
            for threads in self.threads:
                torch.set_num_threads(threads)
                logits = network(image)
                # On some processors PyTorch adds up in another order with another number of threads.
                same(logits, expected)
                assert torch.equal(network(image), logits), threads
                assert torch.equal(network(image.flip(0)).flip(0), logits), threads
        finally:
            torch.set_num_threads(before)

    @torch.inference_mode()
    def test_the_memory_layout_changes_nothing(self, network: Network, config: NetworkConfig) -> None:
        image = images(config, 1, 8, 5)
        expected = network(image)
        channels_last(network)
        same(network(image.to(memory_format=torch.channels_last)), expected)

    @torch.inference_mode()
    def test_a_model_file_gives_it_back(
        self, network: Network, config: NetworkConfig, tmp_path: Path
    ) -> None:
        header, path, again = (
            header_of(config),
            tmp_path / "model.safetensors",
            tmp_path / "again.safetensors",
        )
        save_bundle(path, network, header)
        bundle = load_bundle(path)
        image = images(config, 1, 5, 8)
        assert bundle.header == header
        assert bundle.network.config == config
        assert torch.equal(bundle.network(image), network(image))
        save_bundle(again, bundle.network, bundle.header)
        assert again.read_bytes() == path.read_bytes()

    @torch.inference_mode()
    def test_torchscript_agrees(self, network: Network, config: NetworkConfig, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        check_export(network, config, path, "torchscript")
        graph = str(open_script(path).inlined_graph)
        assert 'value="cpu"' not in graph  # or it would not run on a GPU

    def test_it_says_what_it_is(self, config: NetworkConfig) -> None:
        assert config.title
        assert config.shape

    @torch.inference_mode()
    def test_a_gpu_agrees(self, network: Network, config: NetworkConfig) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no GPU that PyTorch can use here")
        image = images(config, 2, 9, 17)
        expected = network(image)
        before = torch.backends.cudnn.allow_tf32
        try:
            torch.backends.cudnn.allow_tf32 = False
            same(network.cuda()(image.cuda()).cpu(), expected, tolerance=1e-3)
        finally:
            torch.backends.cudnn.allow_tf32 = before


class OnnxContract(Built):
    """The export that takes long, and so is tested for fewer networks.

    Each export compares itself with the network. What is tried are kinds of layers: ESP modules, channel
    shuffles, and pooling to given sizes (PSPNet).
    """

    @pytest.mark.slow
    @torch.no_grad()
    def test_onnx_agrees(self, network: Network, config: NetworkConfig, tmp_path: Path) -> None:
        pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
        check_export(network, config, tmp_path / "model.onnx", "onnx")
