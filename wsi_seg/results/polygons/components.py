"""Connected components of a label image, found on runs of equal pixels instead of on pixels.

A run is a maximal stretch of equal pixels in one row. Label images have about a hundred times fewer runs
than pixels, so areas, neighbours and shared borders cost little once the runs are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.results.polygons import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Components:
    """The 4-connected components of an image, numbered from 0 in row-major order of their first pixel.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the image.
    run_start : NDArray of int64, shape (runs,)
        Flat index of each run's first pixel, ascending.
    run_component : NDArray of int32, shape (runs,)
        Component that each run belongs to.
    value : NDArray, shape (components,)
        Pixel value of each component, in the image's dtype.
    area : NDArray of int64, shape (components,)
        Pixels in each component.
    neighbours : NDArray of int32, shape (pairs, 3)
        Components that share pixel edges, as rows (one, other, number of edges). A pair can stand in
        several rows, in either order, each for a part of its shared border.
    """

    shape: tuple[int, int]
    run_start: NDArray[np.int64]
    run_component: NDArray[np.int32]
    value: NDArray[Any]
    area: NDArray[np.int64]
    neighbours: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.value)

    @property
    def run_end(self) -> NDArray[np.int64]:
        """Flat index just past each run's last pixel."""
        return np.append(self.run_start[1:], self.shape[0] * self.shape[1])

    def sides(self) -> tuple[NDArray[np.int32], ...]:
        """Return the component of each pixel of the image's first and last row, first and last column."""
        height, width = self.shape
        first = np.searchsorted(self.run_start, np.arange(height + 1) * width)
        component = self.run_component
        top, bottom = (
            np.repeat(component[begin:end], np.diff(self.run_start[begin:end], append=(row + 1) * width))
            for row, begin, end in ((0, 0, first[1]), (height - 1, first[-2], first[-1]))
        )
        return top, bottom, component[first[:-1]], component[first[1:] - 1]

    def paint(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the image in which each component has its entry of `values`, shape (components,)."""
        per_run = values[self.run_component]
        if per_run.itemsize in compiled.PAINTED and (library := compiled.kernels()):
            return compiled.paint(library, self.run_start, per_run, self.shape)
        return np.repeat(per_run, np.diff(self.run_start, append=self.shape[0] * self.shape[1])).reshape(
            self.shape
        )


def find_components(image: NDArray[Any]) -> Components:
    """Find the 4-connected components of equal pixels.

    Parameters
    ----------
    image : NDArray of an integer dtype, shape (height, width)
        Any values; none is treated as background. Must hold at least one pixel.
    """
    if image.dtype == np.uint8 and image.size <= compiled.MOST_PIXELS and (library := compiled.kernels()):
        start, component, value, area, neighbours = compiled.components(library, image)
        return Components(
            shape=(image.shape[0], image.shape[1]),
            run_start=start.astype(np.int64),
            run_component=component,
            value=value.astype(np.uint8),
            area=area.astype(np.int64),
            neighbours=neighbours.reshape(-1, 3),
        )
    return find_by_numpy(image)


def find_by_numpy(image: NDArray[Any]) -> Components:
    """Do the same as `find_components`, without compiled kernels and for any integers."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    height, width = image.shape
    begins = np.ones((height, width), dtype=bool)
    np.not_equal(image[:, 1:], image[:, :-1], out=begins[:, 1:])
    run_start = np.flatnonzero(begins)
    run_value = image.reshape(-1)[run_start]

    # Two rows' runs overlap in stretches that begin wherever a run of either row begins.
    stretch = np.flatnonzero(begins[:-1] | begins[1:])
    upper = np.searchsorted(run_start, stretch, side="right").astype(np.int32) - 1
    lower = np.searchsorted(run_start, stretch + width, side="right").astype(np.int32) - 1
    length = np.diff(stretch, append=(height - 1) * width)
    joined = run_value[upper] == run_value[lower]

    runs = len(run_start)
    edges = (np.ones(np.count_nonzero(joined), dtype=bool), (upper[joined], lower[joined]))
    count, component = connected_components(coo_array(edges, shape=(runs, runs)), directed=False)

    first_run = np.zeros(count, dtype=np.int64)
    first_run[component[::-1]] = np.arange(runs - 1, -1, -1)
    run_length = np.diff(run_start, append=height * width)
    beside = np.flatnonzero(run_start[1:] % width)
    apart = np.flatnonzero(~joined)
    neighbours = np.empty((len(apart) + len(beside), 3), dtype=np.int32)
    neighbours[: len(apart)].T[:] = component[upper[apart]], component[lower[apart]], length[apart]
    neighbours[len(apart) :].T[:2] = component[beside], component[beside + 1]
    neighbours[len(apart) :, 2] = 1
    return Components(
        shape=(height, width),
        run_start=run_start,
        run_component=component,
        value=run_value[first_run],
        area=np.bincount(component, weights=run_length, minlength=count).astype(np.int64),
        neighbours=neighbours,
    )
