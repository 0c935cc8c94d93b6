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

import numpy as np

from wsi_seg.inference.fast.flow import Flow
from wsi_seg.inference.fast.kernels import Convolution, Doubling, Finish, Normaliser
from wsi_seg.inference.fast.maps import Maps
from wsi_seg.inference.fast.program import Program
from wsi_seg.inference.fast.weights import Weights
from wsi_seg.inference.fast.windows import Windows
from wsi_seg.inference.fast.workspace import Workspace
from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB, ESPNetConfig
from wsi_seg.models.espnet_tensors import is_published

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network_config import NetworkConfig

MAX_BRANCHES = 7
"""With more branches, the largest dilation would need too much padding of the rows."""


STRIP = 64
"""Rows of the image that are taken at a time."""

THREADS_A_STRIP = 4
"""The narrowest maps have an eighth of a strip's rows; for more threads than this, a strip has more rows."""


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

    Raises
    ------
    KernelsError
        If the kernels can't be compiled here.
    """

    def __init__(
        self,
        config: ESPNetConfig,
        arrays: Mapping[str, NDArray[Any]],
        spec: InputSpec,
        aside: tuple[Maps, Maps] | None = None,
    ) -> None:
        weights = Weights(arrays)
        self._decides = config.variant == "full"
        maps, program = Workspace.make(config), Program()
        Normaliser(spec)(program, maps.image)
        FastEncoder(config, weights)(program, maps, aside)
        self._flow: Flow | None = None
        if not self._decides:
            self._logits, self._out = program, maps.head
            return
        FastDecoder(config, weights)(program, maps)
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
        flow = self._flow_of(self._logits, height, width, _strip(threads))
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
        flow = self._flow_of(self._best, height, width, _strip(threads))
        best = flow(pixels, windows or Windows.inside(height, width, margin), threads)
        return best[margin : height - margin, margin : width - margin]

    def _flow_of(self, program: Program, height: int, width: int, strip: int) -> Flow:
        """Return the memory for a program and images of a size; that of the last call, if it fits."""
        if self._flow is None or not self._flow.serves(program, height, width, strip):
            self._flow = None  # frees the old one before a new one is made
            self._flow = Flow(program, height, width, strip)
        return self._flow


def _strip(threads: int) -> int:
    return STRIP * max(1, threads // THREADS_A_STRIP)


class FastESP:
    """An efficient spatial pyramid in two passes: the reduction, and everything else.

    Parameters
    ----------
    weights : Weights
        Weights of the module.
    stride : {1, 2}
    residual : bool
        Whether the module adds its input to its output.
    then : Finish, optional
        What follows before the result is written to the second place.
    """

    def __init__(
        self, weights: Weights, stride: int = 1, residual: bool = False, then: Finish | None = None
    ) -> None:
        reduce = weights["reduce.weight"]
        undilated, *dilated = weights.branches()
        self._residual = residual
        self._reach, self._thin = 2 ** len(dilated), len(reduce)
        self._reduce = Convolution([reduce], Finish.nothing(len(reduce)), stride=stride)
        finish = weights.norm_act("norm_act")
        parts = [((0, len(undilated)), [undilated], [1])]
        if dilated:
            dilations = [2**k for k in range(1, len(dilated) + 1)]
            parts.append(((len(undilated), sum(map(len, dilated))), dilated, dilations))
        self._parts = [
            (channels, Convolution(maps, finish.part(*channels), part(then, *channels), dilations=dilations))
            for channels, maps, dilations in parts
        ]

    def __call__(
        self, program: Program, source: Maps, out: Maps | None, then: Maps | None, stride: int
    ) -> None:
        """Write results, of a stride, to `out` and, one step further, to `then`; `out` may be the source."""
        thin = Maps.new(self._thin, stride, self._reach)
        self._reduce(program, source, thin)
        for channels, convolution in self._parts:
            convolution(
                program,
                thin,
                None if out is None else out.part(*channels),
                None if then is None else then.part(*channels),
                plus=source.part(*channels) if self._residual else None,
            )


class FastEncoder:
    """`wsi_seg.models.espnet.Encoder`, and the normalisation that follows its head in the decoder."""

    def __init__(self, config: ESPNetConfig, weights: Weights) -> None:
        encoder = weights.under("encoder")
        full = config.variant == "full"
        self._reinforces, self._shares = config.variant in ("C", "full"), config.variant != "A"
        merge1 = encoder.norm_act("level1_merge") if self._reinforces else None
        merge2 = encoder.norm_act("level2_merge") if self._shares else None
        merge3 = encoder.norm_act("level3_merge") if self._shares else None

        # The plain map is needed if there is no reinforced one, or if the decoder takes it.
        self._keeps1 = not self._reinforces or (full and config.decoder_skip == "level1")
        self._level1 = Convolution(
            [encoder["level1.0.weight"]], encoder.norm_act("level1.1"), part(merge1, 0, LEVEL1), stride=2
        )
        if merge1 is not None and merge2 is not None:
            ninth = np.eye(RGB, dtype=np.float32)[:, :, None, None] / np.float32(9)
            average = np.broadcast_to(ninth, (RGB, RGB, 3, 3))
            self._half = Convolution([average], Finish.nothing(RGB), merge1.part(LEVEL1, RGB), stride=2)
            self._quarter = Convolution([average], merge2.part(2 * LEVEL2, RGB), stride=2)

        self._down2 = FastESP(encoder.under("level2_down"), 2, then=part(merge2, LEVEL2, LEVEL2))
        self._level2 = chain(encoder.under("level2"), config.p, part(merge2, 0, LEVEL2))
        self._down3 = FastESP(encoder.under("level3_down"), 2, then=part(merge3, 0, LEVEL3))
        self._level3 = chain(encoder.under("level3"), config.q, part(merge3, LEVEL3, LEVEL3))

        head = encoder["head.weight"]
        follows = weights.under("decoder").norm("level3_up.0") if full else Finish.nothing(len(head))
        self._head = Convolution([head], follows)

    def __call__(self, program: Program, maps: Workspace, aside: tuple[Maps, Maps] | None = None) -> None:
        """Add the steps from `image` up to `head`; level 3's first and last maps may be kept `aside`."""
        if self._reinforces:
            self._half(program, maps.image, maps.half, maps.reinforced.part(LEVEL1, RGB))
            self._quarter(program, maps.half, maps.level2.part(2 * LEVEL2, RGB))
        self._level1(
            program,
            maps.image,
            maps.level1 if self._keeps1 else None,
            maps.reinforced.part(0, LEVEL1) if self._reinforces else None,
        )
        first, last = (maps.level2.part(LEVEL2, LEVEL2), maps.level2) if self._shares else (None, None)
        self._down2(program, maps.reinforced, maps.work2, first, maps.work2.stride)
        self._chained(program, self._level2, maps.work2, last)

        first, last = (maps.level3, maps.level3.part(LEVEL3, LEVEL3)) if self._shares else (None, None)
        begin, end = aside or (maps.work3, None)
        self._down3(program, maps.level2, begin, first, maps.work3.stride)
        self._chained(program, self._level3, maps.work3, last, begin, end)
        self._head(program, maps.level3, maps.head)

    @staticmethod
    def _chained(
        program: Program,
        modules: list[FastESP],
        work: Maps,
        last: Maps | None,
        begin: Maps | None = None,
        end: Maps | None = None,
    ) -> None:
        """Add modules that work in place, the first from `begin`; the last writes to `last` and `end`."""
        source = begin or work
        for module in modules[:-1]:
            module(program, source, work, None, work.stride)
            source = work
        modules[-1](program, source, work if last is None else end, last, work.stride)


