"""The parts of an ESPNet, rearranged into fewer passes over memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.kernels import Convolution, Doubling, Finish
from wsi_seg.inference.fast.maps import Maps
from wsi_seg.inference.fast.products import Products
from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.inference.fast.program import Program
    from wsi_seg.inference.fast.weights import Weights
    from wsi_seg.inference.fast.workspace import Workspace

    Floats = NDArray[np.float32]

FEWEST = 8
"""Of fewer channels, products of tiles would be nearly empty."""


class Convolving:
    """Makes layers of convolutions for the kernels that are to compute them.

    Parameters
    ----------
    by_amx : bool
        Whether `Products` compute those that are worth it.
    """

    def __init__(self, by_amx: bool) -> None:
        self._by_amx = by_amx

    def __call__(
        self,
        weights: Sequence[Floats],
        finish: Finish,
        then: Finish | None = None,
        stride: int = 1,
        dilations: Sequence[int] = (1,),
        split_anyway: bool = False,
    ) -> Convolution:
        """Make a layer, as `Convolution` describes it; its source may be split for another layer anyway."""
        _, inputs, size, _ = weights[0].shape
        if self._by_amx and (size > 1 or split_anyway) and inputs >= FEWEST:
            return Products(weights, finish, then, stride, dilations)
        return Convolution(weights, finish, then, stride, dilations)


class FastESP:
    """An efficient spatial pyramid in two passes: the reduction, and everything else.

    Parameters
    ----------
    weights : Weights
        Weights of the module.
    convolution : Convolving
    stride : {1, 2}
    residual : bool
        Whether the module adds its input to its output.
    then : Finish, optional
        What follows before the result is written to the second place.
    """

    def __init__(
        self,
        weights: Weights,
        convolution: Convolving,
        stride: int = 1,
        residual: bool = False,
        then: Finish | None = None,
    ) -> None:
        reduce = weights["reduce.weight"]
        undilated, *dilated = weights.branches()
        self._residual = residual
        self._reach, self._thin = 2 ** len(dilated), len(reduce)
        self._reduce = convolution([reduce], Finish.nothing(len(reduce)), stride=stride)
        finish = weights.norm_act("norm_act")
        parts = [((0, len(undilated)), [undilated], [1])]
        if dilated:
            dilations = [2**k for k in range(1, len(dilated) + 1)]
            parts.append(((len(undilated), sum(map(len, dilated))), dilated, dilations))
        self._parts = [
            (channels, convolution(maps, finish.part(*channels), part(then, *channels), dilations=dilations))
            for channels, maps, dilations in parts
        ]

    def __call__(
        self, program: Program, source: Maps, out: Maps | None, then: Maps | None, stride: int
    ) -> None:
        """Write results, of a stride, to `out` and, one step further, to `then`; `out` may be the source."""
        thin = Maps.new(self._thin, stride, self._reach)
        self._reduce(program, self._reduce.prepared(program, source, 1), thin)
        thin = self._parts[0][1].prepared(program, thin, self._reach)  # for all parts
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

    def __init__(self, config: ESPNetConfig, weights: Weights, convolution: Convolving) -> None:
        encoder = weights.under("encoder")
        full = config.variant == "full"
        self._reinforces, self._shares = config.variant in ("C", "full"), config.variant != "A"
        merge1 = encoder.norm_act("level1_merge") if self._reinforces else None
        merge2 = encoder.norm_act("level2_merge") if self._shares else None
        merge3 = encoder.norm_act("level3_merge") if self._shares else None

        # The plain map is needed if there is no reinforced one, or if the decoder takes it.
        self._keeps1 = not self._reinforces or (full and config.decoder_skip == "level1")
        self._level1 = convolution(
            [encoder["level1.0.weight"]], encoder.norm_act("level1.1"), part(merge1, 0, LEVEL1), stride=2
        )
        if merge1 is not None and merge2 is not None:
            ninth = np.eye(RGB, dtype=np.float32)[:, :, None, None] / np.float32(9)
            average = np.broadcast_to(ninth, (RGB, RGB, 3, 3))
            self._half = convolution([average], Finish.nothing(RGB), merge1.part(LEVEL1, RGB), stride=2)
            self._quarter = convolution([average], merge2.part(2 * LEVEL2, RGB), stride=2)

        self._down2 = FastESP(encoder.under("level2_down"), convolution, 2, then=part(merge2, LEVEL2, LEVEL2))
        self._level2 = chain(encoder.under("level2"), convolution, config.p, part(merge2, 0, LEVEL2))
        self._down3 = FastESP(encoder.under("level3_down"), convolution, 2, then=part(merge3, 0, LEVEL3))
        self._level3 = chain(encoder.under("level3"), convolution, config.q, part(merge3, LEVEL3, LEVEL3))

        head = encoder["head.weight"]
        follows = weights.under("decoder").norm("level3_up.0") if full else Finish.nothing(len(head))
        self._head = convolution([head], follows)

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

    def __init__(self, config: ESPNetConfig, weights: Weights, convolution: Convolving) -> None:
        decoder = weights.under("decoder")
        self._wide = wide = config.width
        merge2 = decoder.norm_act("level2_merge.0")
        self._up3 = Doubling(decoder["level3_up.1.weight"], merge2.part(wide, wide))
        reduce2 = decoder["level2_reduce.weight"]
        self._reduce2 = convolution([reduce2], merge2.part(0, wide), split_anyway=True)
        self._esp2 = FastESP(decoder.under("level2_merge.1"), convolution)
        self._up2 = Doubling(decoder["level2_up.0.weight"], decoder.norm_act("level2_up.1"))
        self._merge1 = convolution([decoder["level1_merge.0.weight"]], decoder.norm_act("level1_merge.1"))

    def __call__(self, program: Program, maps: Workspace) -> None:
        """Add the steps from `head` up to `last`."""
        self._up3(program, maps.head, maps.joined2.part(self._wide, self._wide))
        level2 = self._reduce2.prepared(program, maps.level2, 0)
        self._reduce2(program, level2, maps.joined2.part(0, self._wide))
        self._esp2(program, maps.joined2, maps.merged2, None, maps.merged2.stride)
        self._up2(program, maps.merged2, maps.joined1.part(0, self._wide))
        self._merge1(program, self._merge1.prepared(program, maps.joined1, 1), maps.last)


def chain(weights: Weights, convolution: Convolving, length: int, then: Finish | None) -> list[FastESP]:
    """Rearrange ESP modules in a row; `then` follows the last."""
    steps = [None] * (length - 1) + [then]
    return [
        FastESP(weights.under(str(i)), convolution, residual=True, then=step) for i, step in enumerate(steps)
    ]


def part(finish: Finish | None, first: int, channels: int) -> Finish | None:
    """Return the part for some of the channels, or None."""
    return None if finish is None else finish.part(first, channels)
