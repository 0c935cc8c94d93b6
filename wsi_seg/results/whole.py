"""Check that a result is complete: every file exists and is unchanged since it was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.files.document import DocumentError
from wsi_seg.results.folder import ResultFolder, folder_of
from wsi_seg.results.labels.ngff_attributes import METADATA_NAMES
from wsi_seg.results.labels.seals import (
    GO_ON,
    Damage,
    DamagedError,
    damages,
    digest_as_written,
    document_path,
    read_seal,
    seal_damages,
)
from wsi_seg.slides.coarse import MASK_REMEDY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsi_seg.results.labels.seals import Seal
    from wsi_seg.results.record import RunRecord

MAKE_AGAIN = "run `wsi-seg predict` again to make it again"
EDITED = f"delete it, or move it away to keep it, and {MAKE_AGAIN}"
STRAY = "delete it, or move it away to keep it"
OLD = "made before results kept digests of their files"


@dataclass(frozen=True)
class Wholeness:
    """The result of a check.

    Attributes
    ----------
    path : Path
        A result folder, or an OME-Zarr alone.
    damages : tuple of Damage
        All damages; empty if the result is complete.
    unknown : str or None
        Why the check is not complete, for results of earlier versions.
    files : int
        Number of files that were compared with their digests.
    """

    path: Path
    damages: tuple[Damage, ...]
    unknown: str | None
    files: int

    @property
    def ok(self) -> bool:
        """Whether the result is known to be complete."""
        return not self.damages and self.unknown is None


def check_labels(zarr: Path) -> Wholeness:
    """Check an OME-Zarr against its seal, and against the record of the run, if that lies beside it.

    An OME-Zarr of an earlier version without a seal is read completely, and its pixels are counted, if a
    record states the number of each value.
    """
    beside = folder_of(zarr)
    try:
        record = beside.read_record() if beside is not None and beside.record_path.exists() else None
        seal = read_seal(zarr)
    except DamagedError as error:
        return Wholeness(zarr, (error.damage,), None, 0)
    if seal is None:
        return _check_unsealed(zarr, record)
    found = (*_other_result(zarr, seal, record), *seal_damages(zarr, seal))
    return Wholeness(zarr, found, None, len(seal.files) + 1)


def require_whole(zarr: Path) -> str | None:
    """Refuse a damaged OME-Zarr; return a remark on one that cannot be checked.

    Raises
    ------
    DamagedError
        Naming the first file that is missing or altered.
    OutputError
        If the record beside it is damaged.
    """
    return refuse_damaged(check_labels(zarr))


def refuse_damaged(found: Wholeness) -> str | None:
    """Do what `require_whole` does, with an OME-Zarr that is checked already."""
    if found.damages:
        first, more = found.damages[0], len(found.damages) - 1
        also = f" (and {more} more: `wsi-seg check` lists them)" if more else ""
        raise DamagedError(replace(first, what=first.what + also))
    return found.unknown and f"{found.path}: {found.unknown}"


def only_coarser_damaged(found: Wholeness) -> bool:
    """Tell whether all that is wrong with an OME-Zarr are pixels that follow from others in it.

    These are the coarser levels of its label images; each is made from the one below.
    """
    return bool(found.damages) and all(map(partial(_is_coarser, found.path), found.damages))


def _is_coarser(zarr: Path, damage: Damage) -> bool:
    labels, _, level, *rest = (*damage.path.relative_to(zarr).parts, "", "", "")
    of_pixels = damage.path.name not in METADATA_NAMES and any(rest)
    there = damage.what in {"missing", "empty", "altered or cut"}
    return there and of_pixels and labels == "labels" and level.isdecimal() and int(level) > 0


def require_written(zarr: Path) -> None:
    """Refuse to publish a newly sealed OME-Zarr if a file differs from what was written.

    Raises
    ------
    DamagedError
        Naming the first such file.
    """
    for damage in check_labels(zarr).damages:
        remedy = "run the same command again, which repairs it"
        raise DamagedError(replace(damage, what=f"{damage.what} since this run wrote it", remedy=remedy))


def document_damages(result: ResultFolder, record: RunRecord) -> Iterator[Damage]:
    """Yield the recorded polygons, pictures and summary that have changed since they were written."""
    own = document_path(result.zarr).relative_to(result.folder).as_posix()
    files = {name: digest for name, digest in (record.files or {}).items() if name != own}
    for damage in damages(result.folder, files):
        if damage.path == result.tissue_mask:
            yield replace(damage, remedy=MASK_REMEDY)
        else:
            yield replace(damage, remedy=MAKE_AGAIN if damage.what in {"missing", "empty"} else EDITED)


def stray_polygons(result: ResultFolder, record: RunRecord) -> Iterator[Damage]:
    """Yield polygons beside the result's own, gzipped or plain: unpacked by hand, and possibly edited.

    If neither are recorded, a kill left the file, except in records of earlier versions.
    """
    forms = result.geojson(True), result.geojson(False)
    if record.files is None:
        own = {path.name for path in forms[:1] if path.exists()}
    else:
        own = {path.name for path in forms if path.name in record.files}
    for path in forms:
        if own and path.name not in own and path.exists():
            yield Damage(path, "does not belong to the result", STRAY)


def require_own(result: ResultFolder, target: Path) -> None:
    """Refuse to overwrite or replace files that somebody edited, except for the named file.

    Parameters
    ----------
    result : ResultFolder
    target : Path
        The result's own polygons, to be written.

    Raises
    ------
    DamagedError
        If the summary, or the polygons in the other form, have changed since they were written.
    OutputError
        If the record is damaged.
    """
    record = result.read_record() if result.record_path.exists() else None
    if record is None:
        return
    for damage in stray_polygons(result, record):
        raise DamagedError(damage)
    concerned = {result.summary_json, result.summary_csv, result.geojson(True), result.geojson(False)}
    for damage in document_damages(result, record):
        gone = damage.what == "missing" or (damage.what == "empty" and damage.path != result.summary_json)
        if damage.path in concerned and damage.path.name != target.name and not gone:
            raise DamagedError(damage)


def check_result(folder: Path) -> Wholeness:
    """Check a result folder: labels, polygons, pictures and summary."""
    result = ResultFolder(folder)
    if not result.record_path.exists():
        remedy = f"copy the whole folder, hidden files too, or check its {result.zarr.name} alone"
        return Wholeness(folder, (Damage(result.record_path, "missing", remedy),), None, 0)
    try:
        record = result.read_record()
    except DocumentError as error:
        damage = Damage(result.record_path, error.what, error.remedy)
        return Wholeness(folder, (damage,), None, 0)
    if record is None or record.progress != "finished":
        return Wholeness(folder, (Damage(folder, "not finished", GO_ON),), None, 0)
    if not result.zarr.is_dir():
        return Wholeness(folder, (Damage(result.zarr, "missing"),), None, 0)
    labels = check_labels(result.zarr)
    found = [*labels.damages, *document_damages(result, record)]
    if record.files is not None:
        found += [*_not_on_record(result, record), *stray_polygons(result, record)]
    beside = [name for name in record.files or {} if not (folder / name).is_relative_to(result.zarr)]
    return Wholeness(folder, tuple(found), labels.unknown, labels.files + len(beside))


def _other_result(zarr: Path, seal: Seal, record: RunRecord | None) -> Iterator[Damage]:
    """Yield a damage if the record beside a Zarr belongs to another one."""
    if record is None or record.files is None:
        return
    path = document_path(zarr)
    name = path.relative_to(zarr.parent).as_posix()
    of_the_run = {name: record.files.get(name, "")}
    differ = record.totals is None or record.totals.pixels != seal.pixels
    if differ or any(damages(zarr.parent, of_the_run)):
        same = not differ and digest_as_written(zarr) in of_the_run.values()
        yield Damage(path, "altered" if same else "from another run than the record beside it")


def _check_unsealed(zarr: Path, record: RunRecord | None) -> Wholeness:
    if record is not None and record.files is not None:
        return Wholeness(zarr, (Damage(document_path(zarr), "altered"),), None, 0)
    if record is None or record.totals is None:
        return Wholeness(zarr, (), f"{OLD}: it cannot be checked", 0)
    from wsi_seg.results.labels.read_labels import (
        read_labels,  # importing zarr takes half a second, which other checks save
    )

    if read_labels(zarr).count() != record.totals.pixels:
        return Wholeness(zarr, (Damage(zarr, "its pixels are not those that were counted"),), None, 0)
    return Wholeness(zarr, (), f"{OLD}: its pixel counts are right, more cannot be checked", 0)


def _not_on_record(result: ResultFolder, record: RunRecord) -> Iterator[Damage]:
    """Yield required files of a finished result that are not recorded, as after a kill during `export`."""
    on_record = (record.files or {}).keys()
    polygons = {result.geojson(gzip).name for gzip in (True, False)}
    if not polygons & on_record:
        yield Damage(result.geojson(True), "not finished", MAKE_AGAIN)
    for path in (result.overview, result.summary_json, result.summary_csv):
        if path.name not in on_record:
            yield Damage(path, "not finished", MAKE_AGAIN)
