"""What a worker checks before it does a region, and how it says what is wrong."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from conftest import damage_tile, tissue_rgb, write_model, write_tiff
from distributed.core import error_message
from helpers.drawn import write_boxes

from wsi_seg.errors import ModelError, OutputError, SchedulerError, SlideError, WsiSegError
from wsi_seg.inference.stream.job import RegionJob, close_job, process_region
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.inference.stream.software import Software
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.handout import hand_out
from wsi_seg.predict.plan import Plan
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.record import RunRecord
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.slide import Slide

Handed = tuple[RegionJob, ResultFolder]


@pytest.fixture
def handed(tmp_path: Path) -> Iterator[Handed]:
    """A job on a slide of its own, and the result that it writes to."""
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(400, 400))
    model = write_model(tmp_path / "m.safetensors", constant=1)
    roi = write_boxes(tmp_path / "roi.geojson", ("Tumour", (0, 0, 400, 400)))
    labels = LabelSettings(patch=256, overlap=64, region_cores=1, compile="no", roi=roi)
    settings = PredictSettings(model=str(model), labels=labels, run=RunSettings())
    plan = Plan.make(Slide(slide), load_bundle(model), "cpu", settings)
    result = ResultFolder(tmp_path / "out")
    writer = PyramidWriter(result.unfinished_zarr, plan.layout)
    result.work.mkdir(parents=True)
    assert plan.regions is not None
    result.roi.write_bytes(shapely.to_wkb(plan.regions.geometry_label))
    mask = plan.find_tissue()
    mask.save(result.tissue_mask)
    writer.create(plan.attributes)
    record = RunRecord(progress="segmenting", labels=plan.labels_key, export={}, tissue=mask.seal)
    yield hand_out(result, plan, record, writer, Ledger(result.ledger)), result
    close_job()


def refused(handed: Handed, error: type[WsiSegError], match: str) -> None:
    """See that a region is refused, and that nothing of it is kept."""
    job, result = handed
    before = {p for p in result.unfinished_zarr.rglob("*") if p.is_file()}
    with pytest.raises(error, match=match):
        process_region(job, 0, 0)
    assert {p for p in result.unfinished_zarr.rglob("*") if p.is_file()} == before
    assert not list(job.ledger.entries())


def test_a_region_is_done_where_all_is_as_it_should_be(handed: Handed) -> None:
    job, _ = handed
    entry = process_region(job, 0, 0)
    assert entry.pixels == {1: job.lattice.region**2}
    assert [r.name for r in job.ledger.entries()] == [entry.name]


def test_another_slide_at_the_path_is_refused(handed: Handed) -> None:
    write_tiff(handed[0].slide_path, tissue_rgb(400, 400, seed=1))
    refused(handed, SlideError, r"s\.tiff: is not the slide that the run was started with.*same path")


def test_another_slide_that_has_the_same_ends_is_refused(handed: Handed) -> None:
    """OpenSlide's hash and both ends of the file are the same: damage in the middle makes it another."""
    job, _ = handed
    fingerprint = Slide(job.slide_path).fingerprint
    damage_tile(job.slide_path, 5)
    handed = (replace(job, slide_fingerprint=Slide(job.slide_path).fingerprint), handed[1])
    assert len(fingerprint) == 16
    refused(handed, SlideError, "is not the slide")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_slide_that_is_replaced_after_it_was_opened_is_refused(handed: Handed, seed: int) -> None:
    job, result = handed
    process_region(job, 0, 0)
    other = write_tiff(job.slide_path.with_name("other.tiff"), tissue_rgb(400, 400, seed=seed))
    os.utime(other, ns=(1, 1))
    other.replace(job.slide_path)
    with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read"):
        process_region(job, 0, 1)
    assert len(list(job.ledger.entries())) == 1
    assert result.ledger.is_dir()


def test_a_slide_that_is_not_there_is_told(handed: Handed) -> None:
    handed[0].slide_path.unlink()
    refused(handed, SlideError, r"s\.tiff: .*every worker needs the slide, .* under the same paths")


def test_a_model_that_is_not_there_or_another_is_told(handed: Handed) -> None:
    path = handed[0].model_path
    write_model(path, constant=2)
    refused(handed, ModelError, "a worker found another model there")
    path.unlink()
    refused(handed, ModelError, r"m\.safetensors: .*every worker needs")


