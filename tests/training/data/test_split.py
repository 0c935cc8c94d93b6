"""Splits: nothing that is validated on is ever trained on, and every class is on both sides."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.trainings import SCHEMA, Picture, striped, tiny_recipe, write_outlined, write_tiles
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.models.classes import ClassSchema
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.draws import PatchDraws
from wsi_seg.training.data.gathering import DataRequest, lacking, open_data
from wsi_seg.training.data.split import GAP, Split, by_blocks, by_group, nothing_held_out
from wsi_seg.training.data.split import given as given_split
from wsi_seg.training.data.survey import Survey, survey_all
from wsi_seg.training.engine.provenance import identity, slides_of
from wsi_seg.training.request import TrainRequest

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
        sum(s.without(h).pixels(2) for s, h in zip(surveys, split.held_out, strict=True)),
    ]
    assert all((count > 0).all() for count in counts)


def test_blocks_hold_about_the_share_that_is_asked_for() -> None:
    sources = pictures((2000, 2000))
    split = by_blocks(sources, surveys_of(sources), 2, 0.25, 3, 256)
    (kept_out,) = validated(split, sources)
    known = sources[0].classes != IGNORE
    assert (kept_out & known).sum() / known.sum() == pytest.approx(0.25, abs=0.1)
    assert "training patches stay 64 px away" in split.description


def test_the_same_seed_keeps_the_same_out() -> None:
    sources = pictures((900, 700), (600, 600))
    first, again = (by_blocks(sources, surveys_of(sources), 2, 0.2, 1, 96) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("known", ["one spot", "one class in one spot"])
def test_too_little_to_keep_any_out_is_one_line(known: str) -> None:
    rgb, truth = striped(800, 800)
    classes = np.full_like(truth, IGNORE)
    if known == "one spot":
        classes[100:120, 40:90] = truth[100:120, 40:90]
    elif known == "one class in one spot":
        classes[:] = 0
        classes[100:120, 100:120] = 1
    sources = [Picture("few", rgb, classes)]
    with pytest.raises(UsageError, match=r"outline more, or give --set data\.validation=none"):
        by_blocks(sources, surveys_of(sources), 2, 0.2, 0, 64)


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
        assert (sum(surveys[i].pixels(2) for i in side) > 0).all()
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


def test_tiles_of_a_slide_go_together(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path, count=12)
    for kind in ("images", "masks"):
        for path in (folder / kind).iterdir():
            number = int(path.stem)
            path.rename(path.with_name(f"slide{number // 2}_x{number}_y0.png"))
    data = open_data(DataRequest((folder,)), tiny_recipe(), None)
    kept = {data.sources[i].name.partition("_x")[0] for i, _ in data.split.validation}
    trained = {data.sources[i].name.partition("_x")[0] for i in data.split.training}
    assert kept
    assert kept.isdisjoint(trained)


def test_slides_are_kept_out_whole_from_four_on(tmp_path: Path) -> None:
    paths = []
    for number in range(4):
        paths += write_outlined(tmp_path, f"s{number}", (192, 128), seed=number)
    three = open_data(DataRequest(tuple(paths[:6]), working_mpp=2), tiny_recipe("data.patch=32"), None)
    assert " block" in three.split.description
    four = open_data(DataRequest(tuple(paths), working_mpp=2), tiny_recipe(), None)
    assert len(four.split.training) == 3
    assert len({number for number, _ in four.split.validation}) == 1
    assert lacking(four) == []


def test_copies_of_a_slide_are_one_slide_for_the_split(tmp_path: Path) -> None:
    paths = []
    for number in range(4):
        paths += write_outlined(tmp_path, f"s{number}", (192, 128), seed=number)
    copy = tmp_path / "copy.tiff"
    shutil.copy(paths[0], copy)

    three = DataRequest((*paths[:6], copy, paths[1]), working_mpp=2)
    data = open_data(three, tiny_recipe("data.patch=32"), None)
    assert [source.name for source in data.sources] == ["s0", "s1", "s2"]
    assert re.match(
        r"kept out: (1 block|\d+ blocks) of", data.split.description
    )  # three slides are too few to keep one out
    assert f"copies count as one slide: {copy} of {paths[0]}" in data.split.description
    assert any("the same slide as" in remark for remark in data.remarks)

    for seed in range(4):
        recipe = tiny_recipe(f"training.seed={seed}")
        data = open_data(DataRequest((*paths, copy, paths[1]), working_mpp=2), recipe, None)
        content = [Slide(source.path).fingerprint for source in data.sources]
        kept = {content[number] for number, _ in data.split.validation}
        assert len(data.sources) == 4
        assert kept.isdisjoint({content[number] for number in data.split.training})
        assert slides_of(data) == [content[number] for number in data.split.training]


def test_data_may_be_named_by_strings(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, "one", (320, 256))
    recipe = tiny_recipe("data.validation=none")
    data = open_data(DataRequest(tuple(map(str, pair)), working_mpp=2), recipe, None)
    assert [source.name for source in data.sources] == ["one"]
    request = TrainRequest(DataRequest(tuple(map(str, pair))), recipe, out=str(tmp_path / "out"))
    assert request.folder == tmp_path / "out"
    assert identity(request, data, None)["data"] == [str(path) for path in pair]


def test_beyond_a_scanned_field_is_background_or_else_the_rest(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, "one", (320, 256))

    def beyond(schema: str | None = None, rest: str | None = None) -> int:
        request = DataRequest(pair, TruthSettings(rest=rest), working_mpp=2)
        named = () if schema is None else (f"data.classes={schema}",)
        return open_data(request, tiny_recipe("data.validation=none", *named), None).beyond

    assert beyond() == IGNORE
    assert beyond(rest="Stroma") == 0  # the rest comes first
    classes = "[{id: 4, name: Stroma, color: [9, 9, 9]}, {id: 7, name: Glass, color: [8, 8, 8]}, "
    classes += "{id: 2, name: Tumour, color: [7, 7, 7]}]"
    (tmp_path / "glass.yaml").write_text(f"name: glass\nbackground: Glass\nclasses: {classes}\n")
    assert beyond(str(tmp_path / "glass.yaml"), rest="Stroma") == 1


def test_what_is_asked_for_is_done_or_refused(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, "one", (320, 256))
    request = DataRequest(pair, working_mpp=2)
    with pytest.raises(AnnotationError, match="no choice of whole slides"):
        open_data(request, tiny_recipe("data.validation=slides"), None)
    none = open_data(request, tiny_recipe("data.validation=none"), None)
    assert none.validation_pixels().tolist() == none.training_pixels().tolist()
    with pytest.raises(UsageError, match="no split of its own"):
        open_data(DataRequest((write_tiles(tmp_path / "t"),)), tiny_recipe("data.validation=given"), None)


def test_what_is_kept_for_validation_is_not_trained_on_for_want_of_more(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "t")
    (folder / "val").mkdir()
    for name in ("images", "masks"):
        (folder / name).rename(folder / "val" / name)
    with pytest.raises(
        UsageError, match="nothing to train on: it has val, but no list or folder named train"
    ):
        open_data(DataRequest((folder,)), tiny_recipe(), None)


def test_what_means_nothing_for_images_is_refused(tmp_path: Path) -> None:
    request = DataRequest((write_tiles(tmp_path / "t"),), TruthSettings(rest="Other"), working_mpp=2)
    with pytest.raises(UsageError, match="--rest, --working-mpp: has no effect on images with masks"):
        open_data(request, tiny_recipe(), None)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_a_resolution_that_is_none_is_refused(wrong: float, tmp_path: Path) -> None:
    request = DataRequest((tmp_path / "a.tiff", tmp_path / "a.geojson"), working_mpp=2)
    for option in ("mpp", "working_mpp"):
        with pytest.raises(UsageError, match="not a resolution: give um per pixel"):
            open_data(replace(request, **{option: wrong}), tiny_recipe(), None)


def test_images_that_are_trained_on_whole_are_kept_out_whole(tmp_path: Path) -> None:
    whole = ["data.sampling=whole", "data.sizes=[[64, 64]]"]
    data = open_data(DataRequest((write_tiles(tmp_path / "a", count=3),)), tiny_recipe(*whole), None)
    assert {number for number, _ in data.split.validation}.isdisjoint(data.split.training)
    with pytest.raises(AnnotationError, match=r"no choice of whole images.*data\.validation=none"):
        open_data(DataRequest((write_tiles(tmp_path / "b", count=1),)), tiny_recipe(*whole), None)
    with pytest.raises(UsageError, match="blocks cannot be kept out of images"):
        tiny_recipe(*whole, "data.validation=blocks")


def test_outlines_where_nothing_was_scanned_are_named_as_that():
    picture = Picture("slide", np.zeros((512, 512, 3), np.uint8), np.full((512, 512), IGNORE, np.uint8))
    with pytest.raises(AnnotationError, match="slide: nothing was scanned where the outlines lie"):
        by_blocks([picture], survey_all([picture]), 2, 0.2, 0, 64)
