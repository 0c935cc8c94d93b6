"""What is believed of a result that is gone on with, and what is done again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.results import Recorder, fingerprints

from wsi_seg.errors import OutputError
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.whole import check_result
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings

SMALL = LabelSettings(patch=192, overlap=64, region_cores=2, confidence=True)


class StopAtEnd(Recorder):
    """Kills the run, as it were, with the last of its six regions."""

    def advance(self, megapixels: float) -> None:
        super().advance(megapixels)
        if self.regions == 6:
            raise KeyboardInterrupt


def settings(model: Path, ngff: str = "0.5") -> PredictSettings:
    labels = LabelSettings.model_validate({**SMALL.model_dump(), "ngff": ngff})
    return PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2))


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def ngff(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def unfinished(
    slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory, ngff: str
) -> Path:
    out = tmp_path_factory.mktemp("unfinished") / "tissue"
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, out, settings(model_path, ngff), StopAtEnd())
    return out


@pytest.fixture(scope="module")
def finished(unfinished: Path, slide_path: Path, model_path: Path, ngff: str) -> Path:
    """Made by going on with what was stopped, of which nothing is damaged."""
    out, heard = unfinished.with_name("finished"), Recorder()
    shutil.copytree(unfinished, out)
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "resuming: 6 of 6 regions are finished" in heard.said
    assert not any("doing them again" in line for line in heard.said)
    return out


def shard(zarr: Path, row: int, column: int, image: str = "tissue") -> Path:
    """A file of pixels of the region in that place."""
    zarr = zarr / "labels" / image / "0"
    return zarr / f"c/{row}/{column}" if (zarr / "zarr.json").exists() else zarr / f"{row}/{column}"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_each_damaged_region_is_done_again_and_no_other(
    unfinished: Path, finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(unfinished, out)
    zarr = ResultFolder(out).unfinished_zarr
    first, second = shard(zarr, 0, 0), shard(zarr, 0, 1)
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    shard(zarr, 0, 2).unlink()
    shard(zarr, 1, 0).write_bytes(b"")
    flip(shard(zarr, 1, 1, "confidence"))
    for metadata in (p for p in zarr.rglob("*") if p.name in {"zarr.json", ".zarray", ".zattrs", ".zgroup"}):
        metadata.write_text(metadata.read_text().replace("255", "0") if "tissue" in str(metadata) else "{")
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "resuming: 1 of 6 regions are finished" in heard.said
    assert "5 finished regions are missing or damaged: done again" in heard.said
    assert heard.names == [slide_path.name]  # and not that of a region
    assert heard.regions == 5
    assert fingerprints(out) == fingerprints(finished)


def test_without_the_unfinished_zarr_nothing_is_finished(
    unfinished: Path, finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(unfinished, out)
    shutil.rmtree(ResultFolder(out).unfinished_zarr)
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert heard.regions == 6
    assert fingerprints(out) == fingerprints(finished)


def test_damaged_entries_and_those_of_no_region_are_struck_off(
    unfinished: Path, finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(unfinished, out)
    ledger = Ledger(ResultFolder(out).ledger)
    entry = next(iter(ledger.entries()))
    ledger.add(entry.model_copy(update={"name": "7-7"}))
    ledger.add(entry.model_copy(update={"pixels": {0: 1}}))
    flip(sorted(ledger.folder.iterdir())[2])
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "3 finished regions are missing or damaged: done again" in heard.said
    assert heard.regions == 2
    assert fingerprints(out) == fingerprints(finished)


def test_regions_of_another_run_are_none_of_this_one(
    unfinished: Path, finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    """As a worker leaves them that was held up while it wrote, and whose run began anew meanwhile."""

    class Late(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            ledger.add(entry.model_copy(update={"made_from": "another model"}))

    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(unfinished, out)
    ledger = Ledger(ResultFolder(out).ledger)
    entry, other, *_ = ledger.entries()
    ledger.add(other.model_copy(update={"made_from": "another model"}))
    with pytest.raises(OutputError, match="1 of 6 regions are missing from the ledger: run the same command"):
        predict_slide(slide_path, out, settings(model_path, ngff), Late())
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "1 finished region is missing or damaged: done again" in heard.said
    assert heard.regions == 1
    assert fingerprints(out) == fingerprints(finished)


def test_a_region_that_is_lost_while_the_run_goes_on_is_not_published(
    unfinished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    class Lose(Recorder):
        def say(self, text: str) -> None:
            super().say(text)
            if text.startswith("resuming"):
                shard(zarr, 1, 2).unlink()

    out = tmp_path / "tissue"
    shutil.copytree(unfinished, out)
    zarr = ResultFolder(out).unfinished_zarr
    with pytest.raises(OutputError, match=r"1/2 is missing\): run `wsi-seg predict` again"):
        predict_slide(slide_path, out, settings(model_path, ngff), Lose())
    assert not (out / "slide.ome.zarr").exists()


def test_leftovers_of_a_kill_after_finished_are_cleared(
    finished: Path, unfinished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(finished, out)
    shutil.copytree(unfinished / ".wsi-seg/regions", out / ".wsi-seg/regions")
    for name in ("roi.wkb", "roi.geojson", ".record.json.0123.partial"):
        (out / ".wsi-seg" / name).write_text("left over")
    (out / "slide.ome.zarr/labels/tissue/.zarr.json.0123.partial").write_text("left over")
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "already finished" in heard.said[0]
    assert sorted(path.name for path in (out / ".wsi-seg").iterdir()) == ["lock", "record.json"]
    assert not list(out.rglob("*.partial"))


def test_a_finished_zarr_holds_no_leftovers_of_a_kill(
    unfinished: Path, finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out = tmp_path / "tissue"
    shutil.copytree(unfinished, out)
    (ResultFolder(out).unfinished_zarr / "labels/tissue/.zarr.json.0123.partial").write_text("left over")
    predict_slide(slide_path, out, settings(model_path, ngff))
    assert fingerprints(out) == fingerprints(finished)


def test_polygons_that_were_unpacked_and_edited_are_kept(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, given = tmp_path / "tissue", settings(model_path, ngff)
    shutil.copytree(finished, out)
    (out / "slide.geojson").write_text("edited")
    predict_slide(slide_path, out, given)  # nothing to do
    coarser = given.model_copy(update={"export": ExportSettings(simplify_um=9)})
    with pytest.raises(OutputError, match=r"slide\.geojson: does not belong to the result: delete it"):
        predict_slide(slide_path, out, coarser)
    assert (out / "slide.geojson").read_text() == "edited"
    assert fingerprints(out) == fingerprints(finished)


def test_coarser_levels_that_are_damaged_are_made_again_from_level_0(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(finished, out)
    zarr = ResultFolder(out).zarr
    coarser = [path for path in zarr.glob("labels/*/1/**/*") if path.is_file() and path.name in {"0", "1"}]
    assert {path.relative_to(zarr).parts[1] for path in coarser} == {"tissue", "confidence"}
    coarser[0].unlink()
    flip(coarser[-1])
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert any("making the coarser levels again from level 0" in line for line in heard.said)
    assert (heard.regions, heard.said[-1][:16]) == (0, "already finished")
    assert fingerprints(out) == fingerprints(finished)
    assert check_result(out).ok

    coarser[0].unlink()  # and killed while it is made again
    stray = coarser[0].with_suffix(".0123456789abcdef.partial")
    stray.write_bytes(b"half")
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert fingerprints(out) == fingerprints(finished)

    coarser[0].unlink()
    shard(zarr, 0, 0).unlink()
    with pytest.raises(OutputError, match=r"labels/tissue/0/.*0/0: missing .*--overwrite"):
        predict_slide(slide_path, out, settings(model_path, ngff))
    assert not coarser[0].exists()


@pytest.mark.parametrize("progress", ["finished", "exporting"])
def test_labels_that_are_damaged_are_not_finished(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str, progress: str
) -> None:
    out = tmp_path / "tissue"
    shutil.copytree(finished, out)
    result = ResultFolder(out)
    record = result.read_record()
    assert record is not None
    result.write_record(record.model_copy(update={"progress": progress}))
    before = (out / "summary.json").read_bytes()
    shard(result.zarr, 1, 1).unlink()
    with pytest.raises(OutputError, match=r"slide\.ome\.zarr/labels/tissue/0/.*1/1: missing: .*--overwrite"):
        predict_slide(slide_path, out, settings(model_path, ngff))
    assert (out / "summary.json").read_bytes() == before


def test_polygons_that_were_being_made_again_are_not_taken_for_edited(
    finished: Path,
    slide_path: Path,
    model_path: Path,
    tmp_path: Path,
    ngff: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out, given = tmp_path / "tissue", settings(model_path, ngff)
    shutil.copytree(finished, out)
    coarser = given.model_copy(update={"export": ExportSettings(simplify_um=9)})
    with monkeypatch.context() as stopped:
        stopped.setattr("wsi_seg.predict.predict_slide.finish", stop)
        with pytest.raises(KeyboardInterrupt):
            predict_slide(slide_path, out, coarser)
    predict_slide(slide_path, out, given)
    assert fingerprints(out) == fingerprints(finished)
    assert check_result(out).ok


def test_what_is_made_from_labels_is_made_again_if_missing_and_kept_if_edited(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(finished, out)
    (out / "overview.png").unlink()
    (out / "slide.geojson.gz").write_bytes(b"")
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "missing: slide.geojson.gz, overview.png" in heard.said
    assert heard.regions == 0
    assert fingerprints(out) == fingerprints(finished)
    assert (out / "overview.png").read_bytes() == (finished / "overview.png").read_bytes()

    edited = (out / "slide.geojson.gz").read_bytes()[:-9]
    (out / "slide.geojson.gz").write_bytes(edited)
    with pytest.raises(OutputError, match=r"slide\.geojson\.gz: altered or cut: delete it, or move it away"):
        predict_slide(slide_path, out, settings(model_path, ngff))
    assert (out / "slide.geojson.gz").read_bytes() == edited

    (out / "slide.geojson.gz").unlink()
    (out / "tissue_mask.png").unlink()
    with pytest.raises(OutputError, match=r"tissue_mask\.png: the tissue mask is missing"):
        predict_slide(slide_path, out, settings(model_path, ngff))


def test_files_of_ours_that_somebody_else_may_have_made_are_not_removed(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    for name in ("slide.geojson", "slide.geojson.gz", "overview.png", "summary.json", "tissue_mask.png"):
        own = tmp_path / "new" / name
        own.parent.mkdir(exist_ok=True)
        own.write_text("drawn by hand")
        with pytest.raises(OutputError, match=f"{name}: is there already, without a record of the run that"):
            predict_slide(slide_path, own.parent, settings(model_path, ngff))
        assert own.read_text() == "drawn by hand"
        own.unlink()

    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(finished, out)
    shutil.rmtree(out / "slide.ome.zarr")
    own, before = out / "slide.geojson.gz", (out / "slide.geojson.gz").read_bytes()
    own.write_text("drawn by hand")
    with pytest.raises(OutputError, match=r"slide\.geojson\.gz: altered or cut: delete it, or move it away"):
        predict_slide(slide_path, out, settings(model_path, ngff))
    assert own.read_text() == "drawn by hand"
    own.write_bytes(before)
    predict_slide(slide_path, out, settings(model_path, ngff), heard)
    assert "the label pyramid is missing: starting again" in heard.said
    assert fingerprints(out) == fingerprints(finished)


def test_a_kill_while_a_result_is_removed_is_in_nobodys_way(
    finished: Path,
    slide_path: Path,
    model_path: Path,
    tmp_path: Path,
    ngff: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, unlink, left = tmp_path / "tissue", Path.unlink, iter(range(3))
    shutil.copytree(finished, out)

    def killed(path: Path, missing_ok: bool = False) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as killing:
        killing.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            ResultFolder(out).clear()
    predict_slide(slide_path, out, settings(model_path, ngff))
    assert fingerprints(out) == fingerprints(finished)


def test_what_is_there_is_refused_by_what_differs_most(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    result = ResultFolder(out)
    record = result.read_record()
    assert record is not None
    version = record.labels["version"]
    assert isinstance(version, int)
    for changed, told in (
        ({"version": version - 1}, "made by an earlier wsi-seg, whose labels differ: use another -o"),
        ({"version": version + 1}, "made by a later wsi-seg, whose labels differ: use another -o"),
        (
            {"version": version - 1, "slide": "1234", "slide content": "5678"},
            "of another slide: use another -o",
        ),
    ):
        result.write_record(record.model_copy(update={"labels": {**record.labels, **changed}}))
        with pytest.raises(OutputError, match=f"holds a result {told}, or --overwrite"):
            predict_slide(slide_path, out, settings(model_path, ngff))


def test_a_link_to_labels_that_leads_nowhere_is_not_taken_for_none(
    finished: Path, slide_path: Path, model_path: Path, tmp_path: Path, ngff: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    zarr = ResultFolder(out).zarr
    zarr.rename(tmp_path / "elsewhere")
    zarr.symlink_to("../elsewhere")
    predict_slide(slide_path, out, settings(model_path, ngff))
    (tmp_path / "elsewhere").rename(tmp_path / "unmounted")
    with pytest.raises(OutputError, match=r"slide\.ome\.zarr: a broken link"):
        predict_slide(slide_path, out, settings(model_path, ngff))
    assert (out / "summary.json").exists()
