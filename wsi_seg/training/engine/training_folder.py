"""The folder of a training: its results, and what it needs to resume after an interruption."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsi_seg.errors import FinishedError, OutputError
from wsi_seg.files.document import VERSION, read_object, refuse_newer, versioned
from wsi_seg.files.files import locked, remove, remove_partial, write_text, writing
from wsi_seg.models.lookup import MODEL_FILE
from wsi_seg.training.engine.processes import only_helps
from wsi_seg.training.engine.stage_plan import ENDED, LAST
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
    earlier_model : Path or None
        The model from before the training got more time; known once the folder is locked.

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
        self.model = folder / MODEL_FILE
        self.report = folder / "report"
        self.logs = folder / "logs"
        self._work = folder / WORK
        self._record = self._work / "training.json"
        self.resumed = False
        self.earlier_model: Path | None = None
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
        """Remove the checkpoints, except the state at the end, which more time continues from."""
        with writing(self._work):
            for stage in self._stages():
                if not (stage / ENDED).exists():
                    remove(stage)
                    continue
                for path in stage.iterdir():
                    if path.name != ENDED:
                        path.unlink()

    def _prepare(self, record: dict[str, JsonValue]) -> None:
        if self._overwrite:
            self._clear()
        earlier = self._read_record()
        if earlier is not None and CONTENT in record:
            earlier.setdefault(CONTENT, record[CONTENT])
        if self._resume and earlier is not None and _has_more_time(earlier, record):
            self._lengthen(earlier)
            earlier = record
        if self.model.exists():
            self._refuse_finished(earlier, record)
        if not self._has_checkpoints():  # nothing to lose yet
            earlier = None
            for stage in self._stages():
                (stage / ENDED).unlink(missing_ok=True)
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

    def _lengthen(self, earlier: dict[str, JsonValue]) -> None:
        """Prepare an ended training for more time; its model stays, under another name."""
        from wsi_seg.training.engine.checkpoints import lengthened  # with Lightning, which takes seconds

        states = [s for s in self._stages() if (s / ENDED).exists() or (s / LAST).exists()]
        if self.model.exists() and not states:
            raise OutputError(
                f"{self.model}: finished, and its last state was not kept: continue from its model "
                "with --init and another -o, or start again with --overwrite"
            )
        for stage in states:
            lengthened(stage)
        if self.model.exists():
            minutes = _minutes(earlier)
            assert minutes is not None  # it has more of them now
            self.earlier_model = self.model.with_stem(f"{self.model.stem}-{minutes:g}min")
            with writing(self.model):
                self.model.replace(self.earlier_model)

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
        return any(path.name != ENDED for path in self._work.glob("*/*.ckpt"))

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


def _has_more_time(then: dict[str, JsonValue], now: dict[str, JsonValue]) -> bool:
    """Return whether two trainings are the same, but that the second has more minutes for its one stage."""
    before, after = _minutes(then), _minutes(now)
    if before is None or after is None or after <= before:
        return False
    changed = list(_differences(then, now))
    return len(changed) == 1 and changed[0].startswith("recipe.training.minutes ")


def _minutes(record: dict[str, JsonValue]) -> float | None:
    """Return the minutes of a training of one stage; None for others."""
    recipe = record.get("recipe")
    training = recipe.get("training") if isinstance(recipe, dict) else None
    if not isinstance(training, dict):
        return None
    minutes, stages = training.get("minutes"), training.get("stages")
    one = isinstance(stages, list) and len(stages) == 1
    return float(minutes) if one and isinstance(minutes, int | float) else None


def _differences(then: dict[str, JsonValue], now: dict[str, JsonValue], within: str = "") -> Iterator[str]:
    """Yield the settings that differ, by their names in recipes, with both values if they are short."""
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{within}{name}.")
        elif old != new:
            short = not any(isinstance(value, dict | list) for value in (old, new))
            yield f"{within}{name}" + (f" ({old} then, {new} now)" if short else "")
