"""An unfamiliar slide and its network brought nearer to each other.

There is no telling from pixels alone which of several maps between stains is right for a slide: how they are
spread depends on which tissue it shows. So each is tried on patches of the slide, and the network tells. What
the map leaves is taken up by the network's normalisations, measured anew on the patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.inference.tissue.comparison import FAR, NEAR, distance_of
from wsi_seg.inference.tissue.patch_looks import Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.predict.adapted import LEFT, Adaptation
from wsi_seg.predict.familiar import patches_of
from wsi_seg.slides.restain import restainings
from wsi_seg.slides.stain import Dyes, Stain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.remembered import RememberedStain
    from wsi_seg.predict.plan import Plan
    from wsi_seg.slides.restain import Restaining

WORTH, WORTH_NEARER = 0.8, 0.3
"""A map is used only if it brings the slide to this share of its distance, or nearer: the second for a slide
that is less than `FAR`, where maps do harm more often."""

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
    """Find what brings patches of a slide nearest to a model's training tissue.

    Parameters
    ----------
    patches : sequence of uint8 array, shape (height, width, 3)
        RGB, at the model's resolution.
    bundle : ModelBundle

    Raises
    ------
    UsageError
        If the model remembers no stain.
    """
    target, tissue = _stain(require_stain(bundle)), bundle.tissue
    assert tissue is not None  # it has a stain

    # Not by kernels, which round otherwise: the map is to be the same for both forms of the network.
    own = Looks.at(patches, sight_by_pytorch(bundle.network, bundle.input))
    if own is None or own.stain is None:
        return Adaptation(None, None, f"{LEFT}: too little stained tissue")
    before = distance_of(own, tissue)
    if before < NEAR:  # there is little to gain
        return Adaptation(None, None, f"{LEFT}: the slide is not unfamiliar")
    said: list[str] = []
    restain, looks = _best_map(patches, bundle, own, target)
    if restain is not None:
        patches = [restain(patch) for patch in patches]
        after = distance_of(looks, tissue)
        said.append(f"stain, distance from the training tissue {before:.2f} -> {after:.2f}")
    statistics = None
    if distance_of(looks, tissue) >= NEAR:
        statistics, surer = _measured(patches, bundle, float(looks.confidence.mean()))
        said += [f"normalisations, {surer}"] if surer else []
    if not said:
        return Adaptation(None, None, f"{LEFT}: neither another stain nor other normalisations help")
    return Adaptation(restain, statistics, f"adapted: {'; '.join(said)}")


def _best_map(
    patches: Sequence[NDArray[np.uint8]], bundle: ModelBundle, own: Looks, target: Stain
) -> tuple[Restaining | None, Looks]:
    """Find the map to the training stain that makes patches most familiar, and how they look then."""
    assert own.stain is not None
    assert bundle.tissue is not None
    tissue, before = bundle.tissue, distance_of(own, bundle.tissue)
    nearest, chosen, looks = before * (WORTH if before >= FAR else WORTH_NEARER), None, own
    sight = sight_by_pytorch(bundle.network, bundle.input)
    for restain in restainings(own.stain, target):
        found = Looks.at([restain(patch) for patch in patches], sight)
        assert found is not None  # there are patches
        distance = distance_of(found, tissue)
        if distance <= nearest:
            nearest, chosen, looks = distance, restain, found
    return chosen, looks


def _measured(
    patches: Sequence[NDArray[np.uint8]], bundle: ModelBundle, confidence: float
) -> tuple[bytes | None, str]:
    """Measure the normalisations on patches; keep them where the network is not less sure with them.

    It is less sure where the patches show other classes than the training tissue, in other shares: then the
    statistics differ for that reason, and are worth nothing.
    """
    import torch

    from wsi_seg.inference.network.pixels import Normalisation
    from wsi_seg.models.renormalised import normalisations, renormalised, statistics_of

    if not normalisations(bundle.network):
        return None, ""
    images = Normalisation(bundle.input, torch.device("cpu"))(
        torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2)
    )
    network = renormalised(bundle.network, images, SHARE)
    looks = Looks.at(patches, sight_by_pytorch(network, bundle.input))
    assert looks is not None  # there are patches
    after = float(looks.confidence.mean())
    if after < confidence:
        return None, ""
    return statistics_of(network), f"mean confidence {confidence:.3f} -> {after:.3f}"


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
