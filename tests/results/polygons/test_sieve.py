from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from skimage.measure import label

from wsi_seg.results.polygons import compiled, sieve
from wsi_seg.results.polygons.components import find_components
from wsi_seg.results.polygons.sieve import read_sieved, sieve_by_numpy, sieve_image
from wsi_seg.slides.lattice import Rect

VALUES = st.sampled_from([0, 1, 2, 3, 254, 255])
IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=VALUES)


class Watched:
    """A label image that counts how often it is read."""

    def __init__(self, array: NDArray[np.uint8]):
        self.array = array
        self.shape = array.shape
        self.reads: list[Rect] = []

    def read(self, rect: Rect) -> NDArray[np.uint8]:
        self.reads.append(rect)
        return self.array[rect.slices]


def sieved_slowly(image: NDArray[np.uint8], min_area: int) -> NDArray[np.uint8]:
    """The sieve's rule, pixel by pixel."""
    image = image.copy()
    ids = label(image, background=-1, connectivity=1)
    area = np.bincount(ids.reshape(-1))
    value = {int(i): int(v) for i, v in zip(ids.reshape(-1), image.reshape(-1), strict=True)}
    waiting = {i for i, v in value.items() if v < 254 and area[i] < min_area}
    height, width = image.shape
    while True:
        votes: dict[int, Counter[int]] = {i: Counter() for i in waiting}
        for y in range(height):
            for x in range(width):
                for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                    if not (0 <= v < height and 0 <= u < width):
                        continue
                    one, other = int(ids[y, x]), int(ids[v, u])
                    if one in waiting and other not in waiting and value[other] < 254:
                        votes[one][value[other]] += 1
        given_away = {i: min(v, key=lambda c: (-v[c], c)) for i, v in votes.items() if v}
        if not given_away:
            return untangled_slowly(image, np.isin(ids, list(waiting)))
        for i, v in given_away.items():
            image[ids == i] = v
            value[i] = v
        waiting -= given_away.keys()


def untangled_slowly(image: NDArray[np.uint8], left_over: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Each 4-connected group of small components gets the class that most of its pixels have."""
    image = image.copy()
    groups = label(left_over, background=0, connectivity=1)
    for group in range(1, groups.max() + 1):
        pixels = Counter(image[groups == group].tolist())
        image[groups == group] = min(pixels, key=lambda c: (-pixels[c], c))
    return image


def test_a_tangle_becomes_what_most_of_it_is() -> None:
    noise = np.random.default_rng(0).choice([1, 2], (60, 60), p=[0.45, 0.55]).astype(np.uint8)

    result, exact = read_sieved(Watched(noise), whole(noise), 3000)

    assert exact
    assert (result == 2).all()


def whole(image: NDArray[np.uint8]) -> Rect:
    return Rect(0, 0, *image.shape)


@given(IMAGES, st.integers(1, 12))
def test_sieve_follows_its_rule(image: NDArray[np.uint8], min_area: int) -> None:
    result, exact = read_sieved(Watched(image), whole(image), min_area)

    assert exact
    np.testing.assert_array_equal(result, sieved_slowly(image, min_area))


@given(st.integers(0, 2**32), st.integers(2, 12), st.data())
def test_any_part_is_a_part_of_the_whole(seed: int, min_area: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 3, (14, 14)), np.ones((3, 3))).astype(np.uint8)
    noise = rng.random(image.shape) < 0.3
    image[noise] = rng.choice([0, 1, 2, 3, 254, 255], noise.sum())
    height, width = image.shape
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rect = Rect(y0, x0, data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width)))
    expected, _ = read_sieved(Watched(image), whole(image), min_area)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve, "FIRST_MARGIN", 1)
        result, exact = read_sieved(Watched(image), rect, min_area)

    assert exact
    np.testing.assert_array_equal(result, expected[rect.slices])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4), st.data())
def test_kernels_and_numpy_sieve_the_same(seed: int, min_area: int, block: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 4, (9, 11)), np.ones((block, block))).astype(np.uint8)
    noise = rng.random(image.shape) < 0.2
    image[noise] = rng.choice([0, 1, 2, 3, 253, 254, 255], noise.sum())
    height, width = image.shape
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    inner = Rect(y0, x0, data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width)))
    goes_on = data.draw(st.tuples(*[st.booleans()] * 4))

    labels, exact, runs = sieve_image(image, goes_on, inner, min_area)
    by_numpy, exact_by_numpy, runs_by_numpy = sieve_by_numpy(image, goes_on, inner, min_area)

    assert compiled.kernels() is not None
    assert (exact, runs) == (exact_by_numpy, runs_by_numpy)
    assert labels.dtype == by_numpy.dtype
    np.testing.assert_array_equal(labels, by_numpy)


@pytest.mark.parametrize("inner", [Rect(0, 0, 4, 6), Rect(-1, 0, 2, 2), Rect(2, 2, 2, 3)])
def test_kernels_look_at_no_pixel_beyond_the_image(inner: Rect) -> None:
    library = compiled.kernels()
    assert library is not None
    with pytest.raises(ValueError, match="of an image of"):
        compiled.sieve(library, np.zeros((4, 5), dtype=np.uint8), (False,) * 4, inner, 2, 254)


def test_a_tie_goes_to_the_lowest_class() -> None:
    image = np.array([[2, 2, 3, 1, 1]], dtype=np.uint8)

    result, _ = read_sieved(Watched(image), whole(image), 2)

    assert result.tolist() == [[2, 2, 1, 1, 1]]


def test_pixels_that_are_no_findings_stay() -> None:
    image = np.array([[254, 1, 255], [254, 254, 255], [7, 7, 255]], dtype=np.uint8)

    result, _ = read_sieved(Watched(image), whole(image), 100)

    np.testing.assert_array_equal(result, image)


def test_nothing_is_read_beyond_what_is_asked_for_when_everything_is_kept() -> None:
    source = Watched(np.zeros((300, 300), dtype=np.uint8))
    rect = Rect(100, 100, 110, 110)

    read_sieved(source, rect, 1)

    assert source.reads == [rect]


def test_calm_surroundings_are_read_once() -> None:
    source = Watched(np.zeros((3000, 3000), dtype=np.uint8))

    read_sieved(source, Rect(1000, 1000, 1100, 1100), 5000)

    assert len(source.reads) == 1


def test_a_tangle_that_reaches_too_far_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "LAST_MARGIN", 128)
    image = (np.indices((4, 1000)).sum(axis=0) % 2).astype(np.uint8)
    image[:, 0] = 2
    source = Watched(image)

    _, exact = read_sieved(source, Rect(0, 500, 4, 550), 10)

    assert not exact
    assert [r.x0 for r in source.reads] == [500 - 64, 500 - 128]


def test_noise_takes_little_memory() -> None:
    noise = np.random.default_rng(0).integers(0, 8, (400, 400)).astype(np.uint8)
    components = find_components(noise)

    tracemalloc.start()
    sieve.sieve(components, 100, np.zeros(len(components), dtype=bool))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 200 * noise.size


def test_context_of_noise_is_not_widened_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "MOST_RUNS", 10_000)
    noise = np.random.default_rng(0).integers(0, 8, (600, 600)).astype(np.uint8)
    source = Watched(noise)

    _, exact = read_sieved(source, Rect(200, 200, 300, 300), 100)

    assert not exact
    assert len(source.reads) == 1
