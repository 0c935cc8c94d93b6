"""The folder of a training: one at a time, nothing lost by mistake, nothing mixed."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

import pytest
from pydantic import JsonValue

from wsi_seg.errors import FinishedError, OutputError
from wsi_seg.files.files import PARTIAL, locked
from wsi_seg.training.engine.checkpoints import SafeCheckpoints
from wsi_seg.training.engine.stage_plan import ENDED
from wsi_seg.training.engine.training_folder import TrainingFolder
from wsi_seg.training.recipe import Recipe, TrainingRecipe, override, recorded

RECORD: dict[str, JsonValue] = {"recipe": {"epochs": 3}, "classes": ["a", "b"]}


def begin(path: Path, record: dict[str, JsonValue] = RECORD, checkpoint: bool = True) -> TrainingFolder:
    """Leave a training unfinished."""
    folder = TrainingFolder(path, overwrite=False, resume=False)
    with folder.locked(record):
        stage = folder.stage(1, "full")
        stage.mkdir()
        if checkpoint:
            (stage / "last.ckpt").write_text("state")
        (stage / f".last.ckpt.0123{PARTIAL}").write_text("half a state")
        folder.stage_logs(1, "full").mkdir(parents=True)
        (folder.stage_logs(1, "full") / "history.csv").write_text("step")
    return folder


def finish(folder: TrainingFolder) -> None:
    folder.report.mkdir()
    (folder.report / "report.html").write_text("")
    folder.model.write_text("weights")
    folder.finish()


def test_an_unfinished_training_is_gone_on_with_only_if_asked(tmp_path: Path) -> None:
    begin(tmp_path)
    with (
        pytest.raises(OutputError, match="unfinished training: continue with --resume, or start again with"),
        TrainingFolder(tmp_path, False, False).locked(RECORD),
    ):
        pass
    folder = TrainingFolder(tmp_path, False, resume=True)
    with folder.locked(RECORD):
        assert folder.resumed
        assert (folder.stage(1, "full") / "last.ckpt").read_text() == "state"
        assert not list(folder.stage(1, "full").glob(f"*{PARTIAL}"))


def test_where_nothing_is_to_go_on_with_it_begins(tmp_path: Path) -> None:
    begin(tmp_path, checkpoint=False)
    folder = TrainingFolder(tmp_path, False, resume=True)
    with folder.locked(RECORD):
        assert not folder.resumed


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    with (
        pytest.raises(OutputError, match=r"classes and recipe\.epochs \(3 then, 4 now\): give the same"),
        TrainingFolder(tmp_path, False, resume=True).locked({"recipe": {"epochs": 4}, "classes": []}),
    ):
        pass
    assert (folder.stage(1, "full") / "last.ckpt").exists()


def test_what_has_not_got_to_a_checkpoint_is_in_nobodys_way(tmp_path: Path) -> None:
    begin(tmp_path, checkpoint=False)
    with TrainingFolder(tmp_path, False, False).locked({"recipe": "another"}):
        pass


def test_to_resume_where_nothing_was_begun_is_to_begin(tmp_path: Path) -> None:
    with TrainingFolder(tmp_path / "new", False, resume=True).locked(RECORD):
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_a_finished_model_is_not_written_over(resume: bool, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    finish(folder)
    with (
        pytest.raises(OutputError, match=r"finished with another recipe\.epochs \(3 then, 4 now\): continue"),
        TrainingFolder(tmp_path, False, resume).locked({**RECORD, "recipe": {"epochs": 4}}),
    ):
        pass
    assert folder.model.exists()


@pytest.mark.parametrize("resume", [False, True])
def test_a_training_killed_after_its_model_is_there_is_finished(resume: bool, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    folder.model.write_text("weights")
    with (
        pytest.raises(FinishedError, match="already finished: nothing to do"),
        TrainingFolder(tmp_path, False, resume).locked(RECORD),
    ):
        pass
    assert folder.model.exists()
    assert not folder.stage(1, "full").exists()


def test_a_training_to_go_on_with_keeps_its_resolution(tmp_path: Path) -> None:
    record: dict[str, JsonValue] = {**RECORD, "resolution": [1.868, None]}
    begin(tmp_path / "begun", record)
    assert TrainingFolder(tmp_path / "begun", False, resume=True).begun_at_mpp == 1.868
    assert TrainingFolder(tmp_path / "begun", overwrite=True, resume=False).begun_at_mpp is None
    begin(tmp_path / "no checkpoint", record, checkpoint=False)
    assert TrainingFolder(tmp_path / "no checkpoint", False, resume=True).begun_at_mpp is None
    begin(tmp_path / "images", {**RECORD, "resolution": [None, None]})
    assert TrainingFolder(tmp_path / "images", False, resume=True).begun_at_mpp is None


def test_overwriting_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    finish(folder)
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    with TrainingFolder(tmp_path, overwrite=True, resume=False).locked({"recipe": "another"}):
        assert not folder.model.exists()
        assert not folder.report.exists()
        assert not folder.logs.exists()
        assert not folder.stage(1, "full").exists()
    assert mine.read_text() == "mine"


def test_a_finished_training_keeps_its_logs_but_no_checkpoints(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    finish(folder)
    assert not folder.stage(1, "full").exists()
    assert (tmp_path / "logs" / "1-full" / "history.csv").exists()
    assert {p.name for p in tmp_path.iterdir()} == {".wsi-seg", "logs", "report", "model.safetensors"}


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / ".wsi-seg" / "training.json").write_text("{")
    with (
        pytest.raises(
            OutputError, match=r"training\.json: damaged \(not JSON\): start again with --overwrite"
        ),
        TrainingFolder(tmp_path, False, resume=True).locked(RECORD),
    ):
        pass
    with TrainingFolder(tmp_path, overwrite=True, resume=False).locked(RECORD):
        pass


def hold(path: Path, held: EventType, release: EventType) -> None:
    with locked(path, path / ".wsi-seg"):
        held.set()
        release.wait(60)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, release))
    other.start()
    try:
        assert held.wait(60)
        with (
            pytest.raises(OutputError, match="another run writes here"),
            TrainingFolder(tmp_path, False, False).locked(RECORD),
        ):
            pass
    finally:
        release.set()
        other.join()
    with TrainingFolder(tmp_path, False, False).locked(RECORD):
        pass


def test_a_process_that_only_helps_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with TrainingFolder(tmp_path / "out", False, False).locked(RECORD):
        pass
    assert not (tmp_path / "out").exists()


def test_a_setting_that_has_come_since_does_not_make_it_another_training(tmp_path: Path) -> None:
    """As when a network has got a setting: what is not on record is what it is by default."""
    recipe = override(Recipe(training=TrainingRecipe(epochs=1)), ["model.name=segnet"])
    now = recorded(recipe)
    assert now["model"] == {"name": "segnet", "width": 64}
    begin(tmp_path, {"recipe": now | {"model": {"name": "segnet"}}})
    with TrainingFolder(tmp_path, False, resume=True).locked({"recipe": now}):
        pass
    wide = now | {"model": {"name": "segnet", "width": 32}}
    with (
        pytest.raises(OutputError, match=r"another recipe\.model\.width \(64 then, 32 now\)"),
        TrainingFolder(tmp_path, False, resume=True).locked({"recipe": wide}),
    ):
        pass


def timed(minutes: float, **changes: JsonValue) -> dict[str, JsonValue]:
    """The record of a training of one stage that is bounded in time."""
    recipe = recorded(Recipe(training=TrainingRecipe(minutes=minutes, stages=("full",))))
    return {"recipe": recipe, "classes": ["a"], **changes}


def end(path: Path, record: dict[str, JsonValue]) -> TrainingFolder:
    """Leave a training finished, with the state at its end."""
    folder = begin(path, record)
    state = {"callbacks": {"EarlyStopping{}": 1, "ModelCheckpoint{}": 2, "Pace": 3}, "state_dict": {}}
    SafeCheckpoints().save_checkpoint(state, folder.stage(1, "full") / ENDED)
    finish(folder)
    return folder


def test_a_finished_training_keeps_the_state_at_its_end_and_no_other(tmp_path: Path) -> None:
    folder = end(tmp_path, timed(10))
    assert [path.name for path in folder.stage(1, "full").iterdir()] == [ENDED]
    with (
        pytest.raises(FinishedError, match="already finished"),
        TrainingFolder(tmp_path, False, resume=True).locked(timed(10)),
    ):
        pass


def test_a_finished_training_continues_with_more_minutes_and_its_model_stays(tmp_path: Path) -> None:
    folder = end(tmp_path, timed(10))
    more = TrainingFolder(tmp_path, False, resume=True)
    with more.locked(timed(30)):
        assert more.resumed
        assert more.earlier_model == tmp_path / "model-10min.safetensors"
        assert more.earlier_model.read_text() == "weights"
        assert not folder.model.exists()
        last = SafeCheckpoints().load_checkpoint(folder.stage(1, "full") / "last.ckpt")
        assert last["callbacks"] == {"Pace": 3}, "which validation was the best begins anew"
    again = TrainingFolder(tmp_path, False, resume=True)
    with again.locked(timed(30)):  # as after a kill
        assert again.resumed
        assert again.earlier_model is None


@pytest.mark.parametrize(
    ("record", "resume"),
    [
        (timed(30), False),
        (timed(5), True),
        (timed(30, classes=["b"]), True),
        (
            {
                "recipe": recorded(Recipe(training=TrainingRecipe(epochs=9, stages=("full",)))),
                "classes": ["a"],
            },
            True,
        ),
    ],
)
def test_without_resume_or_with_less_or_with_other_data_it_is_refused(
    record: dict[str, JsonValue], resume: bool, tmp_path: Path
) -> None:
    folder = end(tmp_path, timed(10))
    with (
        pytest.raises(OutputError, match="this training is finished with another"),
        TrainingFolder(tmp_path, False, resume).locked(record),
    ):
        pass
    assert folder.model.exists()


def test_one_whose_last_state_is_gone_is_named(tmp_path: Path) -> None:
    folder = begin(tmp_path, timed(10), checkpoint=False)
    finish(folder)
    with (
        pytest.raises(OutputError, match=r"its last state was not kept: continue from its model with --init"),
        TrainingFolder(tmp_path, False, resume=True).locked(timed(30)),
    ):
        pass
    assert folder.model.exists()


def test_several_stages_share_the_minutes_and_are_not_lengthened(tmp_path: Path) -> None:
    def two(minutes: float) -> dict[str, JsonValue]:
        training = TrainingRecipe(minutes=minutes, stages=("encoder", "full"))
        return {"recipe": recorded(Recipe(training=training))}

    begin(tmp_path, two(10))
    with (
        pytest.raises(OutputError, match=r"another recipe\.training\.minutes \(10\.0 then, 30\.0 now\)"),
        TrainingFolder(tmp_path, False, resume=True).locked(two(30)),
    ):
        pass


def test_a_state_whose_model_was_removed_is_of_no_training_that_begins(tmp_path: Path) -> None:
    folder = end(tmp_path, timed(10))
    folder.model.unlink()
    fresh = TrainingFolder(tmp_path, False, resume=False)
    with fresh.locked(timed(10)):
        assert not fresh.resumed
        assert not (folder.stage(1, "full") / ENDED).exists()
