"""Resume an earlier run: find how far a result is, and keep only what is unchanged since it was written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError, printable
from wsi_seg.files.files import move, remove_partial, replacing, writing
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.predict.difference import how_made
from wsi_seg.results.labels.seals import DamagedError, document_path
from wsi_seg.results.record import RegionTotals, RunRecord, differences
from wsi_seg.results.whole import (
    check_labels,
    document_damages,
    only_coarser_damaged,
    refuse_damaged,
    stray_polygons,
)

if TYPE_CHECKING:
    from wsi_seg.inference.stream.job import RegionJob
    from wsi_seg.predict.plan import Plan
    from wsi_seg.progress import Progress
    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.pyramid import PyramidWriter
    from wsi_seg.slides.lattice import Lattice


def begin(result: ResultFolder, plan: Plan, progress: Progress) -> RunRecord:
    """Find what is left to do; refuse a result of something else, or a damaged one.

    Raises
    ------
    OutputError
        If the result is of something else, or has changed since it was finished.
    """
    if plan.settings.run.overwrite:
        result.clear()
    fresh = RunRecord(
        progress="segmenting",
        labels=plan.labels_key,
        export=plan.export_key,
        slide=_place_of(plan),
        series=plan.settings.labels.series,
        software=plan.software.recorded(),
    )
    record = result.read_record()
    if record is None:
        _refuse_unknown(result)
        result.clear()
        result.write_record(fresh)
        return fresh
    if record.labels != plan.labels_key:
        raise OutputError(
            f"{result.folder}: holds a result {how_made(record.labels, plan.labels_key)}: "
            "use another -o, or --overwrite to replace it"
        )
    if result.zarr.is_symlink() and not result.zarr.exists():
        raise OutputError(
            f"{result.zarr}: a broken link: restore its target, or use --overwrite to replace it"
        )
    if record.progress != "segmenting" and not result.zarr.exists():
        if result.unfinished_zarr.exists():
            software = _software_of(result, record, plan)
            fresh = fresh.model_copy(update={"tissue": record.tissue, "software": software})
        else:
            _refuse_edited(result, record)
            progress.say("the label pyramid is missing: starting again")
            result.clear()
        result.write_record(fresh)
        return fresh
    if record.progress != "segmenting":
        return _begin_again(result, plan, record, progress)
    changed = {"software": _software_of(result, record, plan), "slide": _place_of(plan)}
    if changed != {"software": record.software, "slide": record.slide}:
        record = record.model_copy(update=changed)
        result.write_record(record)
    return record


def _place_of(plan: Plan) -> str:
    """Return where the slide is, as text that JSON can hold."""
    return printable(str(plan.slide.path.absolute()))


def _refuse_unknown(result: ResultFolder) -> None:
    """Refuse to write over files with a result's names that no run here is known to have written."""
    for path in (*result.documents, result.geojson(True), result.geojson(False)):
        if os.path.lexists(path):
            raise OutputError(
                f"{path}: is there already, without a record of the run that wrote it: move it away to keep "
                "it, use another -o, or --overwrite to replace it"
            )


def _refuse_edited(result: ResultFolder, record: RunRecord) -> None:
    """Refuse to start again where files that would be removed are not as they were written."""
    for damage in (*document_damages(result, record), *stray_polygons(result, record)):
        if damage.what not in {"missing", "empty"} and damage.path != result.tissue_mask:
            raise DamagedError(damage)


def _software_of(result: ResultFolder, record: RunRecord, plan: Plan) -> dict[str, str] | None:
    """Return what all of a result's labels are computed with; refuse to mix those of two versions.

    Another version of a library may round differently, and so decide otherwise where two classes are close.
    """
    then, now = record.software, plan.software.recorded()
    if then is None or then == now:
        return then
    if Ledger(result.ledger).names():
        raise OutputError(
            f"{result.folder}: was started with other software: {differences(then, now)}: "
            "install that again, use another -o, or --overwrite to start again"
        )
    return now


def _begin_again(result: ResultFolder, plan: Plan, record: RunRecord, progress: Progress) -> RunRecord:
    """Find what is left to do when the labels are finished."""
    remove_partial(result.zarr, deep=True)
    found = check_labels(result.zarr)
    if only_coarser_damaged(found):
        progress.say(
            f"{found.damages[0].path}: {found.damages[0].what}: making the coarser levels again from level 0"
        )
        from wsi_seg.results.labels.pyramid import PyramidWriter

        PyramidWriter(result.zarr, plan.layout).build_levels(plan.settings.run.workers or 2)
        found = check_labels(result.zarr)
    unknown = refuse_damaged(found)
    if unknown:
        progress.say(unknown)
    for damage in document_damages(result, record):
        if damage.path == result.tissue_mask:
            from wsi_seg.slides.tissue import TissueMask

            TissueMask.load(result.tissue_mask, record.tissue)
        elif damage.what not in {"missing", "empty"}:
            raise DamagedError(damage)
    result.clear_work()
    if record.progress == "exporting":
        return record
    lacking = _lacking(result, plan)
    if record.export == plan.export_key and not lacking:
        progress.say("already finished: nothing to do (--overwrite makes it again)")
        return record
    for damage in stray_polygons(result, record):
        raise DamagedError(damage)
    if lacking:
        progress.say(f"missing: {', '.join(lacking)}")
    progress.say("labels are finished: making polygons again with the new settings")
    # Files that will be written again leave the record first: a kill must not make them look altered.
    files = None if record.files is None else result.take_stock(document_path(result.zarr))
    again = {"progress": "exporting", "export": plan.export_key, "files": files}
    record = record.model_copy(update=again)
    result.write_record(record)
    return record


