from __future__ import annotations

import numpy as np

from wsi_seg.slides.recorded import find_recorded

MPP = (8.0, 8.0)


def picture(seed=0):
    return np.random.default_rng(seed).integers(200, 220, (200, 300, 3)).astype(np.uint8)


def test_noise_is_recorded_and_large_flat_areas_are_not():
    rgb = picture()
    rgb[:, 200:] = 240
    rgb[150:, :100] = (255, 255, 255)

    recorded = find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)

    expected = np.ones((200, 300), dtype=bool)
    expected[:, 200:] = False
    expected[150:, :100] = False
    np.testing.assert_array_equal(recorded, expected)


def test_a_small_overexposed_gap_is_recorded():
    rgb = picture()
    rgb[50:90, 50:90] = 255

    assert find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP).all()


def test_what_the_file_does_not_have_is_not_recorded():
    present = np.zeros((200, 300), dtype=bool)
    present[:, :50] = True

    np.testing.assert_array_equal(find_recorded(picture(), present, MPP), present)


def test_ripples_of_compression_beside_a_filling_belong_to_it():
    rgb = picture()
    rgb[:, 200:] = 240
    rgb[:, 200:206:2] = (243, 238, 241)
    rgb[:, 190:192] = 239  # as bright, but not beside it

    recorded = find_recorded(rgb, np.ones((200, 300), dtype=bool), MPP)

    assert not recorded[:, 200:].any()
    assert recorded[:, :200].all()
