"""Draws: a function of seed and number, fair to classes and images, shared out without overlap."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from helpers.trainings import SCHEMA, Picture, striped
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.errors import AnnotationError
from wsi_seg.models.classes import ClassSchema
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.draws import ImageDraws, Numbers, PatchDraws, fitted
from wsi_seg.training.data.split import GAP, Split, nothing_held_out
from wsi_seg.training.data.survey import Survey, survey_all
from wsi_seg.training.engine.validation import Images, Tiles


def patch_draws(
    sources: list[Picture], split: Split | None = None, side: int = 32, seed: int = 0
) -> PatchDraws:
    sizes = [source.size for source in sources]
    split = split or nothing_held_out(sources)
    return PatchDraws(PixelCache(sources, 64), sizes, split, survey_all(sources), SCHEMA, side, seed)


def rare() -> Picture:
    """A class everywhere, one in a hundredth of the picture, one in a few pixels."""
    rgb, classes = striped(400, 600)
    classes = np.zeros_like(classes)
    classes[100:149, 200:249] = 1
    classes[300:303, 500:505] = 2
    return Picture("rare", rgb, classes)


def test_a_draw_is_a_function_of_seed_and_number() -> None:
    sources = [Picture.at_random(200, 160, 3, seed=i) for i in range(2)]
    first, again, other = (patch_draws(sources, seed=seed) for seed in (5, 5, 6))
    forwards = [first[i] for i in range(20)]
    backwards = [again[i] for i in reversed(range(20))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert torch.equal(a.rgb, b.rgb)
        assert torch.equal(a.classes, b.classes)
    assert a.rgb.shape == (3, 32, 32)
    assert a.classes.shape == (32, 32)
    assert not all(torch.equal(first[i].rgb, other[i].rgb) for i in range(20))


def test_every_class_is_drawn_as_often_as_any_other() -> None:
    """A patch lies around a pixel of the class drawn, so even a rare class is in a third of all patches."""
    draws = patch_draws([rare()], side=16)
    count = 600
    having = np.zeros(3)
    for i in range(count):
        having[np.unique(draws[i].classes.numpy())] += 1
    assert having[0] > count * 0.6
    # Three standard deviations of a binomial distribution with a third.
    expected = pytest.approx(count / 3, abs=3 * np.sqrt(count * 2 / 9))
    assert having[1] == expected
    assert having[2] == expected


def test_a_class_near_what_is_kept_out_is_not_drawn_less() -> None:
    source = rare()
    source.classes[source.classes == 1] = 0
    source.classes[120:180, 200:212] = 1  # few of the patches around these lie right of the gap
    block = Rect(100, 36, 200, 200 - GAP)
    split = Split((0,), ((block.padded(GAP),),), ((0, block),), "")
    draws = patch_draws([source], split, side=32)
    having = sum(bool((draws[i].classes == 1).any()) for i in range(300))
    assert having == pytest.approx(100, abs=3 * np.sqrt(300 * 2 / 9))


def test_sources_are_drawn_by_what_they_hold_of_a_class() -> None:
    """Three quarters of class 1 in the second picture."""
    pictures = []
    for number, rows in enumerate((20, 60)):
        classes = np.zeros((100, 100), np.uint8)
        classes[:rows] = 1
        pictures.append(Picture(str(number), np.full((100, 100, 3), number, np.uint8), classes))
    draws = patch_draws(pictures, side=8)
    drawn = [draws[i] for i in range(600)]
    of_second = [bool(d.rgb[0, 0, 0]) for d in drawn if (d.classes == 1).float().mean() > 0.8]
    assert np.mean(of_second) == pytest.approx(0.75, abs=0.1)


def test_patches_lie_inside_wherever_they_fit() -> None:
    small, large = Picture.at_random(24, 80, seed=1), Picture.at_random(90, 70, seed=2)
    for source in (small, large):
        draws = patch_draws([source], side=48)
        for i in range(30):
            unknown = (draws[i].classes == IGNORE).float().mean()
            beyond = 1 - min(source.size[0], 48) / 48
            assert unknown >= beyond - 1e-6
            if source is large:
                assert draws[i].rgb.shape == (3, 48, 48)


def test_classes_without_pixels_are_passed_over_and_one_alone_is_refused() -> None:
    source = rare()
    source.classes[source.classes == 2] = IGNORE
    seen = {int(v) for i in range(40) for v in np.unique(patch_draws([source])[i].classes)}
    assert seen == {0, 1, IGNORE} or seen == {0, 1}
    source.classes[source.classes == 1] = IGNORE
    with pytest.raises(AnnotationError, match="1 of 3 classes have pixels to train on: two are needed"):
        patch_draws([source])


def test_where_no_patch_fits_it_says_so() -> None:
    source = Picture.at_random(200, 200, 3)
    block = Rect(60, 60, 140, 140)
    split = Split((0,), ((block.padded(40),),), ((0, block),), "")
    with pytest.raises(AnnotationError, match=r"no patch of 64 px fits .* smaller --set data\.patch"):
        patch_draws([source], split, side=64)[0]


def image_draws(count: int, batch: int, passes: list[tuple[int, int]], seed: int = 0) -> ImageDraws:
    pictures = [
        Picture(str(i), np.full((32, 48, 3), i, np.uint8), np.zeros((32, 48), np.uint8)) for i in range(count)
    ]
    split = nothing_held_out(pictures)
    return ImageDraws(PixelCache(pictures, 64), [p.size for p in pictures], split, passes, batch, seed)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 9), batch=st.integers(1, 5), sizes=st.integers(1, 3), seed=st.integers(0, 5))
def test_each_image_comes_once_a_pass_and_sizes_in_turn(
    count: int, batch: int, sizes: int, seed: int
) -> None:
    passes = [(48, 32), (96, 64), (64, 64)][:sizes]
    draws = image_draws(count, batch, passes, seed)
    assert draws.pass_batches == -(-count // batch)
    assert draws.epoch_batches == draws.pass_batches * sizes
    for passed in range(2 * sizes):
        start = passed * draws.pass_batches * batch
        drawn = [draws[start + i] for i in range(draws.pass_batches * batch)]
        assert {tuple(d.rgb.shape[:0:-1]) for d in drawn} == {passes[passed % sizes]}
        numbers = [int(d.rgb[0, 0, 0]) for d in drawn]
        assert sorted(numbers[:count]) == list(range(count))
        assert set(numbers[count:]) <= set(numbers[: len(numbers) - count])


def test_the_order_of_images_changes_from_pass_to_pass() -> None:
    draws = image_draws(9, 3, [(48, 32)])
    orders = {tuple(int(draws[9 * p + i].rgb[0, 0, 0]) for i in range(9)) for p in range(6)}
    assert len(orders) > 3


def test_images_keep_their_aspect_and_what_is_beside_them_is_unknown() -> None:
    pixels = LabelledPixels(*striped(40, 80))
    small = fitted(pixels, (64, 64))
    assert small.rgb.shape == (64, 64, 3)
    assert (small.classes[32:] == IGNORE).all()
    assert (small.classes[:32] != IGNORE).all()
    assert (small.rgb[32:] == 0).all()
    near = fitted(pixels, (400, 201))
    assert (near.classes != IGNORE).all()


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    pixels = LabelledPixels(*striped(40, 80))
    same = fitted(pixels, (80, 40))
    np.testing.assert_array_equal(same.rgb, pixels.rgb)
    np.testing.assert_array_equal(same.classes, pixels.classes)


def test_draws_know_what_their_picture_as_a_whole_was_found_to_be() -> None:
    classes = striped(160, 256)[1]
    pictures = [
        Picture(str(i), np.full((160, 256, 3), i, np.uint8), classes, diagnosis)
        for i, diagnosis in enumerate((None, 3, 0))
    ]
    split, surveys = nothing_held_out(pictures), survey_all(pictures)
    cache, sizes = PixelCache(pictures, 64), [picture.size for picture in pictures]
    for draws in (
        PatchDraws(cache, sizes, split, surveys, SCHEMA, 64, 0),
        ImageDraws(cache, sizes, split, [(64, 40)], 3, 0),
        Images(cache, split, None),
        Images(cache, split, (64, 40)),
        Tiles(cache, split, surveys),
    ):
        seen = {(int(draws[i].rgb[0, 0, 0]), int(draws[i].diagnosis)) for i in range(3)}
        assert seen <= {(0, IGNORE), (1, 3), (2, 0)}
        assert len(seen) > 1


@settings(max_examples=60, deadline=None)
@given(
    stop=st.integers(1, 12),
    first=st.integers(0, 12),
    batch=st.integers(1, 5),
    world=st.integers(1, 4),
)
def test_processes_share_the_numbers_out_and_go_on_where_they_were(
    stop: int, first: int, batch: int, world: int
) -> None:
    def taken(begin: int) -> list[int]:
        shares = [list(Numbers(begin, stop, batch, rank, world)) for rank in range(world)]
        return [n for step in zip(*shares, strict=True) for share in step for n in share]

    first = min(first, stop)
    assert taken(0) == list(range(stop * batch * world))
    assert taken(0)[first * batch * world :] == taken(first)
    assert len(Numbers(first, stop, batch)) == stop


def test_an_endless_stage_begins_at_once() -> None:
    assert list(islice(Numbers(3, 1 << 40, 2), 2)) == [[6, 7], [8, 9]]


def test_a_survey_of_a_slide_is_all_that_is_kept_of_it() -> None:
    """Points are those of cells, so a large class costs no more than its cells."""
    source = Picture.at_random(400, 300, 3)
    coarse = Survey.of(source, many=True)
    draws = PatchDraws(
        PixelCache([source], 8),
        [source.size],
        nothing_held_out([source]),
        [coarse],
        ClassSchema(name="three", classes=SCHEMA.classes),
        32,
        0,
    )
    assert sum(len(points) for places in draws._points for _, points in places) <= coarse.cells.size
