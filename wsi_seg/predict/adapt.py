"""A slide's stain turned into that of the training tissue, where this makes the slide more familiar.

There is no telling from pixels alone which of several maps between stains is right for a slide: how they are
spread depends on which tissue it shows. So each is tried on patches of the slide, and the network tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.inference.tissue.comparison import FAR, distance_of
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

WORTH = 0.8
"""A map is used only if it brings the slide to this share of its distance, or nearer."""


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
    """Find the map that makes a slide most familiar.

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
    """Find the map that brings patches of a slide nearest to a model's training tissue.

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
    sight = sight_by_pytorch(bundle.network, bundle.input)

    def looks(restain: Restaining | None) -> Looks | None:
        seen = patches if restain is None else [restain(patch) for patch in patches]
        return Looks.at(seen, sight)

    own = looks(None)
    if own is None or own.stain is None:
        return Adaptation(None, f"stain {LEFT}: too little stained tissue")
    before = nearest = distance_of(own, tissue)
    if before < FAR:  # a map may do harm, and there is little to gain
        return Adaptation(None, f"stain {LEFT}: the slide is not unfamiliar")
    chosen = None
    for restain in restainings(own.stain, target):
        found = looks(restain)
        assert found is not None  # there are patches
        distance = distance_of(found, tissue)
        if distance < nearest:
            nearest, chosen = distance, restain
    if chosen is None or nearest > WORTH * before:
        return Adaptation(None, f"stain {LEFT}: no map to the training stain makes it much more familiar")
    return Adaptation(
        chosen, f"stain adapted: distance from the training tissue {before:.2f} -> {nearest:.2f}"
    )


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
