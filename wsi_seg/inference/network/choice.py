"""What is chosen of how a network runs, in words. PyTorch is not needed to choose it, nor to speak of it.

"plain": any network on any device, by PyTorch. "compiled": on a CPU, ESPNets in float32, by kernels that are
compiled for the processor (`wsi_seg.inference.fast`); on a GPU, any network, as a CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsi_seg.errors import KernelsError, UsageError
from wsi_seg.inference.fast.fast_espnet import can_rearrange
from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.models.onnx.onnx_config import OnnxConfig

if TYPE_CHECKING:
    from wsi_seg.models.network_config import NetworkConfig

Precision = Literal["float32", "bfloat16", "float16"]
Compile = Literal["auto", "yes", "no"]
Form = Literal["plain", "compiled"]

THREE_TIMES_SLOWER = "three times slower than compiled"


@dataclass(frozen=True)
class Choice:
    """A form, and the reason for it in a few words."""

    form: Form
    why: str

    def __str__(self) -> str:
        return f"{self.form}: {self.why}"


def choose_form(config: NetworkConfig, device: str, precision: Precision, wanted: Compile) -> Choice:
    """Choose the form to run a network in.

    The first call on a machine may take some seconds, as kernels are compiled.

    Parameters
    ----------
    config : NetworkConfig
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
    if isinstance(config, OnnxConfig):
        from wsi_seg.models.onnx.onnx_session import in_words

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
    if not can_rearrange(config):
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
