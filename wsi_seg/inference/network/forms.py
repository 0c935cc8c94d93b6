"""The forms in which a network runs, and the choice between them.

"plain": any network on any device, by PyTorch. "compiled": on a CPU, ESPNets in float32, by kernels that are
compiled for the processor (`wsi_seg.inference.fast`); on a GPU, any network, as a CUDA graph.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.errors import KernelsError, UsageError
from wsi_seg.inference.fast.fast_espnet import FastESPNet, can_rearrange
from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.inference.fast.windows import Windows, grown
from wsi_seg.inference.network.choice import Choice
from wsi_seg.inference.network.float32 import float32_proper
from wsi_seg.inference.network.folding import folded
from wsi_seg.inference.network.graphs import Graphed
from wsi_seg.inference.network.onnx_form import OnnxForm
from wsi_seg.inference.network.pixels import Normalisation, best_channel
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.onnx.onnx_session import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from wsi_seg.inference.network.choice import Compile, Form, Precision
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


THREE_TIMES_SLOWER = "three times slower than compiled"


def choose_form(network: nn.Module, device: str, precision: Precision, wanted: Compile) -> Choice:
    """Choose the form to run a network in.

    The first call on a machine may take some seconds, as kernels are compiled.

    Parameters
    ----------
    network : nn.Module
    device : str
        ``cpu`` or ``cuda``, with a number or without.
    precision : {"float32", "bfloat16", "float16"}
    wanted : {"auto", "yes", "no"}
        "auto" takes "compiled" where it is known to be faster and is possible.

    Raises
    ------
    UsageError
        If "yes" is given and kernels cannot be compiled, or if ONNX Runtime is needed and not installed.
    """
    if isinstance(network, OnnxNet):
        if precision != "float32":
            raise UsageError(f"--precision {precision}: an ONNX file decides its own precision: leave it out")
        if wanted == "yes":
            raise UsageError("--compile yes: a network in ONNX is run by ONNX Runtime: give --compile no")
        return Choice("plain", in_words(device))
    if wanted == "no":
        return Choice("plain", "as asked for")
    if device.startswith("cuda"):
        # Not by "auto": it takes 0.6 of the time for one patch, but as long for the 16 that `predict` gives.
        return Choice("compiled", "as asked for") if wanted == "yes" else Choice("plain", "on a GPU")
    if not can_rearrange(network):
        choice = Choice("plain", "on a CPU, only ESPNets as published can be compiled")
    elif precision != "float32":
        choice = Choice("plain", f"on a CPU, only float32 can be compiled, not {precision}")
    else:
        try:
            load_kernels()
        except KernelsError as error:
            choice = Choice("plain", str(error) if wanted == "yes" else f"{THREE_TIMES_SLOWER}: {error}")
        else:
            return Choice("compiled", "for this processor")
    if wanted == "yes":
        raise UsageError(f"--compile yes: {choice.why}: give --compile no")
    return choice


def run_as(
    form: Form, network: Network, spec: InputSpec, device: torch.device, precision: Precision = "float32"
) -> AnyForm:
    """Prepare a network to run in a form; it is copied, and stays unchanged.

    Parameters
    ----------
    form : {"plain", "compiled"}
        As `choose_form` returned it.
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
        raise UsageError("--precision float16 needs a GPU: use float32 or bfloat16")
    if form == "compiled" and device.type == "cpu":
        choose_form(network, "cpu", precision, "yes")
        return CompiledESPNet(network, spec)
    return PlainNetwork(network, spec, device, DTYPES[precision], graphs=form == "compiled")


class CompiledESPNet:
    """An ESPNet run by compiled kernels. For one thread at a time."""

    def __init__(self, network: Network, spec: InputSpec) -> None:
        self._fast = FastESPNet(network, spec)  # type: ignore[arg-type]  # an ESPNet, by `can_rearrange`
        self._windows: Sequence[Windows] | None = None
        self.output_stride = network.output_stride

    def twin(self) -> CompiledESPNet:
        """Return another one for another thread, with the same weights."""
        twin = copy.copy(self)
        twin._fast = self._fast.twin()
        return twin

    def within(self, windows: Sequence[Windows]) -> CompiledESPNet:
        """Return this one, for images of which only a part is wanted; a window for each."""
        if self.output_stride > 1:  # enlarged bilinearly: a logit is wanted around a wanted pixel, too
            windows = [replace(w, wanted=grown(w.wanted, 1)) for w in windows]
        within = copy.copy(self)
        within._windows = windows
        return within

    def logits(self, pixels: Tensor) -> Tensor:
        """Return float32 logits of RGB pixels, uint8 (N, height, width, 3), as the network gives them."""
        threads = torch.get_num_threads()
        windows = self._windows or repeat(None, len(pixels))
        logits = [self._fast.logits(p, threads, w) for p, w in zip(pixels.numpy(), windows, strict=True)]
        return torch.from_numpy(logits[0][None] if len(logits) == 1 else np.stack(logits))

    def best(self, pixels: Tensor, margin: int) -> Tensor:
        """Return the channel of the largest logit, uint8 (N, height, width) less a margin on every side."""
        if self.output_stride > 1:
            return best_channel(self.logits(pixels), self.output_stride, margin)
        threads = torch.get_num_threads()
        windows = self._windows or repeat(None, len(pixels))
        best = [self._fast.best(p, margin, threads, w) for p, w in zip(pixels.numpy(), windows, strict=True)]
        return torch.from_numpy(np.stack(best))


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


AnyForm = PlainNetwork | CompiledESPNet | OnnxForm
"""A network in any of its forms."""
