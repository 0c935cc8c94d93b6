"""Splits: nothing that is validated on is ever trained on, and every class is on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.trainings import SCHEMA, Picture, striped
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.errors import AnnotationError
from wsi_seg.models.classes import ClassSchema
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.draws import PatchDraws
from wsi_seg.training.data.split import GAP, Split, by_blocks, by_group, nothing_held_out
from wsi_seg.training.data.split import given as given_split
from wsi_seg.training.data.survey import Survey, survey_all

TWO = ClassSchema(name="two", classes=SCHEMA.classes[:2])


def pictures(*sizes: tuple[int, int], seed: int = 0) -> list[Picture]:
    return [Picture.at_random(*size, seed=seed + i) for i, size in enumerate(sizes)]


def surveys_of(sources: list[Picture]) -> list[Survey]:
    return [Survey.of(source) for source in sources]


def validated(split: Split, sources: list[Picture]) -> list[np.ndarray]:
    """Where each source is validated on; no pixel twice."""
    seen = [np.zeros(source.classes.shape, int) for source in sources]
    for number, rect in split.validation:
        assert rect == rect.clipped(*sources[number].size)
        seen[number][rect.slices] += 1
    assert all(counts.max() <= 1 for counts in seen)
    return [counts.astype(bool) for counts in seen]


class Recording:
    """A cache that only notes what is read."""

    def __init__(self, cache: PixelCache) -> None:
        self.cache = cache
        self.rects: list[tuple[int, Rect]] = []

    def read(self, source: int, rect: Rect) -> LabelledPixels:
        self.rects.append((source, rect))
        return self.cache.read(source, rect)

    def diagnosis(self, source: int) -> int:
        return self.cache.diagnosis(source)


@settings(max_examples=12, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(560, 1100), st.integers(560, 1100)), min_size=1, max_size=2),
    patch=st.sampled_from([64, 96, 160]),
    share=st.floats(0.1, 0.4),
    seed=st.integers(0, 99),
)
def test_no_patch_ever_sees_a_pixel_that_is_validated_on(
    sizes: list[tuple[int, int]], patch: int, share: float, seed: int
) -> None:
    sources = pictures(*sizes, seed=seed)
    surveys = surveys_of(sources)
    split = by_blocks(sources, surveys, 2, share, seed, patch)
    assert split is not None
    kept_out = validated(split, sources)
    for number, rect in split.validation:
        assert any(out == rect.padded(GAP) for out in split.held_out[number])
    recording = Recording(PixelCache(sources, 64))
    draws = PatchDraws(
        recording,  # type: ignore[arg-type]
        [source.size for source in sources],
        split,
        surveys,
        TWO,
        patch,
        seed,
    )
    for draw in range(30):
        draws[draw]
    for number, rect in recording.rects:
        near = rect.padded(GAP).clipped(*sources[number].size)
        assert not kept_out[number][near.slices].any()
    counts = [
        np.bincount(np.concatenate([s.classes[k] for s, k in zip(sources, kept_out, strict=True)]))[:2],
        np.sum([s.without(h).pixels(2) for s, h in zip(surveys, split.held_out, strict=True)], axis=0),
    ]
    assert all((count > 0).all() for count in counts)


def test_blocks_hold_about_the_share_that_is_asked_for() -> None:
    sources = pictures((2000, 2000))
    split = by_blocks(sources, surveys_of(sources), 2, 0.25, 3, 256)
    assert split is not None
    (kept_out,) = validated(split, sources)
    known = sources[0].classes != IGNORE
    assert (kept_out & known).sum() / known.sum() == pytest.approx(0.25, abs=0.1)
    assert "training patches stay 64 px away" in split.description


def test_the_same_seed_keeps_the_same_out() -> None:
    sources = pictures((900, 700), (600, 600))
    first, again = (by_blocks(sources, surveys_of(sources), 2, 0.2, 1, 96) for _ in range(2))
    assert first == again is not None


@pytest.mark.parametrize("known", ["one spot", "one class in one spot"])
def test_of_too_little_no_blocks_are_kept_out(known: str) -> None:
    rgb, truth = striped(800, 800)
    classes = np.full_like(truth, IGNORE)
    if known == "one spot":
        classes[100:120, 40:90] = truth[100:120, 40:90]
    elif known == "one class in one spot":
        classes[:] = 0
        classes[100:120, 100:120] = 1
    sources = [Picture("few", rgb, classes)]
    assert by_blocks(sources, surveys_of(sources), 2, 0.2, 0, 64) is None


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.sampled_from("abcdef"), min_size=4, max_size=9), seed=st.integers(0, 9))
def test_groups_go_one_way_together(groups: list[str], seed: int) -> None:
    sources = pictures(*[(160, 120)] * len(groups), seed=seed)
    surveys = surveys_of(sources)
    split = by_group(sources, surveys, groups, 2, 0.25, seed)
    if split is None:
        assert len(set(groups)) == 1
        return
    kept = {number for number, _ in split.validation}
    assert kept.isdisjoint(split.training)
    assert kept | set(split.training) == set(range(len(sources)))
    assert {groups[i] for i in kept}.isdisjoint({groups[i] for i in split.training})
    for side in (kept, split.training):
        assert (np.sum([surveys[i].pixels(2) for i in side], axis=0) > 0).all()
    for number, rect in split.validation:
        assert (rect.width, rect.height) == sources[number].size


def test_a_class_in_one_group_alone_cannot_be_split() -> None:
    sources = pictures(*[(160, 120)] * 4)
    for source in sources[1:]:
        source.classes[source.classes == 1] = 0
    assert by_group(sources, surveys_of(sources), list("abcd"), 2, 0.25, 0) is None


def test_a_data_sets_own_split_and_none() -> None:
    sources = pictures(*[(64, 48)] * 5)
    split = given_split(sources, 3)
    assert split.training == (0, 1, 2)
    assert [number for number, _ in split.validation] == [3, 4]
    none = nothing_held_out(sources)
    assert none.training == tuple(range(5))
    assert len(none.validation) == 5
    assert "not on unseen tissue" in none.description


def test_outlines_where_nothing_was_scanned_are_named_as_that() -> None:
    picture = Picture("slide", np.zeros((512, 512, 3), np.uint8), np.full((512, 512), IGNORE, np.uint8))
    with pytest.raises(AnnotationError, match="slide: nothing was scanned where the outlines lie"):
        by_blocks([picture], survey_all([picture]), 2, 0.2, 0, 64)
