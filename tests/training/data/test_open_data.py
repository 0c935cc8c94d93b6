"""From what a command names to what a training sees."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.qupath_projects import write_project_of
from helpers.trainings import draw_boxes, tiny_recipe, write_outlined, write_tiles

from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.data.sources import IGNORE, Source
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.slides.slide import Slide
from wsi_seg.training.data.class_extents import extents, tells_nothing
from wsi_seg.training.data.open_data import DataRequest, open_data
from wsi_seg.training.data.training_data import lacking
from wsi_seg.training.engine.provenance import identity, slides_of
from wsi_seg.training.request import TrainRequest


def test_a_project_and_its_outlines_are_slides_and_annotations(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path)
    (tmp_path / "outlines").mkdir()
    outlines = shutil.copy(drawn, tmp_path / "outlines" / f"{slide.stem}.geojson")
    project = write_project_of(tmp_path / "study" / "project.qpproj", slide, tmp_path / "other.svs")
    recipe = tiny_recipe()
    of_project = open_data(DataRequest((project.parent, tmp_path / "outlines"), working_mpp=2), recipe, None)
    of_pair = open_data(DataRequest((slide, Path(outlines)), working_mpp=2), recipe, None)
    (one,), (other,) = of_project.sources, of_pair.sources
    assert one.size == other.size
    np.testing.assert_array_equal(one.class_map(8), other.class_map(8))
    assert of_project.remarks == (f"{project}: 1 image without outlines: other.svs", *of_pair.remarks)


def test_a_projects_folder_is_no_data_set(tmp_path: Path) -> None:
    project = write_project_of(tmp_path / "study" / "project.qpproj", tmp_path / "a.svs")
    with pytest.raises(
        UsageError, match=r"project\.qpproj: a QuPath project without its outlines: give their"
    ):
        open_data(DataRequest((project.parent,)), tiny_recipe(), None)


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
    paths: list[Path] = []
    for number in range(4):
        paths += write_outlined(tmp_path, f"s{number}", (192, 128), seed=number)
    three = open_data(DataRequest(tuple(paths[:6]), working_mpp=2), tiny_recipe("data.patch=32"), None)
    assert three.split.training == (0, 1, 2)
    assert three.split.description.startswith("nothing kept out, because a part of so few outlines could not")
    four = open_data(DataRequest(tuple(paths), working_mpp=2), tiny_recipe(), None)
    assert len(four.split.training) == 3
    assert len({number for number, _ in four.split.validation}) == 1
    assert lacking(four) == []


def test_blocks_are_kept_out_where_a_class_can_be_told(tmp_path: Path) -> None:
    request = DataRequest(write_outlined(tmp_path, "much", (1024, 768)), working_mpp=2)
    much = open_data(request, tiny_recipe(), None)
    assert " block" in much.split.description
    assert much.split.unseen


def test_a_class_whose_outlines_are_hidden_is_told_as_that(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path, size=(1024, 768))
    within = [
        ("Nerve", (100, 100, 140, 140)),
        ("Stroma", (100, 100, 120, 140)),
        ("Tumour", (120, 100, 140, 140)),
    ]
    draw_boxes(drawn, *within)
    data = open_data(DataRequest((slide, drawn), working_mpp=2), tiny_recipe("data.validation=none"), None)
    assert lacking(data) == [
        "Nerve: no pixels to train on, so not learned, though it is outlined: its outlines lie under smaller "
        "ones, which count, or where nothing was scanned, or are too small"
    ]


def test_of_few_outlines_all_are_trained_on_unless_blocks_are_asked_for(tmp_path: Path) -> None:
    request = DataRequest(write_outlined(tmp_path, "few", (640, 512)), working_mpp=2)
    blocks = open_data(request, tiny_recipe("data.validation=blocks"), None)
    assert blocks.split.unseen
    assert tells_nothing(extents(blocks))
    everything = open_data(request, tiny_recipe(), None)
    assert not everything.split.unseen
    assert everything.split.held_out == ((),)
    assert (everything.training_pixels() > blocks.training_pixels()).all()
    assert [each.kept_out_pixels for each in extents(everything)] == [0, 0]
    assert [each.pieces for each in extents(everything)] == [0, 0]


def test_outlines_that_cannot_be_parted_are_all_trained_on_unless_blocks_are_asked_for(
    tmp_path: Path,
) -> None:
    slide, drawn = write_outlined(tmp_path, size=(1024, 1024))
    draw_boxes(drawn, ("Stroma", (100, 100, 120, 140)), ("Tumour", (120, 100, 140, 140)))
    request = DataRequest((slide, drawn), working_mpp=2)
    with pytest.raises(UsageError, match=r"outline more, or give --set data\.validation=none"):
        open_data(request, tiny_recipe("data.validation=blocks"), None)
    split = open_data(request, tiny_recipe(), None).split
    assert split.description.startswith("nothing kept out, because no part has every class")


def fingerprint_of(source: Source) -> str:
    assert isinstance(source, LabelledSlide)
    return Slide(source.path).fingerprint


def test_copies_of_a_slide_are_one_slide_for_the_split(tmp_path: Path) -> None:
    paths: list[Path] = []
    for number in range(4):
        paths += write_outlined(tmp_path, f"s{number}", (192, 128), seed=number)
    copy = tmp_path / "copy.tiff"
    shutil.copy(paths[0], copy)

    three = DataRequest((*paths[:6], copy, paths[1]), working_mpp=2)
    data = open_data(three, tiny_recipe("data.patch=32", "data.validation=blocks"), None)
    assert [source.name for source in data.sources] == ["s0", "s1", "s2"]
    assert re.match(
        r"kept out: (1 block|\d+ blocks) of", data.split.description
    )  # three slides are too few to keep one out
    assert f"copies count as one slide: {copy} of {paths[0]}" in data.split.description
    assert any("the same slide as" in remark for remark in data.remarks)

    for seed in range(4):
        recipe = tiny_recipe(f"training.seed={seed}")
        data = open_data(DataRequest((*paths, copy, paths[1]), working_mpp=2), recipe, None)
        content = [fingerprint_of(source) for source in data.sources]
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
    for changed in (replace(request, mpp=wrong), replace(request, working_mpp=wrong)):
        with pytest.raises(UsageError, match=r"mpp .*: (not a resolution|no slide has that): give"):
            open_data(changed, tiny_recipe(), None)


def test_images_that_are_trained_on_whole_are_kept_out_whole(tmp_path: Path) -> None:
    whole = ["data.sampling=whole", "data.sizes=[[64, 64]]", "training.epoch_steps=null"]
    data = open_data(DataRequest((write_tiles(tmp_path / "a", count=3),)), tiny_recipe(*whole), None)
    assert {number for number, _ in data.split.validation}.isdisjoint(data.split.training)
    with pytest.raises(AnnotationError, match=r"no choice of whole images.*data\.validation=none"):
        open_data(DataRequest((write_tiles(tmp_path / "b", count=1),)), tiny_recipe(*whole), None)
    with pytest.raises(UsageError, match="blocks cannot be kept out of images"):
        tiny_recipe(*whole, "data.validation=blocks")
