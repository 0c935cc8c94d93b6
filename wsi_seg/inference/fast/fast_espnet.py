"""ESPNet for inference on a CPU: the same result as `wsi_seg.models.espnet`, in fewer passes over memory.

- Batch normalisation, PReLU, the residual and the normalisation of a merged map are applied to sums that are
  still in registers.
- Hierarchical feature fusion is free: each dilated branch adds to the sums of the one before.
- Concatenations are free: their parts are written side by side.
- The decoder computes only the core, not the halo. Its logits are not stored, only the index of the largest.
"""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.inference.fast.kernels import Convolution, Doubling, Finish, Normaliser
from wsi_seg.inference.fast.maps import STEP, Maps, Window
from wsi_seg.inference.fast.weights import Weights
from wsi_seg.inference.fast.workspace import Workspace
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB, ESPNetConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from wsi_seg.models.header import InputSpec

SETTINGS = {"classes", "p", "q", "branches", "variant", "decoder_width", "decoder_skip"}
"""Settings in which a network may differ from its config's defaults and still be rearranged here."""

MAX_BRANCHES = 7
"""With more branches, the largest dilation would need too much padding of the rows."""


def can_rearrange(network: nn.Module) -> bool:
    """Return whether a network can be rearranged here."""
    if not isinstance(network, ESPNet) or network.config.branches > MAX_BRANCHES:
        return False
    usual = ESPNetConfig(classes=network.config.classes)
    return all(
        field.name in SETTINGS or getattr(network.config, field.name) == getattr(usual, field.name)
        for field in fields(usual)
    )


