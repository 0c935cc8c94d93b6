"""A network, prepared to segment patches on one device."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.errors import DeviceError, UsageError
from wsi_seg.inference.network.forms import CompiledESPNet, choose_form, run_as
from wsi_seg.inference.network.pixels import cropped, decide, enlarge
from wsi_seg.inference.network.threads import computing_threads
from wsi_seg.inference.network.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.inference.fast.windows import Windows
    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.inference.network.forms import AnyForm
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
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
    compiled : {"auto", "yes", "no"}
        Whether to use compiled kernels; "auto" uses them where possible: see `choose_form`.
    threads : int, optional
        Number of threads on a CPU; by default PyTorch's.

    Attributes
    ----------
    device : torch.device
    choice : Choice
        The form in which the network runs, and why.
    windowed : bool
        Whether it computes only the part of a patch that is wanted, if it is told which.
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
        device: torch.device,
        precision: Precision = "float32",
        compiled: Compile = "auto",
        threads: int | None = None,
    ) -> None:
        self.device = device
        self.multiple = bundle.network.config.multiple
        self.most: int | None = None
        self.choice = choose_form(bundle.network, device.type, precision, compiled)
        self._network = run_as(self.choice.form, bundle.network, bundle.input, device, precision)
        self.windowed = isinstance(self._network, CompiledESPNet)
        self._transfer = Transfer(device)
        self._threads = threads or torch.get_num_threads()
        self._thread = computing_threads(1, self._threads, "network")
        self._class_ids = np.array(bundle.schema.ids, dtype=np.uint8)

    def twin(self) -> Self:
        """Return another one that can compute at the same time; they share what they can."""
        twin = copy.copy(self)
        twin._network = self._network.twin()
        twin._thread = computing_threads(1, self._threads, "network")
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
        if windows is not None and isinstance(self._network, CompiledESPNet):
            return self._part(patches, margin, confidence, self._network.within(windows))
        while True:
            count = min(self.most or len(patches), len(patches))
            try:
                return _joined(
                    [self._part(p, margin, confidence, self._network) for p in _parts(patches, count)],
                    len(patches),
                )
            except torch.OutOfMemoryError as error:
                what = f"{self.device}: out of memory at {count} patches of {patches.shape[2]} px"
                if count == 1:
                    remedy = "give a smaller --patch or --device cpu, and run the same command again"
                    raise DeviceError(f"{what}: {remedy}") from error
                self.most = min(self.most or count, count // 2)
                log.warning("%s: continuing with %d at a time", what, self.most)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _part(self, patches: NDArray[np.uint8], margin: int, confidence: bool, network: AnyForm) -> Segmented:
        pixels = self._transfer.send(patches)
        labels, sure = self._thread.submit(self._segment, pixels, margin, confidence, network).result()
        return Segmented(self._class_ids[labels()], sure() if sure else None)

    @torch.inference_mode()
    def _segment(
        self, pixels: Callable[[], Tensor], margin: int, confidence: bool, network: AnyForm
    ) -> tuple[Callable[[], NDArray[np.uint8]], Callable[[], NDArray[np.uint8]] | None]:
        """Compute channels and confidence; return functions that wait for them."""
        if not confidence:
            return self._transfer.fetch(network.best(pixels(), margin)), None
        logits = cropped(_at_full_size(network, pixels()), margin)
        channels, largest = decide(logits)
        # The largest probability is 1 / sum(exp(logit - largest)).
        sure = (255 / (logits - largest[:, None]).exp().sum(dim=1)).round().to(torch.uint8)
        return self._transfer.fetch(channels), self._transfer.fetch(sure)

    def logits(self, patches: NDArray[np.uint8]) -> Tensor:
        """Return float32 logits at full size, shape (batch, classes, height, width), on the device."""
        return _at_full_size(self._network, self._transfer.send(patches)())


def _at_full_size(network: AnyForm, pixels: Tensor) -> Tensor:
    logits = network.logits(pixels)
    return enlarge(logits, network.output_stride) if network.output_stride > 1 else logits


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


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into an available device.

    Raises
    ------
    UsageError
        If the name is none of these.
    DeviceError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise UsageError(f"no device named {name!r}: use auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"{name}: no GPU that PyTorch can use here: use --device cpu (see `wsi-seg doctor`)"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise DeviceError(f"{name}: there are {torch.cuda.device_count()} GPUs here, counted from 0")
    return torch.device(name)
