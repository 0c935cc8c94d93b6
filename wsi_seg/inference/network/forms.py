"""The forms in which PyTorch or ONNX Runtime runs a network, on tensors of any device.

Which form a network runs in is chosen by `choose_form`; compiled kernels on a CPU are in `compiled_form.py`.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import UsageError
from wsi_seg.inference.network.devices import NEEDS_GPU, OutOfDeviceMemoryError
from wsi_seg.inference.network.float32 import float32_proper
from wsi_seg.inference.network.folding import folded
from wsi_seg.inference.network.graphs import Graphed
from wsi_seg.inference.network.onnx_form import OnnxForm
from wsi_seg.inference.network.pixels import Normalisation, at_full_size, best_channel, decide_surely
from wsi_seg.inference.network.transfer import Transfer
from wsi_seg.models.onnx.onnx_network import OnnxNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.inference.network.choice import Form, Precision
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network

    Bytes = Callable[[], NDArray[np.uint8]]

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def run_as(
    form: Form, network: Network, spec: InputSpec, device: torch.device, precision: Precision = "float32"
) -> PlainNetwork | OnnxForm:
    """Prepare a network to run in a form; it is copied, and stays unchanged.

    Parameters
    ----------
    form : {"plain", "compiled"}
        As `choose_form` returned it; on a CPU "plain".
    network : Network
        In eval mode, float32, on the CPU.
    spec : InputSpec
        How pixels are normalised.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}

    Raises
    ------
    UsageError
        If the device cannot compute in that precision or that form.
    """
    if isinstance(network, OnnxNet):
        return OnnxForm(network, spec, device)
    if precision == "float16" and device.type == "cpu":
        raise UsageError(NEEDS_GPU)
    return PlainNetwork(network, spec, device, DTYPES[precision], graphs=form == "compiled")


class PlainNetwork:
    """A network run by PyTorch."""

    def __init__(
        self, network: Network, spec: InputSpec, device: torch.device, dtype: torch.dtype, graphs: bool
    ) -> None:
        self._dtype = dtype
        # cuDNN computes ESPNet's narrow maps plane by plane in 0.64 to 0.71 of the time.
        self._layout = torch.contiguous_format if device.type == "cuda" else torch.channels_last
        self._network = folded(network).to(device, dtype).to(memory_format=self._layout)  # type: ignore[call-overload]
        self._normalise = Normalisation(spec, device)
        self._forward = Graphed(self._run) if graphs else self._run
        self.output_stride = network.output_stride

    def twin(self) -> PlainNetwork:
        """Return this one, which serves several threads."""
        return self

    def _run(self, pixels: Tensor) -> Tensor:
        # (N, height, width, 3) seen as (N, 3, height, width) is already the channels-last layout.
        images = self._normalise(pixels.permute(0, 3, 1, 2)).to(self._dtype)
        with float32_proper():
            logits: Tensor = self._network(images.contiguous(memory_format=self._layout))
        return logits.float()

    def logits(self, pixels: Tensor) -> Tensor:
        """Return float32 logits of RGB pixels, uint8 (N, height, width, 3), as the network gives them."""
        logits = self._forward(pixels)
        return logits.clone() if isinstance(self._forward, Graphed) else logits

    def best(self, pixels: Tensor, margin: int) -> Tensor:
        """Return the channel of the largest logit, uint8 (N, height, width) less a margin on every side."""
        return best_channel(self._forward(pixels), self.output_stride, margin)


class TensorForm:
    """A network run on tensors: by PyTorch, or by ONNX Runtime.

    Parameters
    ----------
    bundle : ModelBundle
        Its network is copied, and stays unchanged.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
    form : {"plain", "compiled"}
        As `run_as` takes it.
    """

    windowed = False

    def __init__(self, bundle: ModelBundle, device: torch.device, precision: Precision, form: Form) -> None:
        self._network = run_as(form, bundle.network, bundle.input, device, precision)
        self._transfer = Transfer(device)
        self._device = device

    def twin(self) -> Self:
        """Return another one for another thread."""
        twin = copy.copy(self)
        twin._network = self._network.twin()
        return twin

    def send(self, patches: NDArray[np.uint8]) -> Callable[[], Tensor]:
        """Start to send patches to the device; return what `segment` takes.

        Raises
        ------
        OutOfDeviceMemoryError
        """
        with _out_of_memory():
            return self._transfer.send(patches)

    @torch.inference_mode()
    def segment(
        self, pixels: Callable[[], Tensor], margin: int, confidence: bool, windows: object
    ) -> tuple[Bytes, Bytes | None]:
        """Compute channels and confidence, less a margin on every side; return functions that wait for them.

        Raises
        ------
        OutOfDeviceMemoryError
        """
        with _out_of_memory():
            if not confidence:
                return self._transfer.fetch(self._network.best(pixels(), margin)), None
            logits = self._network.logits(pixels())
            channels, sure = decide_surely(logits, self._network.output_stride, margin)
            return self._transfer.fetch(channels), self._transfer.fetch(sure)

    def logits(self, patches: NDArray[np.uint8]) -> Tensor:
        """Return float32 logits at full size, shape (N, classes, height, width), on the device."""
        logits = self._network.logits(self._transfer.send(patches)())
        return at_full_size(logits, self._network.output_stride)

    def release(self) -> None:
        """Give memory of the device back that is not in use."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def _out_of_memory() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfDeviceMemoryError(str(error)) from error


def tensor_form(form: Form, bundle: ModelBundle, device: str, precision: Precision) -> TensorForm:
    """Return a network run on tensors, of the device with this name."""
    return TensorForm(bundle, torch.device(device), precision, form)
