"""A slide's tissue beside the tissue that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.results.familiarity import Familiarity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.inference.tissue.patch_looks import Looks
    from wsi_seg.models.remembered import RememberedTissue, Spread

NEAR, FAR = 0.9, 1.2
"""Distances up to which tissue is familiar, and from which on it is unfamiliar: by generated slides, of which
those beyond `FAR` lose 0.1 of mIoU and more (``benchmarks/results/familiar.md``)."""

STAIN_FLOOR = 0.15
"""Standard deviation of the density that counts at least, as a share of it: training varies the stain too."""

SHARPNESS_FLOOR = 0.1
"""The same of the logarithm of the sharpness."""

STRIKING = 2.0
"""Standard deviations from which on a difference is said."""

OTHER_RESOLUTION = 1.1
"""Times finer or coarser."""

STAIN = "stain"
"""What a difference in colour is called."""

UNKNOWN = Familiarity(
    verdict=Verdict.UNKNOWN,
    line="familiarity unknown: this model remembers no tissue",
)

ADVICE = {
    Verdict.FAMILIAR: "familiar: its tissue looks like what the model was trained on",
    Verdict.PARTLY: "in part unfamiliar: its tissue differs from what the model was trained on",
    Verdict.UNFAMILIAR: "unfamiliar: its tissue is unlike what the model was trained on",
}


def compare(
    looks: Looks | None, tissue: RememberedTissue | None, mpp: float, coarsest_mpp: float
) -> Familiarity | None:
    """Compare patches of a slide with what its model remembers.

    Parameters
    ----------
    looks : Looks or None
        The slide's patches; None if it has no tissue.
    tissue : RememberedTissue or None
        None if the model remembers none.
    mpp : float
        Micrometres per pixel of the patches.
    coarsest_mpp : float
        Of the slide's finest level, from which they were read.

    Returns
    -------
    Familiarity or None
        None if the slide has no tissue.
    """
    if tissue is None:
        return UNKNOWN
    if looks is None:
        return None
    distance, by_features = distance_of(looks, tissue), _by_features(looks, tissue)
    differs = [
        *_resolution(tissue.mpp, mpp, coarsest_mpp),
        *_stain(looks, tissue),
        *_sharpness(looks, tissue),
    ]
    if distance < NEAR:
        verdict = Verdict.FAMILIAR
    else:
        verdict = Verdict.PARTLY if distance < FAR else Verdict.UNFAMILIAR
        if not differs or by_features >= STRIKING:
            differs.append("tissue")
    line = ADVICE[verdict]
    if differs and differs != ["tissue"]:  # that it is unlike the training tissue is said already
        line += f"; {'but it differs' if verdict == Verdict.FAMILIAR else 'it differs'} in {_listed(differs)}"
    if verdict != Verdict.FAMILIAR:
        line += ": check the result by eye"
    return Familiarity(
        verdict=verdict,
        line=line,
        differs=tuple(differs),
        distance=round(distance, 2),
        patches=len(looks.features),
    )


def distance_of(looks: Looks, tissue: RememberedTissue) -> float:
    """Return how far patches are from the training tissue to the network.

    In standard deviations between training patches: the root mean square over its features, plus what its
    confidence is lower by.
    """
    unsure = -float(_deviation(looks.confidence, tissue.confidence)[0])
    return _by_features(looks, tissue) + max(0.0, unsure)


def _by_features(looks: Looks, tissue: RememberedTissue) -> float:
    return float(np.sqrt((_deviation(looks.features, tissue.features) ** 2).mean()))


def _deviation(values: NDArray[np.float64], spread: Spread, floor: float = 0.0) -> NDArray[np.float64]:
    """Return how many standard deviations between training patches the mean lies from theirs."""
    deviation: NDArray[np.float64] = values.mean(axis=0) - np.array(spread.mean)
    deviation /= np.maximum(np.array(spread.std), floor)
    return deviation


def _resolution(remembered: float, mpp: float, coarsest_mpp: float) -> Iterator[str]:
    if not 1 / OTHER_RESOLUTION <= mpp / remembered <= OTHER_RESOLUTION:
        yield f"resolution ({mpp:.3g} um per px, trained at {remembered:.3g})"
    elif coarsest_mpp > OTHER_RESOLUTION * mpp:
        yield f"resolution (the slide has {coarsest_mpp:.3g} um per px, read at {mpp:.3g})"


def _stain(looks: Looks, tissue: RememberedTissue) -> Iterator[str]:
    remembered = np.array(tissue.density.mean)
    deviation = _deviation(looks.density, tissue.density, STAIN_FLOOR * float(remembered.mean()))
    if abs(deviation).max() < STRIKING:
        return
    density = looks.density.mean(axis=0)
    times = float(density.mean() / max(remembered.mean(), 1e-3))
    shares = density / max(density.sum(), 1e-3), remembered / max(remembered.sum(), 1e-3)
    change = shares[0] - shares[1]
    channel = int(abs(change).argmax())
    if abs(change[channel]) >= 0.05:
        how = f"{'more' if change[channel] < 0 else 'less'} {('red', 'green', 'blue')[channel]}"
    else:
        how = f"{times:.1f} times as dense"
    yield f"{STAIN} ({how})"


def _sharpness(looks: Looks, tissue: RememberedTissue) -> Iterator[str]:
    deviation = float(_deviation(looks.sharpness, tissue.sharpness, SHARPNESS_FLOOR)[0])
    if abs(deviation) >= STRIKING:
        yield f"sharpness ({'blurred' if deviation < 0 else 'sharper, or noisy'})"


def _listed(differs: list[str]) -> str:
    *others, last = differs
    return f"{', '.join(others)} and {last}" if others else last
