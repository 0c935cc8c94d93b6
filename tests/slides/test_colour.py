from __future__ import annotations

import numpy as np
from conftest import tissue_rgb
from PIL import ImageCms

from wsi_seg.slides.colour import to_srgb


def test_srgb_stays_as_it_is() -> None:
    rgb = tissue_rgb(40, 50)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(to_srgb(rgb, profile).astype(int) - rgb).max() <= 1
    assert to_srgb(rgb, None) is rgb


def test_a_profile_that_is_no_good_changes_nothing() -> None:
    rgb = tissue_rgb(40, 50)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"", b"not a profile" * 30, lab):
        np.testing.assert_array_equal(to_srgb(rgb, profile), rgb)
