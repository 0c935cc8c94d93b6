"""Damaged slides, annotations, models, results and pictures: refused in a line, or told, or harmless."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .damage import Damage, can_be_noticed, checked_spans, damaged
from .forks import Ended, run

MOST_MB = 1000
"""How much more memory than with the sound file a damaged one may take."""

HANG_SECONDS = 60

REFUSED, TOLD, SAME, CHANGED = "refused", "told", "same", "changed"


@dataclass(frozen=True)
class Trial:
    """A command over something that can be damaged.

    Attributes
    ----------
    group : str
        "slides", "annotations", "models", "results" or "pictures".
    kind : str
        The format, or the command.
    source : Path
        What is copied and damaged: a file or a folder, sound.
    command : callable
        Given the damaged copy and a folder for what comes out, the arguments.
    outcome : callable
        Given the same, all that must not change: labels, shapes, scores. An empty text if there is none.
    picks : str
        Which files of a folder are damaged, as a glob.
    checked : bool
        Whether every byte of it is ours, with something that notices.
    weight : int
        How often it is taken, among the others.
    """

    group: str
    kind: str
    source: Path
    command: Callable[[Path, Path], list[str]]
    outcome: Callable[[Path, Path], str]
    picks: str = "*"
    checked: bool = False
    weight: int = 1


@dataclass
class DamageCase:
    """What came of one case.

    Attributes
    ----------
    number : int
    group, kind : str
    file : str
        The file that was damaged.
    damage : str
    verdict : str
        One of `REFUSED`, `TOLD`, `SAME` and `CHANGED`: the last is no fault where the format has no checksum.
    faults : list of str
    seconds, peak_mb : float
    """

    number: int
    group: str
    kind: str
    file: str
    damage: str
    verdict: str
    faults: list[str]
    seconds: float
    peak_mb: float


class Damager:
    """Damages inputs, and judges what commands make of them.

    Parameters
    ----------
    trials : list of Trial
        Taken in turn, each as often as it weighs.
    folder : Path
        Of cases.
    """

    def __init__(self, trials: list[Trial], folder: Path) -> None:
        self._trials, self._folder = trials, folder
        self._turns = [number for number, trial in enumerate(trials) for _ in range(trial.weight)]
        random.Random("turns").shuffle(self._turns)
        self.keep = False
        self._sound: dict[int, tuple[str, Ended]] = {}

    def ready(self, number: int) -> None:
        """See that what a case is compared with is known: run its trial with what is sound, if need be."""
        turn = self._turns[number % len(self._turns)]
        if turn in self._sound:
            return
        trial, case = self._trials[turn], self._folder / f"sound-{turn}"
        copy, out = self._copy(trial, case)
        ended = run(trial.command(copy, out), case / "log", limit=10 * HANG_SECONDS)
        outcome = trial.outcome(copy, out)
        if ended.code or not outcome:
            raise SystemExit(f"{trial.group}, {trial.kind}: fails with what is sound: {ended.said}")
        self._sound[turn] = outcome, ended
        shutil.rmtree(case)

    def case(self, number: int) -> DamageCase:
        """Do one case; the same number does the same."""
        chance = random.Random(f"damage {number}")
        turn = self._turns[number % len(self._turns)]
        trial = self._trials[turn]
        case = self._folder / f"damage-{number}"
        copy, out = self._copy(trial, case)
        file, damage, noticeable = self._damage(trial, copy, chance)
        ended = run(trial.command(copy, out), case / "log", limit=HANG_SECONDS)
        expected, sound = self._sound[turn]
        verdict, faults = judge(ended, sound, trial.outcome(copy, out), expected, noticeable, copy.name)
        if not (faults or self.keep):
            shutil.rmtree(case)
        return DamageCase(
            number,
            trial.group,
            trial.kind,
            str(file.relative_to(copy.parent)),
            damage.what,
            verdict,
            faults,
            round(ended.seconds, 3),
            round(ended.peak_mb),
        )

    def _copy(self, trial: Trial, case: Path) -> tuple[Path, Path]:
        shutil.rmtree(case, ignore_errors=True)
        (case / "out").mkdir(parents=True)
        copy = case / trial.source.name
        if trial.source.is_dir():
            shutil.copytree(trial.source, copy)
        else:
            shutil.copyfile(trial.source, copy)
            beside = trial.source.with_suffix("")
            if trial.source.suffix == ".mrxs":
                shutil.copytree(beside, copy.with_suffix(""))
        return copy, case / "out"

    def _damage(self, trial: Trial, copy: Path, chance: random.Random) -> tuple[Path, Damage, bool]:
        folder = copy if copy.is_dir() else copy.with_suffix("") if copy.suffix == ".mrxs" else None
        files = [copy] if folder is None else sorted(p for p in folder.rglob(trial.picks) if p.is_file())
        files = [path for path in files if path.name != "lock"]
        path = chance.choice(files)
        others = [p for p in files if p != path and p.suffix == path.suffix and p.parent == path.parent]
        twin = chance.choice(others).read_bytes() if others else None
        damage = damaged(path.read_bytes(), chance, twin, gone=folder is not None)
        noticeable = trial.checked or (
            damage.what not in ("another's content", "emptied", "deleted")
            and can_be_noticed(damage, checked_spans(path))
        )
        if damage.content is None:
            path.unlink()
        else:
            path.write_bytes(damage.content)
        return path, damage, noticeable


def judge(
    ended: Ended, sound: Ended, outcome: str, expected: str, noticeable: bool, name: str
) -> tuple[str, list[str]]:
    """Return the verdict on a run over something damaged, and what is wrong with it."""
    faults = []
    if ended.hung:
        faults.append(f"hangs: more than {HANG_SECONDS} s")
    elif ended.code not in (0, 1, 2):
        faults.append(f"ends with {ended.code}: {ended.said[-200:]}")
    if "Traceback" in ended.said or "internal error" in ended.said:
        faults.append(f"a traceback: {ended.said[-300:]}")
    if ended.peak_mb > sound.peak_mb + MOST_MB:
        faults.append(f"{ended.peak_mb:.0f} MB in place of {sound.peak_mb:.0f}")
    if ended.code:
        # What `check` finds is its output, and no error.
        lines = [line for line in ended.said.splitlines() if line.startswith(("wsi-seg: ", "/"))]
        if not lines and not faults:
            faults.append(f"ends with {ended.code} and no line that says why: {ended.said[-200:]}")
        elif not faults and name.split(".")[0] not in " ".join(lines):
            faults.append(f"names no file: {lines[-1][-200:]}")
        return TOLD if "left unprocessed" in ended.said else REFUSED, faults
    if outcome == expected:
        return SAME, faults
    if remarks(ended) - remarks(sound):
        return TOLD, faults
    if noticeable:
        faults.append(f"exit 0, and something else came out: {first_difference(outcome, expected)}")
    return CHANGED, faults


def remarks(ended: Ended) -> set[str]:
    """Return the lines that tell of something unusual."""
    words = ("could not", "cannot", "left out", "damaged", "differ", "starting again", "done again", "beyond")
    return {line.strip() for line in ended.said.splitlines() if any(word in line for word in words)}


def first_difference(a: str, b: str) -> str:
    """Return the first lines that differ."""
    for one, other in zip(a.splitlines(), b.splitlines(), strict=False):
        if one != other:
            return f"{one[:120]!r} in place of {other[:120]!r}"
    return f"{len(a.splitlines())} lines in place of {len(b.splitlines())}"
