"""An unfamiliar slide and its network brought nearer to each other.

There is no telling from pixels alone which of several maps between stains is right for a slide: how they are
spread depends on which tissue it shows. So each is tried on patches of the slide, with the network's
normalisations as they are and measured anew on the patches. Of the maps that bring the means within the
network nearest to those of training, and make the slide familiar if any does, the one is taken with which the
network is surest. How sure it is decides only between these: on slides that it mistakes it may be surer.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.inference.tissue.comparison import NEAR, distance_of
from wsi_seg.inference.tissue.patch_looks import Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.predict.adapted import LEFT, Adaptation
from wsi_seg.predict.familiar import patches_of
from wsi_seg.slides.restain import restainings
from wsi_seg.slides.stain import Dyes, Stain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.network import Network
    from wsi_seg.models.remembered import RememberedStain
    from wsi_seg.predict.plan import Plan
    from wsi_seg.slides.restain import Restaining

WORTH = 0.8
"""A map is tried further only if it brings the slide to this share of its distance, or nearer."""

ALIKE = 0.02
"""Maps whose `shift_of` differs by no more than this are alike: among them the network decides."""

SHARE = 0.3
"""Of the statistics of normalisations, what comes from the slide; more brings back little more, and does more
harm where the slide's classes are not those of the training tissue (``benchmarks/results/familiar.md``)."""


def require_stain(bundle: ModelBundle) -> RememberedStain:
    """Return the stain that a model remembers.

    Raises
    ------
    UsageError
        If it remembers none.
    """
    stain = None if bundle.tissue is None else bundle.tissue.stain
    if stain is None:
        raise UsageError(
            f"--adapt: {bundle.path} remembers no stained tissue to adapt to: train the model again, "
            "and it will; or leave --adapt out"
        )
    return stain


def adapt(plan: Plan) -> Adaptation:
    """Find what brings a slide nearest to the model's training tissue.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    UsageError
        If the model remembers no stain.
    """
    with plan.timed("adapt"):
        return choose(patches_of(plan), plan.model)


def choose(patches: Sequence[NDArray[np.uint8]], bundle: ModelBundle) -> Adaptation:
    """Find what brings patches of a slide and a network nearest to each other.

    Parameters
    ----------
    patches : sequence of uint8 array, shape (height, width, 3)
        RGB, at the model's resolution, all of one size.
    bundle : ModelBundle

    Raises
    ------
    UsageError
        If the model remembers no stain.
    """
    target = _stain(require_stain(bundle))
    own = _Tried(patches, bundle, None) if patches else None
    if own is None or own.stain is None:
        return Adaptation(None, None, f"{LEFT}: too little stained tissue")
    if own.distance < NEAR:  # there is little to gain
        return Adaptation(None, None, f"{LEFT}: the slide is familiar")
    maps = (_Tried(patches, bundle, restain) for restain in restainings(own.stain, target))
    tried = [own, *(each for each in maps if each.distance <= WORTH * own.distance)]
    nearest = min(each.shift for each in tried)
    alike = [each for each in tried if each.shift <= nearest + ALIKE]
    familiar = [each for each in alike if each.distance < NEAR]
    best = max(familiar or alike, key=lambda each: each.surest)
    if best.restain is None and best.statistics is None:
        return Adaptation(None, None, f"{LEFT}: neither another stain nor other normalisations help")
    said = [] if best.restain is None else [f"stain, distance {own.distance:.2f} -> {best.distance:.2f}"]
    said += [] if best.statistics is None else ["normalisations"]
    line = f"adapted: {'; '.join(said)}; mean confidence {own.confidence:.3f} -> {best.surest:.3f}"
    return Adaptation(best.restain, best.statistics, line)


class _Tried:
    """A map, and what the network makes of patches that it was applied to.

    Attributes
    ----------
    restain : Restaining or None
        None for the slide as it is.
    stain : Stain or None
        As `Looks` has it.
    distance : float
        From the training tissue: see `distance_of`.
    confidence : float
        The network's mean confidence.
    """

    def __init__(
        self, patches: Sequence[NDArray[np.uint8]], bundle: ModelBundle, restain: Restaining | None
    ) -> None:
        assert bundle.tissue is not None
        self._seen = np.stack([patch if restain is None else restain(patch) for patch in patches])
        self._bundle, self.restain = bundle, restain
        looks = _looks(self._seen, bundle, bundle.network)
        self.stain, self.distance = looks.stain, distance_of(looks, bundle.tissue)
        self.confidence = float(looks.confidence.mean())

    def _images(self) -> Tensor:
        import torch

        from wsi_seg.inference.network.pixels import Normalisation

        normalise = Normalisation(self._bundle.input, torch.device("cpu"))
        return normalise(torch.from_numpy(self._seen).permute(0, 3, 1, 2))

    @cached_property
    def shift(self) -> float:
        """How far the network's maps then lie from those of training: see `shift_of`."""
        from wsi_seg.models.renormalised import shift_of

        return shift_of(self._bundle.network, self._images())

    @cached_property
    def _renormalised(self) -> tuple[float, bytes | None]:
        from wsi_seg.models.renormalised import renormalised, statistics_of

        network = renormalised(self._bundle.network, self._images(), SHARE)
        with_others = float(_looks(self._seen, self._bundle, network).confidence.mean())
        if with_others <= self.confidence:
            return self.confidence, None
        return with_others, statistics_of(network)

    @property
    def surest(self) -> float:
        """The mean confidence with other normalisations, if these raise it; else that without."""
        return self._renormalised[0]

    @property
    def statistics(self) -> bytes | None:
        """Those of these normalisations; None if they do not raise the confidence."""
        return self._renormalised[1]


def _looks(patches: NDArray[np.uint8], bundle: ModelBundle, network: Network) -> Looks:
    # Not by kernels, which round otherwise: all is to be the same for both forms of the network.
    looks = Looks.at(patches, sight_by_pytorch(network, bundle.input))
    assert looks is not None  # there are patches
    return looks


def _stain(stored: RememberedStain) -> Stain:
    def array(numbers: object) -> NDArray[np.float64]:
        return np.array(numbers, np.float64)

    dyes = stored.dyes
    return Stain(
        white=array(stored.white),
        mean=array(stored.mean),
        covariance=array(stored.covariance),
        dyes=None if dyes is None else Dyes(array(dyes.directions), array(dyes.amounts)),
    )
