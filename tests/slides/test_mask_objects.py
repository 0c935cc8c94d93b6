from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import morphology, segmentation

from wsi_seg.slides.mask_objects import within, without_cut_objects, without_small_objects

SHARES = pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.7, 1.0])


def some_mask(share: float) -> np.ndarray:
    return np.random.default_rng(7).random((67, 53)) < share


@SHARES
@pytest.mark.parametrize("max_size", [0, 1, 7, 300, 5000])
def test_small_objects_go_as_by_scikit_image(share: float, max_size: int) -> None:
    mask = some_mask(share)

    found = without_small_objects(mask, max_size)

    np.testing.assert_array_equal(found, morphology.remove_small_objects(mask, max_size=max_size))
    np.testing.assert_array_equal(mask, some_mask(share))


@SHARES
def test_cut_objects_go_as_by_scikit_image(share: float) -> None:
    mask = some_mask(share)

    found = without_cut_objects(mask)

    np.testing.assert_array_equal(found, segmentation.clear_border(mask))
    np.testing.assert_array_equal(mask, some_mask(share))


@pytest.mark.parametrize("radius", [1, 3, 4, 7, 80])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.3, 1.0])
def test_what_is_near_a_mask_is_what_a_distance_transform_finds(radius: int, share: float) -> None:
    mask = some_mask(share)

    found = within(mask, radius)

    near = ndimage.distance_transform_edt(~mask) <= radius if mask.any() else np.zeros_like(mask)
    np.testing.assert_array_equal(found, near)
    np.testing.assert_array_equal(mask, some_mask(share))
