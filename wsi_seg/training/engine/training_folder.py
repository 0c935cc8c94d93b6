"""The folder of a training: its results, and what it needs to resume after an interruption."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsi_seg.errors import FinishedError, OutputError
from wsi_seg.files.document import VERSION, read_object, refuse_newer, versioned
from wsi_seg.files.files import locked, remove, remove_partial, write_text, writing
from wsi_seg.training.engine.processes import only_helps
from wsi_seg.training.recipe import completed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic import JsonValue

WORK = ".wsi-seg"

VERSION_HERE = 1
"""Version of the format of a training's record; see `wsi_seg.files.document`."""

CONTENT = "content of slides, images and outlines"
"""Its name in the record. Records of before it was noted are of whatever is there now."""

ANEW = "start again with --overwrite"


class TrainingFolder:
    """Paths of a training, and the record that keeps two trainings apart.

    Attributes
    ----------
    model : Path
        The model file; it exists once the training is finished.
    report : Path
        Folder of the report.
    logs : Path
        Folder of the logs, with a folder for each stage: a CSV file, and files for TensorBoard.
    resumed : bool
        Whether there is an unfinished training to resume; known once the folder is locked.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Delete an earlier training.
    resume : bool
        Resume an unfinished training.
    """

    def __init__(self, folder: Path, overwrite: bool, resume: bool) -> None:
        self.folder = folder
        self.model = folder / "model.safetensors"
        self.report = folder / "report"
        self.logs = folder / "logs"
        self._work = folder / WORK
        self._record = self._work / "training.json"
        self.resumed = False
        self._overwrite, self._resume = overwrite, resume

    def stage(self, number: int, name: str) -> Path:
        """Return the folder of a stage's checkpoints."""
        return self._work / f"{number}-{name}"

    def stage_logs(self, number: int, name: str) -> Path:
        """Return the folder of a stage's logs."""
        return self.logs / f"{number}-{name}"

    @contextmanager
    def locked(self, record: Mapping[str, JsonValue]) -> Iterator[None]:
        """Prepare the folder for the training that `record` describes, and keep other processes out.

        Raises
        ------
        OutputError
            If the folder holds another training, or an unfinished one that the user did not ask to resume.
        FinishedError
            If it holds this training, and it is finished.
        """
        if only_helps():  # the first process has done it
            yield
            return
        with locked(self.folder, self._work):
            for folder in (self.folder, self._work, self.report, *self._stages()):
                remove_partial(folder)
            self._prepare(versioned(json.loads(json.dumps(record)), VERSION_HERE))
            yield

    @property
    def begun_at_mpp(self) -> float | None:
        """The mpp of the training to resume here; None without a training, or without a resolution."""
        if self._overwrite or not (self.model.exists() or self._has_checkpoints()):
            return None
        resolution = (self._read_record() or {}).get("resolution")
        mpp = resolution[0] if isinstance(resolution, list) and resolution else None
        return mpp if isinstance(mpp, float) else None

    def finish(self) -> None:
        """Remove the checkpoints, which are no longer needed; the logs stay."""
        with writing(self._work):
            for stage in self._stages():
                remove(stage)

    def _prepare(self, record: dict[str, JsonValue]) -> None:
        if self._overwrite:
            self._clear()
        earlier = self._read_record()
        if earlier is not None and CONTENT in record:
            earlier.setdefault(CONTENT, record[CONTENT])
        if self.model.exists():
            self._refuse_finished(earlier, record)
        if not self._has_checkpoints():  # nothing to lose yet
            earlier = None
        self.resumed = earlier is not None
        if earlier is not None and not self._resume:
            raise OutputError(
                f"{self.folder}: holds an unfinished training: continue with --resume, "
                "or start again with --overwrite"
            )
        if earlier is not None and earlier != record:
            differing = " and ".join(_differences(earlier, record))
            raise OutputError(
                f"{self.folder}: holds a training with another {differing}: "
                "give the same inputs again, or start again with --overwrite"
            )
        write_text(self._record, json.dumps(record, indent=1) + "\n")

    def _refuse_finished(self, earlier: dict[str, JsonValue] | None, record: dict[str, JsonValue]) -> None:
        if earlier == record:
            self.finish()  # in case that run was killed just before this
            raise FinishedError(f"{self.model}: already finished: nothing to do (--overwrite starts again)")
        differing = "" if earlier is None else f" with another {' and '.join(_differences(earlier, record))}"
        raise OutputError(
            f"{self.model}: this training is finished{differing}: continue from its model with --init and "
            "another -o, or start again with --overwrite"
        )

    def _has_checkpoints(self) -> bool:
        return any(self._work.glob("*/*.ckpt"))

    def _read_record(self) -> dict[str, JsonValue] | None:
        """Return the record of the training in the folder, in today's format; None if there is none.

        It is compared as a whole: an unknown field of a newer wsi-seg may mean another training.
        """
        if not self._record.exists():
            return None
        record = read_object(self._record, ANEW)
        refuse_newer(record, VERSION_HERE, self._record, ANEW)
        recipe = {"recipe": completed(record["recipe"])} if "recipe" in record else {}
        return {**record, **recipe, VERSION: VERSION_HERE}

    def _clear(self) -> None:
        """Remove an earlier training, but neither the lock nor files that are not ours."""
        with writing(self.folder):
            self.model.unlink(missing_ok=True)
            self._record.unlink(missing_ok=True)
            for folder in (self.report, self.logs, *self._stages()):
                remove(folder)

    def _stages(self) -> list[Path]:
        return list(self._work.glob("[0-9]*-*"))


def _differences(then: dict[str, JsonValue], now: dict[str, JsonValue], within: str = "") -> Iterator[str]:
    """Yield the settings that differ, by their names in recipes, with both values if they are short."""
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{within}{name}.")
        elif old != new:
            short = not any(isinstance(value, dict | list) for value in (old, new))
            yield f"{within}{name}" + (f" ({old} then, {new} now)" if short else "")
