"""Several networks in parallel, each on its share of the processor's cores."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

from wsi_seg.inference.network.devices import computing_cores, kind_of
from wsi_seg.inference.network.segmenter import Segmented, Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from wsi_seg.inference.fast.windows import Windows
    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.models.bundle import ModelBundle

LANES = 2
"""Number of networks in parallel on a CPU. Each needs memory for the features of a patch."""


class SegmenterPool:
    """Segments like a `Segmenter`, but on a CPU `LANES` batches at a time.

    On a GPU there is one network, which computes a batch while the next one is sent.

    A network on all cores makes them wait for the slowest one after each step, for example while a core reads
    the next region. Two networks on half of the cores each do not, and steps that use only one core run in
    parallel.

    Parameters
    ----------
    bundle, device, precision, compiled
        As `Segmenter` takes them.

    Attributes
    ----------
    choice, windowed
        As `Segmenter` has them.

    Raises
    ------
    UsageError
        As `Segmenter` does.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        device: str | torch.device,
        precision: Precision = "float32",
        compiled: Compile = "auto",
    ) -> None:
        threads = computing_cores()
        lanes = min(LANES, threads) if kind_of(str(device)) == "cpu" else 1
        self._free: SimpleQueue[Segmenter] = SimpleQueue()
        first = Segmenter(bundle, device, precision, compiled, threads // lanes)
        self.choice, self.windowed = first.choice, first.windowed
        segmenters = [first, *(first.twin() for _ in range(lanes - 1))]
        for turn in range(LANES):
            self._free.put(segmenters[turn % lanes])

    def __call__(
        self,
        patches: NDArray[np.uint8],
        margin: int = 0,
        confidence: bool = False,
        windows: Sequence[Windows] | None = None,
    ) -> Segmented:
        """Segment a batch as `Segmenter` does, as soon as a network is free.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        """
        segmenter = self._free.get()
        try:
            return segmenter(patches, margin, confidence, windows)
        finally:
            self._free.put(segmenter)
