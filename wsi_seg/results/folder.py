"""The folder of one slide's result, and the state of the run that fills it.

During a run, its pixels lie in ``.wsi-seg/`` inside the folder, with a record of the inputs. Files get their
final names only when they are complete, so that an incomplete result cannot pass as a finished one.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.files.digests import digest_file
from wsi_seg.files.files import PARTIAL, locked, move, remove, remove_partial, write_text, writing
from wsi_seg.results.record import RunRecord
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsi_seg.results.record import Key
    from wsi_seg.slides.coarse import MaskSeal


class ResultFolder:
    """Paths of one slide's result, and its record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / ".wsi-seg"
        self.zarr = folder / "slide.ome.zarr"
        self.unfinished_zarr = self.work / "slide.ome.zarr"
        self.ledger = self.work / "regions"
        self.roi = self.work / "roi.wkb"
        self.statistics = self.work / "normalisations.safetensors"
        self.mark = self.work / "mark"
        self.tissue_mask = folder / "tissue_mask.png"
        self.overview = folder / "overview.png"
        self.summary_json = folder / "summary.json"
        self.summary_csv = folder / "summary.csv"
        self.record_path = self.work / "record.json"

    def geojson(self, gzip: bool) -> Path:
        """Return the path of the polygons."""
        return self.folder / ("slide.geojson.gz" if gzip else "slide.geojson")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock this folder against other runs; the lock ends with the process, however that ends.

        Raises
        ------
        OutputError
            If another run works here, or the folder cannot be written.
        """
        with locked(self.folder, self.work):
            for folder in (self.folder, self.work, self.ledger):
                remove_partial(folder)
            yield

    def read_record(self) -> RunRecord | None:
        """Return the record, or None if there is no run to resume here.

        Raises
        ------
        OutputError
            If there are results here without a record.
        DocumentError
            If the record is damaged, or of a newer wsi-seg.
        """
        if os.path.lexists(self.record_path):
            return RunRecord.read_checked(self.record_path)
        if self.zarr.exists():
            raise OutputError(
                f"{self.folder}: holds a result without a record: use --overwrite, or another -o"
            )
        return None

    def write_record(self, record: RunRecord) -> None:
        """Write the record, in one step.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        write_text(self.record_path, record.signed())

    def tissue_seal(self) -> MaskSeal | None:
        """Return the recorded identity of the tissue mask; None without one, as in a copy without a record.

        Raises
        ------
        OutputError
            If the record is damaged.
        """
        record = self.read_record() if self.record_path.exists() else None
        return None if record is None else record.tissue

    def owns_polygons(self, path: Path) -> bool:
        """Return whether a file holds the result's own polygons."""
        return path.resolve() in (self.geojson(True).resolve(), self.geojson(False).resolve())

    def remove_other_polygons(self, path: Path) -> None:
        """Remove the result's polygons in the other form than `path`, gzipped or plain: only one may exist.

        The caller must have refused changed files before.

        Raises
        ------
        OutputError
            If they cannot be removed.
        """
        with writing(self.folder):
            for gzip in (True, False):
                if self.geojson(gzip).resolve() != path.resolve():
                    self.geojson(gzip).unlink(missing_ok=True)

    @property
    def documents(self) -> tuple[Path, ...]:
        """The files beside labels and polygons; the mask may be absent."""
        return self.overview, self.summary_json, self.summary_csv, self.tissue_mask

    def take_stock(self, *paths: Path) -> dict[str, str]:
        """Return the digests of the existing files, by path in the folder.

        Raises
        ------
        OutputError
            If one cannot be read.
        """
        try:
            return {
                path.relative_to(self.folder).as_posix(): digest_file(path) for path in paths if path.exists()
            }
        except OSError as error:
            raise OutputError(
                f"{self.folder}: a file that was just written cannot be read ({error.strerror}): "
                "check the disk, and run the same command again"
            ) from error

    def disown_polygons(self, path: Path) -> None:
        """Record that polygons will be written to `path`: over its own, a run has to write them again.

        This and `own_polygons` are called in the `locked` folder.

        Raises
        ------
        OutputError
            If the record is damaged, or cannot be written.
        """
        self._rewrite_polygons(path, {"export": {}}, there=False)

    def own_polygons(self, path: Path) -> None:
        """Record that the summary, and `path` if it holds the result's own polygons, are written.

        Raises
        ------
        OutputError
            As for `disown_polygons`.
        """
        self._rewrite_polygons(path, {}, there=True)

    def _rewrite_polygons(self, path: Path, update: Key, there: bool) -> None:
        if not (self.owns_polygons(path) and self.record_path.exists()):
            return
        record = self.read_record()
        if record is None:
            return
        rewritten = (self.geojson(True), self.geojson(False), self.summary_json, self.summary_csv)
        names = {path.name for path in rewritten}
        files = record.files
        if files is not None:
            files = {name: digest for name, digest in files.items() if name not in names}
            files |= self.take_stock(*rewritten) if there else {}
        self.write_record(record.model_copy(update={**update, "files": files}))

    def clear(self) -> None:
        """Remove a result, complete or not, but not the lock, nor any file that is not ours.

        Folders are renamed first, each in one step, so that a kill leaves no incomplete folder under its
        name. The record goes last: without it, what is left of the documents would be somebody's own.
        """
        with writing(self.folder):
            gone = []
            for path in (self.zarr, self.unfinished_zarr, self.ledger):
                if os.path.lexists(path):
                    gone.append(path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}"))
                    path.rename(gone[-1])
            for path in (*self.documents, self.geojson(True), self.geojson(False)):
                path.unlink(missing_ok=True)
            for path in (self.roi, self.statistics, self.mark, self.record_path):
                path.unlink(missing_ok=True)
            for path in gone:
                remove(path)

    def clear_work(self) -> None:
        """Remove the files that only an unfinished run needs."""
        with writing(self.work):
            self.mark.unlink(missing_ok=True)
            for path in self.work.glob("roi.*"):  # runs of before have kept them as GeoJSON
                path.unlink()
            for path in (self.ledger, self.unfinished_zarr):
                remove(path)

    def publish_zarr(self) -> None:
        """Move the finished label pyramid to its final name."""
        with writing(self.zarr):
            move(self.unfinished_zarr, self.zarr)