class FastESPNet:
    """A trained ESPNet, ready to run on a CPU. For one thread at a time, as it has one set of maps.

    Parameters
    ----------
    network : ESPNet
        In eval mode, float32, on the CPU; `can_rearrange` must hold. Its weights are copied.
    spec : InputSpec
        How pixels are normalised.

    Raises
    ------
    KernelsError
        If the kernels can't be compiled here.
    """

    def __init__(self, network: ESPNet, spec: InputSpec) -> None:
        self._config = network.config
        self._normalise = Normaliser(spec)
        weights = Weights(network.state_dict())
        self._encoder = FastEncoder(network.config, weights)
        self._decoder = FastDecoder(network.config, weights) if network.config.variant == "full" else None
        self._maps: Workspace | None = None

    def twin(self) -> FastESPNet:
        """Return another one with the same weights, and maps of its own."""
        twin = copy.copy(self)
        twin._maps = None
        return twin

    def logits(self, pixels: NDArray[np.uint8], threads: int = 1) -> NDArray[np.float32]:
        """Return the logits of an image.

        Parameters
        ----------
        pixels : uint8 array, shape (height, width, 3)
            RGB, with sides that are multiples of 8.
        threads : int
            It has no effect on the result.

        Returns
        -------
        float32 array, shape (classes, height / output_stride, width / output_stride)
        """
        maps = self._run(pixels, 0, threads)
        if self._decoder is None:
            return maps.head.array().copy()
        logits = np.empty((self._config.classes, *pixels.shape[:2]), np.float32)
        if pixels.shape[1] % STEP == 0:
            self._decoder.up1(maps.last, Maps.over(logits), threads=threads)
        else:
            wider = Maps.zeros(self._config.classes, pixels.shape[0], pixels.shape[1], reach=0)
            self._decoder.up1(maps.last, wider, threads=threads)
            logits[:] = wider.array()
        return logits

    def best(self, pixels: NDArray[np.uint8], margin: int = 0, threads: int = 1) -> NDArray[np.uint8]:
        """Return the index of the largest logit at each pixel, for a network with a decoder.

        Parameters
        ----------
        pixels, threads
            As for `logits`.
        margin : int
            Width of the border that is only context and is left out of the result.

        Returns
        -------
        uint8 array, shape (height - 2 * margin, width - 2 * margin)
        """
        assert self._decoder is not None
        maps = self._run(pixels, margin, threads)
        return self._decoder.up1.best(maps.last, maps.image.whole.grown(-margin), threads)

    def _run(self, pixels: NDArray[np.uint8], margin: int, threads: int) -> Workspace:
        """Compute everything except the decoder's last layer."""
        height, width = pixels.shape[:2]
        maps = self._maps
        if maps is None or (maps.image.height, maps.image.width) != (height, width):
            self._maps = None  # frees the old ones before new ones are made
            maps = self._maps = Workspace.make(self._config, height, width)
        self._normalise(pixels, maps.image, threads)
        self._encoder(maps, threads)
        if self._decoder is not None:
            self._decoder(maps, maps.image.whole.grown(-margin), threads)
        return maps


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
        self.reach = 2 ** len(dilated)
        self._residual = residual
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
        self,
        source: Maps,
        thin: Maps,
        out: Maps | None,
        then: Maps | None = None,
        window: Window | None = None,
        threads: int = 1,
    ) -> None:
        """Write results to `out` and, one step further, to `then`; a residual's `out` may be its source."""
        window = window or thin.whole
        self._reduce(source, thin, window=window.grown(self.reach).within(thin.whole), threads=threads)
        for channels, convolution in self._parts:
            convolution(
                thin,
                None if out is None else out.part(*channels),
                None if then is None else then.part(*channels),
                plus=source.part(*channels) if self._residual else None,
                window=window,
                threads=threads,
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
            average = torch.eye(RGB)[:, :, None, None].expand(-1, -1, 3, 3) / 9
            self._half = Convolution([average], Finish.nothing(RGB), merge1.part(LEVEL1, RGB), stride=2)
            self._quarter = Convolution([average], merge2.part(2 * LEVEL2, RGB), stride=2)

        self._down2 = FastESP(encoder.under("level2_down"), 2, then=part(merge2, LEVEL2, LEVEL2))
        self._level2 = chain(encoder.under("level2"), config.p, part(merge2, 0, LEVEL2))
        self._down3 = FastESP(encoder.under("level3_down"), 2, then=part(merge3, 0, LEVEL3))
        self._level3 = chain(encoder.under("level3"), config.q, part(merge3, LEVEL3, LEVEL3))

        head = encoder["head.weight"]
        follows = weights.under("decoder").norm("level3_up.0") if full else Finish.nothing(len(head))
        self._head = Convolution([head], follows)

    def __call__(self, maps: Workspace, threads: int) -> None:
        """Compute all maps from `image` up to `head`."""
        if self._reinforces:
            self._half(maps.image, maps.half, maps.reinforced.part(LEVEL1, RGB), threads=threads)
            self._quarter(maps.half, maps.level2.part(2 * LEVEL2, RGB), threads=threads)
        self._level1(
            maps.image,
            maps.level1 if self._keeps1 else None,
            maps.reinforced.part(0, LEVEL1) if self._reinforces else None,
            threads=threads,
        )
        first, last = (maps.level2.part(LEVEL2, LEVEL2), maps.level2) if self._shares else (None, None)
        self._down2(maps.reinforced, maps.thin2, maps.work2, first, threads=threads)
        self._run(self._level2, maps.work2, maps.thin2, last, threads)

        first, last = (maps.level3, maps.level3.part(LEVEL3, LEVEL3)) if self._shares else (None, None)
        self._down3(maps.level2, maps.thin3, maps.work3, first, threads=threads)
        self._run(self._level3, maps.work3, maps.thin3, last, threads)
        self._head(maps.level3, maps.head, threads=threads)

    @staticmethod
    def _run(modules: list[FastESP], work: Maps, thin: Maps, last: Maps | None, threads: int) -> None:
        """Run modules in place; the last one writes to `last`, if that is given."""
        for module in modules[:-1]:
            module(work, thin, work, threads=threads)
        modules[-1](work, thin, work if last is None else None, last, threads=threads)


class FastDecoder:
    """`wsi_seg.models.espnet.Decoder` without the normalisation that it begins with."""

    def __init__(self, config: ESPNetConfig, weights: Weights) -> None:
        decoder = weights.under("decoder")
        self._wide = wide = config.width
        merge2 = decoder.norm_act("level2_merge.0")
        self._up3 = Doubling(decoder["level3_up.1.weight"], merge2.part(wide, wide))
        self._reduce2 = Convolution([decoder["level2_reduce.weight"]], merge2.part(0, wide))
        self._esp2 = FastESP(decoder.under("level2_merge.1"))
        self._up2 = Doubling(decoder["level2_up.0.weight"], decoder.norm_act("level2_up.1"))
        self._merge1 = Convolution([decoder["level1_merge.0.weight"]], decoder.norm_act("level1_merge.1"))
        self.up1 = Doubling(decoder["level1_up.weight"], Finish.nothing(config.classes))

    def __call__(self, maps: Workspace, window: Window, threads: int) -> None:
        """Compute the part of `last` that is needed for the logits in a window of the image."""
        window1 = window.halved()
        above1 = window1.grown(1).within(maps.last.whole)
        window2 = above1.halved()
        above2 = window2.grown(self._esp2.reach).within(maps.merged2.whole)
        self._up3(maps.head, maps.joined2.part(self._wide, self._wide), window=above2, threads=threads)
        self._reduce2(maps.level2, maps.joined2.part(0, self._wide), window=above2, threads=threads)
        self._esp2(maps.joined2, maps.decoder_thin2, maps.merged2, window=window2, threads=threads)
        self._up2(maps.merged2, maps.joined1.part(0, self._wide), window=above1, threads=threads)
        self._merge1(maps.joined1, maps.last, window=window1, threads=threads)


def chain(weights: Weights, length: int, then: Finish | None) -> list[FastESP]:
    """Rearrange ESP modules in a row; `then` follows the last."""
    steps = [None] * (length - 1) + [then]
    return [FastESP(weights.under(str(i)), residual=True, then=step) for i, step in enumerate(steps)]


def part(finish: Finish | None, first: int, channels: int) -> Finish | None:
    """Return the part for some of the channels, or None."""
    return None if finish is None else finish.part(first, channels)