@pytest.mark.parametrize("name", ["wsi_seg", "torch", "openslide", "simplejpeg", "imagecodecs"])
def test_other_software_is_refused(handed: Handed, name: str) -> None:
    job, result = handed
    software = replace(job.software, **{name: "0.0.1"})
    shown = name.replace("_", "-")
    refused(
        (replace(job, software=software), result), SchedulerError, rf"has {shown} \d.* with {shown} 0\.0\.1"
    )


def test_source_that_differs_is_other_software(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = Software.here.__wrapped__(Software)
    assert here == Software.here()
    package = Path(shutil.copytree(Path(__file__).parents[3] / "wsi_seg" / "inference", tmp_path / "wsi_seg"))
    hashes = []
    monkeypatch.setattr("wsi_seg.__file__", str(package / "__init__.py"))
    for line in ("", "LABELS_VERSION = 0\n"):
        with (package / "region.py").open("a") as file:
            file.write(line)
        hashes.append(Software.here.__wrapped__(Software).wsi_seg)
    assert hashes[0] != hashes[1]


def test_regions_of_interest_of_another_run_are_refused(handed: Handed) -> None:
    handed[1].roi.write_bytes(shapely.to_wkb(shapely.box(0, 0, 100, 100)))
    refused(handed, OutputError, r"roi\.wkb: is not the file that this run wrote")


def test_an_output_folder_that_is_another_where_the_worker_is_is_refused(
    handed: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Far:
        address = "tcp://10.0.0.7:4321"

    monkeypatch.setattr("wsi_seg.inference.stream.job.get_worker", Far)
    _job, result = handed
    result.mark.write_text("of the folder that this machine has there")
    refused(handed, OutputError, r"mark: is not the file that this run wrote.*the same path everywhere")
    result.mark.unlink()
    refused(handed, OutputError, r"mark: cannot be read .*mount it under the same path")


def test_an_output_folder_that_is_removed_in_mid_run_is_told_without_a_cluster(handed: Handed) -> None:
    _job, result = handed
    result.mark.write_text("of a run that started anew")
    refused(
        handed, OutputError, r"mark: is not the file that .* wrote: another run took the folder: run again"
    )
    shutil.rmtree(result.folder)
    told = r"mark: was removed or moved during the run: put the output folder back, and run again$"
    refused(handed, OutputError, told)


def test_a_zarr_that_is_removed_in_mid_run_is_told_through_dask(handed: Handed) -> None:
    """zarr's own errors cannot be unpickled, and must not take the line with them."""
    job, result = handed
    shutil.rmtree(result.unfinished_zarr)
    with pytest.raises(
        OutputError, match=r"cannot be written \(.*\): check that its folder exists"
    ) as caught:
        process_region(job, 0, 0)
    sent = pickle.loads(error_message(caught.value)["exception"].data)
    assert (type(sent), str(sent)) == (OutputError, str(caught.value))


def test_a_region_that_comes_too_late_is_not_written(handed: Handed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that an earlier run left at work finishes its region after the folder was begun anew."""
    job, result = handed
    process_region(job, 0, 0)
    result.mark.write_text("of a run that started anew")
    with pytest.raises(OutputError, match="another run took the folder"):
        process_region(job, 0, 1)
    assert len(list(job.ledger.entries())) == 1


def test_a_worker_says_its_address_first(handed: Handed, monkeypatch: pytest.MonkeyPatch) -> None:
    class Far:
        address = "tcp://10.0.0.7:4321"

    monkeypatch.setattr("wsi_seg.inference.stream.job.get_worker", Far)
    handed[0].slide_path.unlink()
    refused(handed, SlideError, r"^worker tcp://10\.0\.0\.7:4321: .*s\.tiff")


@pytest.mark.parametrize(
    ("raised", "told"), [(MemoryError(), "out of memory"), (PermissionError(13, "denied"), "denied")]
)
def test_what_fails_on_a_worker_is_told_with_its_address(
    handed: Handed, monkeypatch: pytest.MonkeyPatch, raised: Exception, told: str
) -> None:
    class Far:
        address = "tcp://10.0.0.7:4321"

    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr("wsi_seg.inference.stream.job.get_worker", Far)
    monkeypatch.setattr("wsi_seg.inference.stream.job._region_segmenter", fails)
    refused(handed, SchedulerError, rf"^worker tcp://10\.0\.0\.7:4321: .*{told}")


def test_another_onnx_runtime_is_other_software_where_it_runs_the_network() -> None:
    here = Software.here(onnx=True)
    here.refuse_other()
    assert Software.here().onnxruntime is None
    with pytest.raises(SchedulerError, match=r"has onnxruntime \d.* with onnxruntime 0\.0\.1,"):
        replace(here, onnxruntime="0.0.1").refuse_other()
