from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsi_seg.slides.recorded import find_recorded, find_slits, thick

MPP = (8.0, 8.0)


def picture(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(200, 220, (200, 300, 3)).astype(np.uint8)


def test_noise_is_recorded_and_large_flat_areas_are_not() -> None:
    rgb = picture()
    rgb[:, 200:] = 240
    rgb[150:, :100] = (255, 255, 255)

    recorded = find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)

    expected = np.ones((200, 300), dtype=bool)
    expected[:, 200:] = False
    expected[150:, :100] = False
    np.testing.assert_array_equal(recorded, expected)


def test_a_small_overexposed_gap_is_recorded() -> None:
    rgb = picture()
    rgb[50:90, 50:90] = 255

    assert find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP).all()


def test_what_the_file_does_not_have_is_not_recorded() -> None:
    present = np.zeros((200, 300), dtype=bool)
    present[:, :50] = True

    np.testing.assert_array_equal(find_recorded(picture(), present, MPP), present)


def test_ripples_of_compression_beside_a_filling_belong_to_it() -> None:
    rgb = picture()
    rgb[:, 200:] = 240
    rgb[:, 200:206:2] = (243, 238, 241)
    rgb[:, 190:192] = 239  # as bright, but not beside it

    recorded = find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)

    assert not recorded[:, 200:].any()
    assert recorded[:, :200].all()


def test_what_differs_more_in_the_midst_of_ripples_belongs_to_the_filling_too() -> None:
    rgb = picture()
    rgb[:, 200:] = 240
    rgb[:, 200:206] = 243
    rgb[50:60:2, 203] = 225

    assert not find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)[:, 200:].any()


def slit_picture() -> NDArray[np.uint8]:
    """A filled area, and apart from it two straight lines in almost its colour."""
    rgb = picture()
    rgb[:, 200:] = 240
    rng = np.random.default_rng(1)
    for rows in (slice(60, 64), slice(120, 124)):
        rgb[rows, 20:150] = 240 + rng.integers(-8, 9, (4, 130, 3))
    return rgb


def test_slits_are_difference_to_white_lines_of_tissue_by_the_finest_pixels() -> None:
    rgb = slit_picture()
    recorded = find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)
    looked_at = set()

    def sample(x: int, y: int) -> NDArray[np.uint8]:
        looked_at.add(y // 60)
        fine = np.full((16, 16, 3), 240, np.uint8)
        return (
            fine if y < 100 else fine + np.random.default_rng(x).integers(0, 3, fine.shape).astype(np.uint8)
        )

    slits = find_slits(rgb, recorded, MPP, sample)

    assert looked_at == {1, 2}
    expected = np.zeros((200, 300), dtype=bool)
    expected[60:64, 20:150] = True
    np.testing.assert_array_equal(slits, expected)


def test_without_any_filling_nothing_is_looked_at() -> None:
    def sample(x: int, y: int) -> NDArray[np.uint8]:
        raise AssertionError

    rgb = slit_picture()[:, :200]
    assert not find_slits(rgb, np.ones((200, 200), dtype=bool), MPP, sample).any()


def test_threads_are_no_fields() -> None:
    recorded = np.zeros((60, 80), dtype=bool)
    recorded[10:40, :50] = True  # a field, to the slide's edge
    fields = recorded.copy()
    recorded[42, 5:30:3] = recorded[43:45, 10:30] = True
    recorded[:, 70] = True

    np.testing.assert_array_equal(thick(recorded), fields)


def test_a_slide_of_any_size_may_be_recorded_all_over() -> None:
    for shape in ((1, 1), (2, 50), (3, 3)):
        assert thick(np.ones(shape, dtype=bool)).all()
