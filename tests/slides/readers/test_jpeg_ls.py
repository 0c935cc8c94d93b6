"""JPEG-LS in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from conftest import tissue_rgb

from wsi_seg.slides.readers.jpeg_ls import JpegLsDecoder

RGB = tissue_rgb(200, 260)
FRAME = bytes(imagecodecs.jpegls_encode(RGB))


@pytest.fixture
def decoder() -> Iterator[JpegLsDecoder]:
    made = JpegLsDecoder()
    yield made
    made.close()


def test_frames_come_back_as_they_were_from_several_threads(decoder: JpegLsDecoder) -> None:
    grey = np.ascontiguousarray(RGB[:90, :, 0])
    frames = [FRAME, imagecodecs.jpegls_encode(grey)] * 4
    with ThreadPoolExecutor(4) as pool:
        decoded = list(pool.map(decoder.decode, frames))
    for number, pixels in enumerate(decoded):
        np.testing.assert_array_equal(pixels, grey[..., None] if number % 2 else RGB)


def test_a_damaged_frame_is_refused_and_the_next_is_decoded(decoder: JpegLsDecoder) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decoder.decode(b"no frame at all")
    np.testing.assert_array_equal(decoder.decode(FRAME), RGB)


def test_a_frame_that_takes_too_long_ends_the_process_and_not_this_one() -> None:
    """A sound frame, and less time than any takes."""
    hasty = JpegLsDecoder(seconds=1e-6)
    large = bytes(imagecodecs.jpegls_encode(np.tile(RGB, (8, 8, 1))))
    for _ in range(2):
        with pytest.raises(ValueError, match="not decoded within 1e-06 s of processor time"):
            hasty.decode(large)
    hasty.close()


def test_a_forked_process_would_begin_anew(decoder: JpegLsDecoder) -> None:
    decoder.decode(FRAME)
    first = decoder._process
    assert first is not None
    decoder.forget()
    np.testing.assert_array_equal(decoder.decode(FRAME), RGB)
    assert decoder._process is not first
    first.kill()
    first.communicate()