class FastDecoder:
    """`wsi_seg.models.espnet.Decoder` without the normalisation that it begins with, and its last layer."""

    def __init__(self, config: ESPNetConfig, weights: Weights) -> None:
        decoder = weights.under("decoder")
        self._wide = wide = config.width
        merge2 = decoder.norm_act("level2_merge.0")
        self._up3 = Doubling(decoder["level3_up.1.weight"], merge2.part(wide, wide))
        self._reduce2 = Convolution([decoder["level2_reduce.weight"]], merge2.part(0, wide))
        self._esp2 = FastESP(decoder.under("level2_merge.1"))
        self._up2 = Doubling(decoder["level2_up.0.weight"], decoder.norm_act("level2_up.1"))
        self._merge1 = Convolution([decoder["level1_merge.0.weight"]], decoder.norm_act("level1_merge.1"))

    def __call__(self, program: Program, maps: Workspace) -> None:
        """Add the steps from `head` up to `last`."""
        self._up3(program, maps.head, maps.joined2.part(self._wide, self._wide))
        self._reduce2(program, maps.level2, maps.joined2.part(0, self._wide))
        self._esp2(program, maps.joined2, maps.merged2, None, maps.merged2.stride)
        self._up2(program, maps.merged2, maps.joined1.part(0, self._wide))
        self._merge1(program, maps.joined1, maps.last)


def chain(weights: Weights, length: int, then: Finish | None) -> list[FastESP]:
    """Rearrange ESP modules in a row; `then` follows the last."""
    steps = [None] * (length - 1) + [then]
    return [FastESP(weights.under(str(i)), residual=True, then=step) for i, step in enumerate(steps)]


def part(finish: Finish | None, first: int, channels: int) -> Finish | None:
    """Return the part for some of the channels, or None."""
    return None if finish is None else finish.part(first, channels)
