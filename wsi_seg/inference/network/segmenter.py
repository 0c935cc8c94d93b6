"""A network, prepared to segment patches on one device."""

from __future__ import annotations

import copy
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import DeviceError
from wsi_seg.inference.network.choice import choose_form
from wsi_seg.inference.network.compiled_form import CompiledForm
from wsi_seg.inference.network.devices import OutOfDeviceMemoryError, computing_cores, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import torch
    from numpy.typing import NDArray

    from wsi_seg.inference.fast.windows import Windows
    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.inference.network.forms import TensorForm
    from wsi_seg.models.bundle import ModelBundle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmented:
    """The result for a batch of patches, without their margins.

    Attributes
    ----------
    labels : uint8 array, shape (batch, height, width)
        Class ids.
    confidence : uint8 array of the same shape, or None
        Probability of that class, 255 for 1.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None


class Segmenter:
    """Runs a model over batches of patches. Several threads may call it; one batch is computed at a time.

    The network always runs in one thread of its own: memory allocators and OpenMP keep memory for each thread
    that calls them, and for a network that is a lot.

    To use the fast network by itself, make one from a bundle, and call it or its `logits`.

    Parameters
    ----------
    bundle : ModelBundle
        Its network is copied, and stays unchanged.
    device : str or torch.device
        As `choose_device` names it.
    precision : {"float32", "bfloat16", "float16"}
    compiled : {"auto", "yes", "no", "amx"}
        Whether to use compiled kernels; "auto" uses them where possible: see `choose_form`.
    threads : int, optional
        Number of threads on a CPU; by default `computing_cores`.

    Attributes
    ----------
    device : str
    choice : Choice
        The form in which the network runs, and why.
    windowed : bool
        Whether it computes only the part of a patch that is wanted, if it is told which.
    threads : int
    multiple : int
        The network takes patches whose sides are multiples of this.
    most : int or None
        Number of patches that fit the device's memory, once it has run out of memory.

    Raises
    ------
    UsageError
        If the device cannot compute in that precision, or if compiled kernels are asked for and not possible.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        device: str | torch.device,
        precision: Precision = "float32",
        compiled: Compile = "auto",
        threads: int | None = None,
    ) -> None:
        self.device = str(device)
        config = bundle.architecture.config
        self.multiple = config.multiple
        self.most: int | None = None
        self.choice = choose_form(config, self.device, precision, compiled)
        self.threads = threads = threads or computing_cores()
        self._form: CompiledForm | TensorForm
        self._new_thread: Callable[[], ThreadPoolExecutor]
        if self.choice.form != "plain" and kind_of(self.device) == "cpu":
            self._form = CompiledForm(bundle, threads, by_amx=self.choice.form == "amx")
            self._new_thread = lambda: ThreadPoolExecutor(1, "network")
        else:
            from wsi_seg.inference.network.forms import tensor_form
            from wsi_seg.inference.network.threads import computing_threads

            self._form = tensor_form(self.choice.form, bundle, self.device, precision)
            self._new_thread = lambda: computing_threads(1, threads, "network")
        self.windowed = self._form.windowed
        self._thread = self._new_thread()
        ids = bundle.schema.ids
        # Most schemas number classes as the network does its channels: then there is nothing to look up.
        self._class_ids = None if ids == tuple(range(len(ids))) else np.array(ids, dtype=np.uint8)

    def twin(self) -> Self:
        """Return another one that can compute at the same time; they share what they can."""
        twin = copy.copy(self)
        twin._form = self._form.twin()
        twin._thread = self._new_thread()
        return twin

    def __call__(
        self,
        patches: NDArray[np.uint8],
        margin: int = 0,
        confidence: bool = False,
        windows: Sequence[Windows] | None = None,
    ) -> Segmented:
        """Segment a batch.

        If the device runs out of memory, half as many patches are computed at a time from then on, and a
        warning is logged.

        Parameters
        ----------
        patches : uint8 array, shape (batch, height, width, 3)
            RGB, with sides that are multiples of `multiple`.
        margin : int
            Width of the border that is only context and is left out of the result.
        confidence : bool
            Whether to return the confidence.
        windows : sequence of Windows, optional
            For each patch, where a class is wanted and what the network looks at; by default everywhere, and
            everything. Elsewhere labels are arbitrary. Only if `windowed`.

        Raises
        ------
        DeviceError
            If the device runs out of memory at a single patch.
        """
        if windows is not None:
            return self._part(patches, margin, confidence, windows)
        while True:
            count = min(self.most or len(patches), len(patches))
            try:
                parts = [self._part(part, margin, confidence, None) for part in _parts(patches, count)]
                return _joined(parts, len(patches))
            except OutOfDeviceMemoryError as error:
                what = f"{self.device}: out of memory at {count} patches of {patches.shape[2]} px"
                if count == 1:
                    remedy = "give a smaller --patch or --device cpu, and run the same command again"
                    raise DeviceError(f"{what}: {remedy}") from error
                self.most = min(self.most or count, count // 2)
                log.warning("%s: continuing with %d at a time", what, self.most)
            self._form.release()

    def _part(
        self, patches: NDArray[np.uint8], margin: int, confidence: bool, windows: Sequence[Windows] | None
    ) -> Segmented:
        given = self._form.send(patches)
        labels, sure = self._thread.submit(self._form.segment, given, margin, confidence, windows).result()  # type: ignore[arg-type]
        channels = labels()
        ids = channels if self._class_ids is None else self._class_ids[channels]
        return Segmented(ids, sure() if sure else None)

    def logits(self, patches: NDArray[np.uint8]) -> torch.Tensor:
        """Return float32 logits at full size, shape (batch, classes, height, width), on the device."""
        return self._form.logits(patches)


def _parts(patches: NDArray[np.uint8], count: int) -> list[NDArray[np.uint8]]:
    """Cut a batch into parts of equal size; the last one is padded, so that all are computed the same way."""
    missing = -len(patches) % count
    filled = np.concatenate([patches, np.zeros_like(patches[:missing])]) if missing else patches
    return [filled[i : i + count] for i in range(0, len(filled), count)]


def _joined(parts: list[Segmented], count: int) -> Segmented:
    if len(parts) == 1:
        return parts[0]
    sure = [part.confidence for part in parts if part.confidence is not None]
    return Segmented(
        np.concatenate([part.labels for part in parts])[:count],
        np.concatenate(sure)[:count] if sure else None,
    )
