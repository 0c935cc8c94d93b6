from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA

from wsi_seg.errors import OutputError
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.polygons.awaited import Arrivals, AwaitedLabels
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Rect

LEFT, RIGHT, BELOW = Rect(0, 0, 64, 64), Rect(0, 64, 64, 100), Rect(64, 0, 90, 64)


def test_a_wait_ends_with_the_last_region_that_is_touched() -> None:
    arrivals = Arrivals(64)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(arrivals.wait_for, Rect(10, 60, 64, 70))
        arrivals.add(BELOW)
        arrivals.add(LEFT)
        time.sleep(0.02)
        assert not waiting.done()
        arrivals.add(RIGHT)
        waiting.result(5)
    arrivals.wait_for(LEFT)
    arrivals.wait_for(Rect(60, 0, 90, 64))


def test_who_waits_for_what_never_comes_is_told() -> None:
    arrivals = Arrivals(64)
    arrivals.add(LEFT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(arrivals.wait_for, Rect(0, 0, 64, 65))
        arrivals.end()
        with pytest.raises(OutputError, match="run it again"):
            waiting.result(5)
    arrivals.wait_for(LEFT)


def test_labels_are_read_once_they_are_written(tmp_path: Path) -> None:
    bounds = Bounds(x=0, y=0, width=200, height=180)
    frames = Frames(bounds=bounds, slide_mpp=(1.0, 1.0), downsample=(2.0, 2.0), label_size=(100, 90))
    layout = PyramidLayout(frames, SCHEMA, region=64, overview_level=0)
    writer = PyramidWriter(tmp_path / "slide.ome.zarr", layout)
    writer.create({})
    arrivals = Arrivals(64)
    labels = AwaitedLabels.of(read_labels(writer.path), arrivals)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(labels.read, Rect(0, 50, 10, 75))
        for value, rect in enumerate((LEFT, RIGHT)):
            time.sleep(0.02)
            assert not reading.done()
            writer.write_region(rect, np.full((rect.height, rect.width), value, dtype=np.uint8))
            arrivals.add(rect)
        expected = np.repeat([[0] * 14 + [1] * 11], 10, axis=0)
        np.testing.assert_array_equal(reading.result(5), expected)
