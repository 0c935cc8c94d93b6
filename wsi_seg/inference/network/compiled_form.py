"""A published ESPNet run by compiled kernels, on arrays.

Where classes alone are asked for, and the network gives them at full size, PyTorch is not imported.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.fast_espnet import FastESPNet
from wsi_seg.inference.fast.windows import grown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.inference.fast.windows import Windows
    from wsi_seg.models.bundle import ModelBundle

    Bytes = Callable[[], NDArray[np.uint8]]


class CompiledForm:
    """For one thread at a time.

    Parameters
    ----------
    bundle : ModelBundle
        `choose_form` must have chosen "compiled" or "amx" for it, on a CPU.
    threads : int
        They have no effect on the result.
    by_amx : bool
    """

    windowed = True

    def __init__(self, bundle: ModelBundle, threads: int, by_amx: bool) -> None:
        config, arrays = bundle.published
        self._fast = FastESPNet(config, arrays, bundle.input, by_amx=by_amx)
        self._threads = threads
        self._stride = config.output_stride

    def twin(self) -> Self:
        """Return another one for another thread, with the same weights."""
        twin = copy.copy(self)
        twin._fast = self._fast.twin()
        return twin

    def send(self, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what `segment` takes: the patches themselves."""
        return patches

    def segment(
        self,
        patches: NDArray[np.uint8],
        margin: int,
        confidence: bool,
        windows: Sequence[Windows] | None,
    ) -> tuple[Bytes, Bytes | None]:
        """Return channels and confidence, as functions, less a margin on every side."""
        if not confidence and self._stride == 1:
            each = zip(patches, windows or repeat(None, len(patches)), strict=True)
            best = np.stack([self._fast.best(p, margin, self._threads, w) for p, w in each])
            return lambda: best, None
        from wsi_seg.inference.network.pixels import decide_surely

        if windows is not None and self._stride > 1:
            # Enlarged bilinearly: a logit is wanted around a wanted pixel, too.
            windows = [replace(w, wanted=grown(w.wanted, 1)) for w in windows]
        channels, sure = decide_surely(self._logits(patches, windows), self._stride, margin)
        return channels.numpy, sure.numpy if confidence else None

    def logits(self, patches: NDArray[np.uint8]) -> Tensor:
        """Return float32 logits at full size, shape (N, classes, height, width)."""
        from wsi_seg.inference.network.pixels import at_full_size

        return at_full_size(self._logits(patches, None), self._stride)

    def _logits(self, patches: NDArray[np.uint8], windows: Sequence[Windows] | None) -> Tensor:
        import torch

        each = zip(patches, windows or repeat(None, len(patches)), strict=True)
        logits = [self._fast.logits(p, self._threads, w) for p, w in each]
        return torch.from_numpy(logits[0][None] if len(logits) == 1 else np.stack(logits))

    def release(self) -> None:
        """Do nothing: there is no memory of a device to be given back."""