def is_result(path: Path) -> bool:
    """Return whether a folder is a result folder of `predict`, or the OME-Zarr in it."""
    result = ResultFolder(path)
    return path.name.endswith(".zarr") or result.work.is_dir() or result.zarr.is_dir()


def refuse_folder_of_results(path: Path, several: bool) -> None:
    """Refuse a folder that is no result but holds results: where one is asked for, it is easily given.

    Parameters
    ----------
    path : Path
        Nothing is said of what is a result, or holds none.
    several : bool
        Whether more than one may be named.

    Raises
    ------
    UsageError
        If it holds results.
    OutputError
        If it cannot be read.
    """
    if is_result(path) or not path.is_dir():
        return
    try:
        results = [child for child in sorted(path.iterdir()) if child.is_dir() and is_result(child)]
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): make it readable") from error
    if results:
        named = f"name them, such as {results[0]}, or {path / '*'}/ for all"
        raise UsageError(
            f"{path}: holds {counted(len(results), 'results')}, and is none itself: "
            f"{named if several else f'name one, such as {results[0]}'}"
        )


def labels_in(path: Path) -> Path:
    """Return the OME-Zarr of a path: the path itself, or the one in a result folder."""
    return path if path.name.endswith(".zarr") else ResultFolder(path).zarr


def folder_of(zarr: Path) -> ResultFolder | None:
    """Return the result folder of an OME-Zarr; None if it has another name."""
    folder = ResultFolder(zarr.parent)
    return folder if zarr == folder.zarr else None


def require_finished(zarr: Path) -> None:
    """Refuse labels whose run has not finished.

    Raises
    ------
    OutputError
        If the result folder of an OME-Zarr holds an unfinished run, and no labels.
    """
    result = folder_of(zarr)
    if result is not None and not zarr.is_dir() and result.work.is_dir():
        raise OutputError(f"{result.folder}: not finished: run `wsi-seg predict` again, which resumes it")
