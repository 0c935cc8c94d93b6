from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.errors import UsageError
from wsi_seg.slides.lattice import Lattice, Rect

lattices = st.builds(
    lambda w, h, core, halo, cores: Lattice(w, h, core * 64 + 2 * halo * 32, halo * 32, cores),
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 3),
)


@given(lattices)
def test_cores_tile_the_label_frame_exactly_once(lattice: Lattice) -> None:
    times = np.zeros((lattice.height, lattice.width), dtype=int)
    for region in lattice.regions():
        for patch in region.patches():
            times[patch.core.slices] += 1
            assert patch.core.intersection(region.label_rect) == patch.core
    assert (times == 1).all()


@given(lattices)
def test_regions_tile_the_label_frame_and_number_as_many_as_said(lattice: Lattice) -> None:
    times = np.zeros((lattice.height, lattice.width), dtype=int)
    regions = list(lattice.regions())
    for region in regions:
        times[region.label_rect.slices] += 1
        assert region.label_rect.x0 % lattice.region == region.label_rect.y0 % lattice.region == 0
    assert (times == 1).all()
    assert len(regions) == len(lattice) == len({r.name for r in regions})


@given(lattices)
def test_every_patch_has_the_same_shape_and_its_halo_around_its_core(lattice: Lattice) -> None:
    for region in lattice.regions():
        for patch in region.patches():
            assert (patch.rect.width, patch.rect.height) == (lattice.patch, lattice.patch)
            assert patch.core.x0 - patch.rect.x0 == patch.core.y0 - patch.rect.y0 == lattice.halo
            assert patch.rect.x1 - patch.core.x1 >= lattice.halo
            assert patch.core.area > 0


@given(lattices, st.integers(1, 3))
def test_patches_do_not_depend_on_the_size_of_regions(lattice: Lattice, cores: int) -> None:
    other = Lattice(lattice.width, lattice.height, lattice.patch, lattice.halo, cores)
    patches = [{p for r in one.regions() for p in r.patches()} for one in (lattice, other)]
    assert patches[0] == patches[1]


@pytest.mark.parametrize(
    ("patch", "halo", "says"),
    [(1000, 64, "multiple of 64"), (1024, 50, "multiple of 64"), (128, 64, "no core"), (0, 0, "patch of 0")],
)
def test_sizes_that_do_not_fit_are_refused_with_the_remedy(patch: int, halo: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Lattice(100, 100, patch, halo, 1)


rects = st.builds(lambda y, x, h, w: Rect(y, x, y + h, x + w), *[st.integers(0, 20)] * 4)


@given(rects, rects)
def test_intersection_is_what_pixels_say(a: Rect, b: Rect) -> None:
    pixels = np.zeros((41, 41), dtype=int)
    pixels[a.slices] += 1
    pixels[b.slices] += 1
    assert a.intersection(b).area == (pixels == 2).sum()
