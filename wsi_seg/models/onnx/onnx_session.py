"""Open a network by ONNX Runtime, and run it on one device with a number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsi_seg.errors import DeviceError, ModelError, shortened
from wsi_seg.models.onnx.graph import require_sound
from wsi_seg.packages import required

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

ERRORS_ONLY = 3
"""ONNX Runtime's log level: errors, without the warnings for its developers."""

NO_MEMORY = ("allocate memory", "out of memory", "bad allocation", "bad_alloc")


def onnx_runtime() -> ModuleType:
    """Return the package `onnxruntime`.

    Raises
    ------
    UsageError
        If it is not installed, or broken.
    """
    return required("a network in ONNX", "onnx", "onnxruntime")


def in_words(device: str) -> str:
    """Return what runs a network on a device, in words: ``ONNX Runtime 1.32.0, CPU``."""
    return f"ONNX Runtime {onnx_runtime().__version__}, {device.partition(':')[0].upper()}"


class Session:
    """A network opened by ONNX Runtime. Several threads may run it at a time.

    On a CPU a session has its own threads for each operator; operators run one after another. On a GPU,
    convolution algorithms are chosen by size and not by timing, and compute in full float32, so that all runs
    compute in the same way.

    Parameters
    ----------
    path : Path
        The path that errors name.
    data : bytes
        The model; it is checked when this process opens it for the first time.
    device : torch.device
    threads : int
        Number of threads on a CPU.

    Raises
    ------
    ModelError
        If the model is refused, or ONNX Runtime can't run it.
    DeviceError
        If ONNX Runtime can't use the device.
    UsageError
        If a package is missing.
    """

    def __init__(self, path: Path, data: bytes, device: torch.device, threads: int) -> None:
        runtime = onnx_runtime()
        require_sound(path, data)
        self.path = path
        self._errors = _errors()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = ERRORS_ONLY
        # Waiting threads leave their cores to threads that read and write.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(data, options, providers=_providers(runtime, device))
        except self._errors as error:
            raise ModelError(
                f"{path}: ONNX Runtime {runtime.__version__} cannot run it ({_said(error)}): export it for "
                "an older opset, or upgrade onnxruntime"
            ) from error
        if device.type == "cuda" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise _no_gpu(device)

    def run(self, image: NDArray[np.generic], given: str, wanted: str) -> NDArray[np.generic]:
        """Return an output for an input.

        Raises
        ------
        ModelError
            If the network can't run on it.
        torch.OutOfMemoryError
            If there is not enough memory.
        """
        try:
            found: list[Any] = self._session.run([wanted], {given: image})
        except self._errors as error:
            said = _said(error)
            if any(words in said.lower() for words in NO_MEMORY):
                raise torch.OutOfMemoryError(said) from error
            sides = " x ".join(str(side) for side in image.shape)
            raise ModelError(f"{self.path}: its network cannot be run on {sides} numbers: {said}") from error
        result: NDArray[np.generic] = found[0]
        return result


def _providers(runtime: ModuleType, device: torch.device) -> list[Any]:
    if device.type != "cuda":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        raise _no_gpu(device)
    settings = {
        "device_id": str(device.index or 0),
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
    }
    return [("CUDAExecutionProvider", settings), "CPUExecutionProvider"]


def _no_gpu(device: torch.device) -> DeviceError:
    return DeviceError(
        f"{device}: ONNX Runtime cannot use a GPU here: give --device cpu, or install onnxruntime-gpu in "
        "place of onnxruntime"
    )


def _errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of ONNX Runtime, which have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*found, RuntimeError, ValueError)


def _said(error: Exception) -> str:
    return shortened(" ".join(str(error).split()), 300)
