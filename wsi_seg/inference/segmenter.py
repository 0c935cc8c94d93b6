"""A network made ready to segment patches on one device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from wsi_seg.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.models.bundle import InputSpec, ModelBundle

Precision = Literal["float32", "bfloat16", "float16"]

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Segmented:
    """What a batch of patches was found to be, within the window asked for.

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
    """Runs a model over batches of patches. May be called from several threads; one batch runs at a time.

    The network always runs in one thread of its own: memory allocators and OpenMP keep what they have for
    each thread that calls them, and a network's worth of that is a lot.

    Parameters
    ----------
    bundle : ModelBundle
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}

    Raises
    ------
    UsageError
        If the device cannot compute in that precision.
    """

    def __init__(self, bundle: ModelBundle, device: torch.device, precision: Precision = "float32") -> None:
        if precision == "float16" and device.type == "cpu":
            raise UsageError("--precision float16 needs a GPU: use float32 or bfloat16")
        self.device = device
        self._dtype = DTYPES[precision]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._network = bundle.network.to(device, self._dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stride = bundle.network.output_stride
        self._normalise = Normalisation(bundle.input, device)
        self._class_ids = torch.tensor(bundle.schema.ids, dtype=torch.uint8, device=device)

    def __call__(self, patches: NDArray[np.uint8], margin: int = 0, confidence: bool = False) -> Segmented:
        """Segment a batch.

        Parameters
        ----------
        patches : uint8 array, shape (batch, height, width, 3)
            RGB, with sides that are multiples of 8.
        margin : int
            Pixels on every side that are context only and are left out of the result.
        confidence : bool
            Whether to return it.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        """
        try:
            return self._thread.submit(self._segment, patches, margin, confidence).result()
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.device}: out of memory at {len(patches)} patches of {patches.shape[2]} px: "
                "give a smaller --batch-size or --patch, and run the same command again"
            ) from error

    @torch.inference_mode()
    def _segment(self, patches: NDArray[np.uint8], margin: int, confidence: bool) -> Segmented:
        logits = self.logits(patches)
        if margin:
            logits = logits[:, :, margin:-margin, margin:-margin]
        labels = self._class_ids[logits.argmax(dim=1)].cpu().numpy()
        if not confidence:
            return Segmented(labels, None)
        # The largest probability is 1 / sum(exp(logit - largest)).
        spread = (logits - logits.amax(dim=1, keepdim=True)).exp().sum(dim=1)
        return Segmented(labels, (255 / spread).round().to(torch.uint8).cpu().numpy())

    def logits(self, patches: NDArray[np.uint8]) -> Tensor:
        """Return float32 logits at full size, shape (batch, classes, height, width), on the device."""
        # (batch, height, width, 3) seen as (batch, 3, height, width) is the channels-last layout as it is.
        pixels = torch.from_numpy(patches).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        logits: Tensor = self._network(self._normalise(pixels).to(self._dtype)).float()
        if self._stride > 1:
            logits = enlarge(logits, self._stride)
        return logits


class Normalisation:
    """Pixel values 0 to 255 to what the network was trained on: one multiplication and one addition."""

    def __init__(self, spec: InputSpec, device: torch.device) -> None:
        std = torch.tensor(spec.std, dtype=torch.float64) * spec.scale
        mean = torch.tensor(spec.mean, dtype=torch.float64)
        self._factor = (1 / std).float().to(device)[None, :, None, None]
        self._shift = (-mean / std).float().to(device)[None, :, None, None]
        self._flip = spec.channels == "bgr"

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise RGB pixels, shape (N, 3, height, width), of any type; they stay as they are."""
        if self._flip:
            pixels = pixels.flip(1)
        values = pixels.to(torch.float32, copy=True).mul_(self._factor).add_(self._shift)
        return values.contiguous(memory_format=torch.channels_last)


def enlarge(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps bilinearly (pixel centres apart, edges repeated), the same to the bit for any threads.

    `torch.nn.functional.interpolate` rounds differently with another number of CPU threads; a subtraction,
    a multiplication and an addition of whole tensors, one after another, do not.

    Parameters
    ----------
    maps : Tensor
        Float, (..., height, width).
    factor : int

    Returns
    -------
    Tensor
        (..., height * factor, width * factor).
    """
    for axis in (-2, -1):
        side = maps.shape[axis]
        place = (torch.arange(side * factor, device=maps.device, dtype=torch.float64) + 0.5) / factor - 0.5
        place = place.clamp(0, side - 1)
        low = place.floor().long()
        weight = (place - low).to(maps.dtype)
        lower = maps.index_select(axis, low)
        step = maps.index_select(axis, (low + 1).clamp_max(side - 1)).sub_(lower)
        maps = step.mul_(weight if axis == -1 else weight[:, None]).add_(lower)
    return maps


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device that is there.

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
