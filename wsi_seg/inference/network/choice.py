"""What is chosen of how a network runs, in words. PyTorch is not needed to choose it, nor to speak of it.

"plain": any network on any device, by PyTorch. "compiled": on a CPU, ESPNets in float32, by kernels that are
compiled for the processor (`wsi_seg.inference.fast`), with the same classes on any; on a GPU, any network,
as a CUDA graph. "amx": the same kernels, but convolutions by AMX, which some processors have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsi_seg.errors import KernelsError, UsageError
from wsi_seg.inference.fast.fast_espnet import can_rearrange
from wsi_seg.inference.fast.library import has_amx, load_kernels
from wsi_seg.models.onnx.onnx_config import OnnxConfig

if TYPE_CHECKING:
    from wsi_seg.models.network_config import NetworkConfig

Precision = Literal["float32", "bfloat16", "float16"]
Compile = Literal["auto", "yes", "no", "amx"]
Form = Literal["plain", "compiled", "amx"]

AS_ASKED: dict[Form, Compile] = {"plain": "no", "compiled": "yes", "amx": "amx"}
"""What to ask for to get a form, or none: a run chooses its form once, and its workers do not choose."""

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
    wanted : {"auto", "yes", "no", "amx"}
        "auto" takes, on a CPU, "amx" where it is possible, else "compiled" where it is.

    Raises
    ------
    UsageError
        If "yes" or "amx" is given and not possible, or if ONNX Runtime is needed and not installed.
    """
    if isinstance(config, OnnxConfig):
        from wsi_seg.models.onnx.onnx_session import in_words

        if precision != "float32":
            raise UsageError(f"--precision {precision}: an ONNX file decides its own precision: leave it out")
        if wanted in ("yes", "amx"):
            raise UsageError(
                f"--compile {wanted}: a network in ONNX is run by ONNX Runtime: give --compile no"
            )
        return Choice("plain", in_words(device))
    if wanted == "no":
        return Choice("plain", "as asked for")
    if device.startswith("cuda") and wanted == "amx":
        raise UsageError("--compile amx: AMX is part of some CPUs: give --device cpu, or --compile auto")
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
            choice = Choice("plain", f"{THREE_TIMES_SLOWER}: {error}" if wanted == "auto" else str(error))
        else:
            return _compiled(wanted)
    if wanted != "auto":
        raise UsageError(f"--compile {wanted}: {choice.why}: give --compile no")
    return choice


def _compiled(wanted: Compile) -> Choice:
    """Choose between the forms of compiled kernels, which there are."""
    if wanted == "yes":
        return Choice("compiled", "for this processor")
    if has_amx():
        return Choice("amx", "compiled for this processor, products of 16 bits")
    if wanted == "amx":
        raise UsageError(
            "--compile amx: this processor has no AMX, or its compiler or system does not know it: give "
            "--compile yes"
        )
    return Choice("compiled", "for this processor")