def _lacking(result: ResultFolder, plan: Plan) -> list[str]:
    """Return the names of the documents that a finished result should have, and has not."""
    documents = [result.geojson(plan.settings.export.gzip), result.overview]
    documents += [result.summary_json, result.summary_csv]
    return [path.name for path in documents if not path.exists() or not path.stat().st_size]


def is_finished(result: ResultFolder, plan: Plan, progress: Progress) -> bool:
    """Find whether nothing is left to do, after checking that all is as it was written.

    Raises
    ------
    OutputError
        If something has changed since.
    """
    record = result.read_record()
    if record is None or record.progress != "finished" or not result.zarr.exists():
        return False
    if record.labels != plan.labels_key or record.export != plan.export_key or _lacking(result, plan):
        return False
    return _begin_again(result, plan, record, progress).progress == "finished"


def prepare(
    result: ResultFolder, plan: Plan, record: RunRecord, writer: PyramidWriter, ledger: Ledger
) -> RunRecord:
    """Prepare the files that workers read (tissue mask, regions of interest) and write to.

    The pixels of an unfinished OME-Zarr are kept; its metadata is written again. Without one, nothing is
    finished.
    """
    if result.zarr.exists() and not result.unfinished_zarr.exists():
        # Killed between moving the pyramid into place and recording it.
        with writing(result.zarr):
            move(result.zarr, result.unfinished_zarr)
    labels = plan.settings.labels
    if plan.regions is not None:
        import shapely

        with replacing(result.roi) as partial:
            partial.write_bytes(shapely.to_wkb(plan.regions.geometry_label))
    if writer.path.exists():
        remove_partial(writer.path, deep=True)
        writer.renew(plan.attributes)
        return record
    ledger.clear()
    if labels.tissue_mask:
        tissue = plan.find_tissue()
        tissue.save(result.tissue_mask)
        record = record.model_copy(update={"tissue": tissue.seal})
        result.write_record(record)
    writer.create(plan.attributes)
    return record


def kept_regions(job: RegionJob, progress: Progress) -> set[str]:
    """Return the names of the finished regions: in the ledger, and unchanged on the disk.

    Regions whose files differ are removed from the ledger, to be done again.
    """
    regions = {region.name: region.label_rect for region in job.lattice.regions()}
    kept = {
        entry.name
        for entry in job.ledger.entries()
        if entry.name in regions
        and entry.made_from in {None, job.made_from}
        and sum(entry.pixels.values()) == regions[entry.name].area
        and job.writer.holds(regions[entry.name], entry.files)
    }
    struck = job.ledger.names() - kept
    for name in struck:
        job.ledger.strike(name)
    if kept or struck:
        progress.say(f"resuming: {len(kept)} of {len(regions)} regions are finished")
    if struck:
        which = "finished region is" if len(struck) == 1 else "finished regions are"
        progress.say(f"{len(struck)} {which} missing or damaged: done again")
    return kept


def add_up(ledger: Ledger, lattice: Lattice, made_from: str) -> tuple[RegionTotals, dict[str, str]]:
    """Add up the ledger's entries of all regions, and collect the digests of their files.

    An entry that says another `made_from` counts as none: a worker of another run wrote it late.

    Raises
    ------
    OutputError
        If a region is missing from the ledger.
    """
    pixels: dict[int, int] = {}
    seconds: dict[str, float] = {}
    unreadable: set[tuple[int, int, int, int]] = set()
    patches = 0
    files: dict[str, str] = {}
    missing = {region.name for region in lattice.regions()}
    for entry in ledger.entries():
        if entry.made_from not in {None, made_from}:
            continue
        missing.discard(entry.name)
        unreadable.update(entry.unreadable)
        patches += entry.patches
        files |= entry.files
        for value, count in entry.pixels.items():
            pixels[value] = pixels.get(value, 0) + count
        for stage, spent in entry.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    if missing:
        raise OutputError(
            f"{ledger.folder}: {len(missing)} of {len(lattice)} regions are missing from the ledger: "
            "run the same command again to do them again"
        )
    return RegionTotals(pixels=pixels, unreadable=len(unreadable), patches=patches, seconds=seconds), files
