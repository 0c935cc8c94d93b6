"""What a training leaves in its model's file: what the tissue looked like that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.inference.network.threads import computing_threads
from wsi_seg.inference.tissue.patch_looks import Looks, patch_side
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.slides.sampled import fullest, squares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network
    from wsi_seg.models.remembered import RememberedTissue
    from wsi_seg.slides.lattice import Rect
    from wsi_seg.training.data.cache import PixelCache
    from wsi_seg.training.data.training_data import TrainingData

PATCHES = 96


def remember(
    network: Network, spec: InputSpec, data: TrainingData, cache: PixelCache
) -> RememberedTissue | None:
    """Look at patches of what was trained on, evenly from all of it, with the network that came of it.

    Parameters
    ----------
    network : Network
        In eval mode, float32, on the CPU.
    spec : InputSpec
    data : TrainingData
    cache : PixelCache
        Its pixels.

    Returns
    -------
    RememberedTissue or None
        None for plain images, and where nothing but background is known.
    """
    if data.mpp is None:
        return None
    patches = _patches(data, cache, patch_side(network.config))
    # On one core: several that compute a small patch wait for each other, on a busy machine for minutes.
    with computing_threads(1, 1, "remember") as pool:
        looks = pool.submit(Looks.at, patches, sight_by_pytorch(network, spec)).result()
    return None if looks is None else looks.remembered(data.mpp)


def _patches(data: TrainingData, cache: PixelCache, side: int) -> Iterator[NDArray[np.uint8]]:
    places = [(i, square) for i in data.split.training for square in squares(data.sizes[i], side)]
    apart = [IGNORE]
    if data.schema.background is not None:
        apart.append(data.schema.index_of(data.schema.background) or 0)

    def share(place: tuple[int, Rect]) -> float:
        cells = data.surveys[place[0]].within(place[1])
        return float((~np.isin(cells, apart)).mean()) if cells.size else 0.0

    for source, square in fullest(places, share, PATCHES):
        yield cache.read(source, square).rgb
