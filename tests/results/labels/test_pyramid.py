"""The OME-Zarr writer and reader: levels against brute force, the same bytes whatever happened before."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
import zarr.storage._local as zarr_local
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.models.classes import UNPROCESSED_ID, ClassSchema, TissueClass
from wsi_seg.results.labels.halving import halve_known, halve_labels, halve_mean
from wsi_seg.results.labels.ngff_attributes import NgffVersion, PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.polygons.awaited import Arrivals
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Lattice, Rect

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = 600, 333
LATTICE = Lattice(WIDTH, HEIGHT, patch=64, halo=0, region_cores=2)
REGIONS = [region.label_rect for region in LATTICE.regions()]
SCHEMA = ClassSchema(
    name="toy",
    classes=(
        TissueClass(id=0, name="glass", color=(255, 255, 255)),
        TissueClass(id=1, name="tumour", color=(200, 0, 0)),
        TissueClass(id=7, name="stroma", color=(0, 200, 0)),
    ),
    background="glass",
)
FRAMES = Frames(
    bounds=Bounds(x=10, y=20, width=2 * WIDTH, height=2 * HEIGHT),
    slide_mpp=(0.25, 0.3),
    downsample=(2.0, 2.0),
    label_size=(WIDTH, HEIGHT),
)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Patchy labels: blocks of three pixels, so that levels have majorities, ties and odd ends."""
    rng = np.random.default_rng(0)
    coarse = rng.choice(np.array([0, 1, 7, 255], dtype=np.uint8), size=(HEIGHT // 3 + 1, WIDTH // 3 + 1))
    return np.kron(coarse, np.ones((3, 3), dtype=np.uint8))[:HEIGHT, :WIDTH]


@pytest.fixture(scope="module")
def confidence() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def new_writer(folder: Path, ngff: NgffVersion = "0.5", confidence: bool = False) -> PyramidWriter:
    layout = PyramidLayout(FRAMES, SCHEMA, LATTICE.region, 1, ngff, confidence)
    writer = PyramidWriter(folder / "slide.ome.zarr", layout)
    writer.create({"model": {"name": "toy"}})
    return writer


def digest(folder: Path) -> dict[str, str]:
    """Every file below the folder, by the hash of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def brute_force_mode(labels: np.ndarray) -> np.ndarray:
    """`Counter` keeps first-seen order among equals, and pixels are fed to it in reading order."""
    height, width = labels.shape
    halved = np.empty((-(-height // 2), -(-width // 2)), dtype=np.uint8)
    for y, x in np.ndindex(halved.shape):
        block = [
            int(labels[min(2 * y + dy, height - 1), min(2 * x + dx, width - 1)])
            for dy in (0, 1)
            for dx in (0, 1)
        ]
        halved[y, x] = Counter(block).most_common(1)[0][0]
    return halved


images = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(252, 255))


@given(images)
def test_halve_labels_takes_the_most_frequent_and_the_first_of_equals(labels: np.ndarray) -> None:
    np.testing.assert_array_equal(halve_labels(labels), brute_force_mode(labels))


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=7)))
def test_halve_mean_rounds_the_mean_of_four(values: np.ndarray) -> None:
    height, width = values.shape[-2:]
    padded = np.pad(values.astype(float), ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    blocks = padded.reshape(len(values), -(-height // 2), 2, -(-width // 2), 2)
    np.testing.assert_array_equal(halve_mean(values), np.floor(blocks.mean(axis=(2, 4)) + 0.5))


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(0, 3)))
def test_halve_known_takes_the_mean_of_what_is_known(values: np.ndarray) -> None:
    height, width = values.shape
    halved = halve_known(values)
    for y, x in np.ndindex(halved.shape):
        four = [
            int(values[min(2 * y + dy, height - 1), min(2 * x + dx, width - 1)])
            for dy in (0, 1)
            for dx in (0, 1)
        ]
        known = [value for value in four if value]
        assert halved[y, x] == (np.floor(np.mean(known) + 0.5) if known else 0)


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_levels_equal_those_of_the_whole_array(
    tmp_path: Path, labels: np.ndarray, confidence: np.ndarray, ngff: NgffVersion
) -> None:
    writer = new_writer(tmp_path, ngff, confidence=True)
    for rect in REGIONS:
        writer.write_region(rect, labels[rect.slices], confidence[rect.slices])
    writer.build_levels(workers=2)

    result = read_labels(writer.path)
    assert (result.shape, result.frames, result.schema) == ((HEIGHT, WIDTH), FRAMES, SCHEMA)
    assert result.attributes["model"] == {"name": "toy"}
    assert [level.shape for level in result.levels] == [(333, 600), (167, 300), (84, 150)]
    for level, (stored, stored_confidence) in enumerate(zip(result.levels, result.confidence, strict=True)):
        height, width = stored.shape
        whole = Rect(0, 0, height, width)
        np.testing.assert_array_equal(result.read(whole, level), labels)
        np.testing.assert_array_equal(result.read_confidence(whole, level), confidence)
        assert stored_confidence.shape == stored.shape
        labels, confidence = brute_force_mode(labels), halve_known(confidence)


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_bytes_do_not_depend_on_order_threads_or_history(
    tmp_path: Path, labels: np.ndarray, ngff: NgffVersion
) -> None:
    labels = labels.copy()
    for unprocessed in REGIONS[3:6]:
        labels[unprocessed.slices] = UNPROCESSED_ID

    plain = new_writer(tmp_path / "plain", ngff)
    for rect in REGIONS:
        if rect not in REGIONS[3:5]:
            plain.write_region(rect, labels[rect.slices])
    plain.build_levels(workers=1)
    plain.seal({}, {})

    stormy = new_writer(tmp_path / "stormy", ngff)
    for rect in REGIONS[2:9]:
        stormy.write_region(rect, np.ones_like(labels[rect.slices]))
    stormy.build_levels(workers=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rect: stormy.write_region(rect, labels[rect.slices]), REGIONS[::-1]))
    (stormy.path / "labels/tissue/0/0.1234.partial").write_bytes(b"left by a killed writer")
    stormy.build_levels(workers=3)
    stormy.build_levels(workers=2)
    stormy.seal({}, {})

    assert digest(stormy.path) == digest(plain.path)


def test_levels_are_made_while_regions_come(tmp_path: Path, labels: np.ndarray) -> None:
    before, during = new_writer(tmp_path / "before"), new_writer(tmp_path / "during")
    for rect in REGIONS:
        before.write_region(rect, labels[rect.slices])
    arrivals = Arrivals(before.layout.region)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(during.build_levels, 2, arrivals.wait_for)
        for rect in REGIONS[::-1]:
            assert not building.done()
            during.write_region(rect, labels[rect.slices])
            arrivals.add(rect)

    assert building.result() == before.build_levels(workers=1)
    assert digest(during.path) == digest(before.path)


def test_a_run_that_ends_early_ends_its_levels(tmp_path: Path, labels: np.ndarray) -> None:
    writer = new_writer(tmp_path)
    arrivals = Arrivals(writer.layout.region)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(writer.build_levels, 2, arrivals.wait_for)
        writer.write_region(REGIONS[0], labels[REGIONS[0].slices])
        arrivals.add(REGIONS[0])
        arrivals.end()
        with pytest.raises(OutputError, match="ended before all of its regions"):
            building.result()


def test_a_region_is_one_file_and_an_unprocessed_one_none(tmp_path: Path, labels: np.ndarray) -> None:
    writer = new_writer(tmp_path)
    before = set(digest(writer.path))
    rect = REGIONS[4]
    writer.write_region(rect, labels[rect.slices])
    assert set(digest(writer.path)) - before == {"labels/tissue/0/c/0/4"}
    writer.write_region(rect, np.full_like(labels[rect.slices], UNPROCESSED_ID))
    assert set(digest(writer.path)) == before


def test_unwritten_regions_read_as_unprocessed(tmp_path: Path, labels: np.ndarray) -> None:
    writer = new_writer(tmp_path, confidence=True)
    rect = REGIONS[0]
    writer.write_region(rect, labels[rect.slices], np.full_like(labels[rect.slices], 9))
    result = read_labels(writer.path)
    assert (result.read(REGIONS[1]) == UNPROCESSED_ID).all()
    assert (result.read_confidence(REGIONS[1]) == 0).all()


@pytest.mark.parametrize("torn", [b"", b"torn by a power cut"])
def test_a_torn_shard_can_be_written_again(tmp_path: Path, labels: np.ndarray, torn: bytes) -> None:
    writer = new_writer(tmp_path)
    rect = REGIONS[-1]
    writer.write_region(rect, labels[rect.slices])
    before = digest(writer.path)
    (writer.path / "labels/tissue/0/c/2/4").write_bytes(torn)
    writer.write_region(rect, labels[rect.slices])
    assert digest(writer.path) == before


def test_a_writer_travels_to_workers(tmp_path: Path, labels: np.ndarray) -> None:
    there = pickle.loads(pickle.dumps(new_writer(tmp_path)))
    there.write_region(REGIONS[0], labels[REGIONS[0].slices])
    np.testing.assert_array_equal(read_labels(there.path).read(REGIONS[0]), labels[REGIONS[0].slices])


def test_overview_is_stored_by_channel_and_reduced_by_mean(tmp_path: Path) -> None:
    writer = new_writer(tmp_path)
    rgb = np.random.default_rng(2).integers(0, 256, (167, 300, 3), dtype=np.uint8)
    writer.write_overview(rgb)
    first, second, third = (zarr.open_array(writer.path, path=str(i), mode="r") for i in range(3))
    np.testing.assert_array_equal(first[:], rgb.transpose(2, 0, 1))
    np.testing.assert_array_equal(second[:], halve_mean(rgb.transpose(2, 0, 1)))
    assert third.shape == (3, 42, 75)
    with pytest.raises(UsageError, match=r"not uint8 of shape \(167, 300, 3\)"):
        writer.write_overview(rgb[1:])


@pytest.mark.parametrize(
    "rect",
    [Rect(0, 64, 128, 192), Rect(0, 0, 64, 128), Rect(256, 512, 384, 640), Rect(384, 0, 512, 128)],
    ids=["shifted", "half a region", "past the edge", "outside"],
)
def test_only_whole_regions_are_written(tmp_path: Path, rect: Rect) -> None:
    with pytest.raises(UsageError, match="is not a region of 128 pixels"):
        new_writer(tmp_path).write_region(rect, np.zeros((rect.height, rect.width), dtype=np.uint8))


def test_arrays_must_fit_the_region(tmp_path: Path) -> None:
    writer = new_writer(tmp_path)
    zeros = np.zeros((128, 128), dtype=np.uint8)
    with pytest.raises(UsageError, match="uint8 of shape"):
        writer.write_region(REGIONS[0], zeros[:, :100])
    with pytest.raises(UsageError, match="int64"):
        writer.write_region(REGIONS[0], zeros.astype(np.int64))
    with pytest.raises(UsageError, match="confidence"):
        writer.write_region(REGIONS[0], zeros, zeros)


def test_create_keeps_its_hands_off_what_is_there(tmp_path: Path) -> None:
    writer = new_writer(tmp_path)
    before = digest(writer.path)
    with pytest.raises(OutputError, match=r"slide\.ome\.zarr: already exists"):
        writer.create({})
    assert digest(writer.path) == before


@pytest.mark.parametrize(
    ("error", "remedy"),
    [(errno.ENOSPC, "No space left on device): free space"), (errno.EACCES, "Permission denied): make")],
)
def test_a_refusing_disk_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, remedy: str
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> int:
        raise OSError(error, os.strerror(error), str(path))

    writer = new_writer(tmp_path / "made")
    unmade = PyramidWriter(tmp_path / "slide.ome.zarr", writer.layout)
    with monkeypatch.context() as patch:
        patch.setattr(zarr_local, "_put", refuse)
        patch.setattr("pathlib.Path.write_bytes", refuse)
        for attempt in (
            lambda: writer.write_region(REGIONS[0], np.zeros((128, 128), dtype=np.uint8)),
            lambda: writer.write_overview(np.ones((167, 300, 3), dtype=np.uint8)),
            lambda: unmade.create({}),
        ):
            with pytest.raises(OutputError) as caught:
                attempt()
            message = str(caught.value)
            assert re.search(r"slide\.ome\.zarr(/labels/tissue/0/c/0/0)?: cannot be written \(", message)
            assert remedy in message
            assert message.endswith("run the same command again")
            assert "\n" not in message
    assert not unmade.path.exists()
    unmade.create({})
    assert read_labels(unmade.path).shape == (HEIGHT, WIDTH)
    assert {path.name for path in tmp_path.iterdir()} == {"made", "slide.ome.zarr"}


def test_read_outside_the_image_is_refused(tmp_path: Path) -> None:
    result = read_labels(new_writer(tmp_path).path)
    with pytest.raises(UsageError, match="outside"):
        result.read(Rect(-1, 0, 10, 10))
    with pytest.raises(UsageError, match="outside"):
        result.read(Rect(0, 0, HEIGHT, WIDTH), level=1)
    with pytest.raises(UsageError, match="no confidence"):
        result.read_confidence(REGIONS[0])


def test_what_is_not_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder: give the"):
        read_labels(tmp_path / "absent.ome.zarr")
    with pytest.raises(OutputError, match="not a result of wsi-seg: give the"):
        read_labels(tmp_path)
    foreign = zarr.create_group(tmp_path / "foreign.ome.zarr/labels/tissue")
    with pytest.raises(OutputError, match="not a result"):
        read_labels(tmp_path / "foreign.ome.zarr")
    foreign.attrs["wsi_seg"] = {"frames": {}, "schema": {}}
    with pytest.raises(OutputError, match="not a result"):
        read_labels(tmp_path / "foreign.ome.zarr")


def test_damage_is_difference_to_labels(tmp_path: Path, labels: np.ndarray) -> None:
    writer = new_writer(tmp_path)
    for rect in REGIONS:
        writer.write_region(rect, labels[rect.slices])
    shard = writer.path / "labels/tissue/0/c/0/0"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    damaged = r"slide\.ome\.zarr: cannot be read \(.*\): run `wsi-seg predict` again, and if"
    with pytest.raises(OutputError, match=damaged):
        read_labels(writer.path).read(REGIONS[0])
    with pytest.raises(OutputError, match=damaged):
        writer.build_levels(workers=2)
    (writer.path / "labels/tissue/1/zarr.json").unlink()
    with pytest.raises(OutputError, match=damaged):
        read_labels(writer.path)
