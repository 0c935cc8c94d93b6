"""ESPNet for inference on a CPU: the same result as `wsi_seg.models.espnet`, in fewer passes over memory.

- Batch normalisation, PReLU, the residual and the normalisation of a merged map are applied to sums that are
  still in registers.
- Hierarchical feature fusion is free: each dilated branch adds to the sums of the one before.
- Concatenations are free: their parts are written side by side.
- Each layer computes only what the wanted pixels depend on. Logits are not stored, only the index of the
  largest.
- Rows stream through the layers, so that maps stay in the processor's caches.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from wsi_seg.errors import KernelsError
from wsi_seg.inference.fast.flow import Flow
from wsi_seg.inference.fast.kernels import Doubling, Finish, Normaliser
from wsi_seg.inference.fast.library import has_amx
from wsi_seg.inference.fast.maps import Maps
from wsi_seg.inference.fast.program import Program
from wsi_seg.inference.fast.rearranged import Convolving, FastDecoder, FastEncoder
from wsi_seg.inference.fast.weights import Weights
from wsi_seg.inference.fast.windows import Windows
from wsi_seg.inference.fast.workspace import Workspace
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.espnet_tensors import is_published

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network_config import NetworkConfig

MAX_BRANCHES = 7
"""With more branches, the largest dilation would need too much padding of the rows."""


STRIP = 16
"""Rows of the image that are taken at a time, for each thread: of the narrowest maps these are two."""


def can_rearrange(config: NetworkConfig) -> bool:
    """Return whether a network can be rearranged here."""
    return isinstance(config, ESPNetConfig) and is_published(config) and config.branches <= MAX_BRANCHES


class FastESPNet:
    """A trained ESPNet, ready to run on a CPU. For one thread at a time, as it has one set of maps.

    Parameters
    ----------
    config : ESPNetConfig
        `can_rearrange` must hold.
    arrays : mapping of str to array
        The network's weights, by their names in a model file; they are copied.
    spec : InputSpec
        How pixels are normalised.
    aside : (Maps, Maps), optional
        Where the first and the last maps of level 3 are written too, for `logits_and`.
    by_amx : bool
        Whether AMX computes convolutions: by products of 16 bits, so that logits differ a little.

    Raises
    ------
    KernelsError
        If the kernels can't be compiled here, or AMX is asked for and not to be had.
    """

    def __init__(
        self,
        config: ESPNetConfig,
        arrays: Mapping[str, NDArray[Any]],
        spec: InputSpec,
        aside: tuple[Maps, Maps] | None = None,
        by_amx: bool = False,
    ) -> None:
        if by_amx and not has_amx():
            raise KernelsError("this processor has no AMX, or its compiler or system does not know it")
        weights, convolution = Weights(arrays), Convolving(by_amx)
        self._decides = config.variant == "full"
        maps, program = Workspace.make(config), Program()
        Normaliser(spec)(program, maps.image)
        FastEncoder(config, weights, convolution)(program, maps, aside)
        self._flow: Flow | None = None
        if not self._decides:
            self._logits, self._out = program, maps.head
            return
        FastDecoder(config, weights, convolution)(program, maps)
        last = Doubling(weights["decoder.level1_up.weight"], Finish.nothing(config.classes))
        self._best, self._logits = Program(list(program.steps)), program
        self._out = Maps.new(config.classes, 1, 0)
        last(self._logits, maps.last, self._out)
        last.best(self._best, maps.last)

    def twin(self) -> FastESPNet:
        """Return another one with the same weights, and maps of its own."""
        twin = copy.copy(self)
        twin._flow = None
        return twin

    def logits(
        self, pixels: NDArray[np.uint8], threads: int = 1, windows: Windows | None = None
    ) -> NDArray[np.float32]:
        """Return the logits of an image.

        Parameters
        ----------
        pixels : uint8 array, shape (height, width, 3)
            RGB, with sides that are multiples of 8.
        threads : int
            It has no effect on the result.
        windows : Windows, optional
            By default all is wanted and seen. What is not wanted is arbitrary.

        Returns
        -------
        float32 array, shape (classes, height / output_stride, width / output_stride)
        """
        height, width = pixels.shape[:2]
        flow = self._flow_of(self._logits, height, width, STRIP * threads)
        flow(pixels, windows or Windows.inside(height, width, 0), threads)
        return flow.array(self._out)

    def logits_and(self, pixels: NDArray[np.uint8], *maps: Maps) -> list[NDArray[np.float32]]:
        """Return the logits of an image as a whole, and some of its maps, on one thread."""
        height, width = pixels.shape[:2]
        flow = self._flow_of(self._logits, height, width, strip=height)  # so that all rows are held
        flow(pixels, Windows.inside(height, width, 0), 1)
        return [flow.array(m) for m in (self._out, *maps)]

    def best(
        self,
        pixels: NDArray[np.uint8],
        margin: int = 0,
        threads: int = 1,
        windows: Windows | None = None,
    ) -> NDArray[np.uint8]:
        """Return the index of the largest logit at each pixel, for a network with a decoder.

        Parameters
        ----------
        pixels, threads, windows
            As for `logits`.
        margin : int
            Width of the border that is only context and is left out of the result.

        Returns
        -------
        uint8 array, shape (height - 2 * margin, width - 2 * margin)
        """
        assert self._decides
        height, width = pixels.shape[:2]
        flow = self._flow_of(self._best, height, width, STRIP * threads)
        best = flow(pixels, windows or Windows.inside(height, width, margin), threads)
        return best[margin : height - margin, margin : width - margin]

    def _flow_of(self, program: Program, height: int, width: int, strip: int) -> Flow:
        """Return the memory for a program and images of a size; that of the last call, if it fits."""
        if self._flow is None or not self._flow.serves(program, height, width, strip):
            self._flow = None  # frees the old one before a new one is made
            self._flow = Flow(program, height, width, strip)
        return self._flow
