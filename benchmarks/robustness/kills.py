"""Kills: of predict, export and train, at file-system events, in the middle of writes, at any moment.

After each kill what bears a final name must be whole. Then the run goes on, perhaps to be killed again; what
it leaves in the end must be, byte for byte, what an undisturbed run leaves.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from .forks import Ended, Kill, run
from .inputs import Inputs
from .results import Contents, contents_of, differing, halves, weights_of
from .variants import Variant, save_at_each_step, variants

HOWS = ("event", "event", "write", "moment")


@dataclass
class Undisturbed:
    """What a variant does when nothing happens.

    Attributes
    ----------
    start, end : dict
        What it begins from, and what it leaves.
    events : int
        File-system events.
    sizes : list of int
        Of the files that it leaves, in bytes.
    seconds : float
    weights : str or None
        Of the model.
    """

    start: Contents
    end: Contents
    events: int
    sizes: list[int]
    seconds: float
    weights: str | None


@dataclass
class KillCase:
    """What came of one case.

    Attributes
    ----------
    number : int
    kind : str
        The variant.
    kills : list of str
        Those that took place, by how.
    faults : list of str
        What was wrong; nothing should be.
    """

    number: int
    kind: str
    kills: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Killer:
    """Kills runs of each variant, having seen how it runs undisturbed.

    Parameters
    ----------
    inputs : Inputs
    folder : Path
        For results that runs begin from, and of cases.
    """

    def __init__(self, inputs: Inputs, folder: Path) -> None:
        self._inputs, self._folder = inputs, folder
        self._starts = folder / "undisturbed"
        self.variants = variants(inputs)
        self.keep = False
        self._turns = [v for v in self.variants for _ in range(v.weight)]
        random.Random("turns").shuffle(self._turns)
        self._known: dict[str, Undisturbed] = {}

    def ready(self, number: int) -> None:
        """See that what a case is compared with is known: run its variant undisturbed, if need be."""
        self._know(self._turns[number % len(self._turns)].name)

    def _know(self, name: str) -> Undisturbed:
        if name in self._known:
            return self._known[name]
        variant = next(v for v in self.variants if v.name == name)
        if variant.start is not None:
            self._know(variant.start)
        out = self._start(name)
        self._begin(variant, out)
        start = self._contents(variant, out)
        ended = self._run(variant, out, None, listed=True)
        if ended.code:
            raise SystemExit(f"{name}: fails undisturbed: {ended.said}")
        self._known[name] = Undisturbed(
            start,
            self._contents(variant, out),
            len(self._log(out).with_suffix(".events").read_text().splitlines()),
            [path.stat().st_size for path in out.rglob("*") if path.is_file()],
            ended.seconds,
            weights_of(out / "model.safetensors") if variant.trains else None,
        )
        return self._known[name]

    def _start(self, name: str) -> Path:
        return self._starts / name.replace(" ", "_")

    def finished(self, name: str) -> Path:
        """Return the result that a variant leaves undisturbed."""
        self._know(name)
        return self._start(name) / self._inputs.slide.stem

    def case(self, number: int) -> KillCase:
        """Do one case; the same number does the same, as far as threads do."""
        chance = random.Random(f"kill {number}")
        variant = self._turns[number % len(self._turns)]
        nth = self._nth(number, variant)
        case = KillCase(number, variant.name)
        known, out = self._known[variant.name], self._folder / f"kill-{number}"
        shutil.rmtree(out, ignore_errors=True)
        self._begin(variant, out)
        for link in range(variant.series[nth % len(variant.series)]):
            kill = self._kill(known, nth, link, chance)
            ended = self._run(variant, out, kill, again=link > 0)
            if not ended.killed:
                self._look_at_end(case, variant, out, ended)
                break
            case.kills.append(kill.how)
            case.faults += [f"after {kill}: {what}" for what in self._unwhole(variant, out)]
        else:
            self._look_at_end(case, variant, out, self._run(variant, out, None, again=True))
        if not (case.faults or self.keep):
            shutil.rmtree(out)
            for log in self._folder.glob(f"{out.name}.*"):
                log.unlink()
        return case

    def _nth(self, number: int, variant: Variant) -> int:
        """Return how many cases of the variant come before."""
        rounds, rest = divmod(number, len(self._turns))
        return rounds * variant.weight + self._turns[:rest].count(variant)

    def _kill(self, known: Undisturbed, nth: int, link: int, chance: random.Random) -> Kill:
        how = HOWS[nth % len(HOWS)] if link == 0 else chance.choice(HOWS)
        if how == "event":
            order = list(range(1, known.events + 1))
            random.Random(known.events).shuffle(order)  # so that each of them comes before any comes again
            turn = nth // len(HOWS) * HOWS.count(how) + HOWS[: nth % len(HOWS)].count(how)
            return Kill(how, order[turn % len(order)] if link == 0 else chance.randint(1, known.events))
        if how == "write":
            return Kill(how, max(1, int(chance.choice(known.sizes) * chance.uniform(0.05, 0.95))))
        return Kill(how, round(chance.uniform(0, known.seconds), 3))

    def _begin(self, variant: Variant, out: Path) -> None:
        if variant.start is None:
            out.mkdir(parents=True)
        else:
            shutil.copytree(self._start(variant.start), out)

    def _run(
        self, variant: Variant, out: Path, kill: Kill | None, again: bool = False, listed: bool = False
    ) -> Ended:
        arguments = [*variant.command(out), *(variant.again if again else ())]
        watched = out if listed or (kill is not None and kill.how == "event") else None
        before = save_at_each_step if variant.trains else None
        return run(arguments, self._log(out), kill=kill, events=watched, before=before)

    def _log(self, out: Path) -> Path:
        return out.with_name(f"{out.name}.log")

    def _result(self, variant: Variant, out: Path) -> Path:
        return out if variant.trains else out / self._inputs.slide.stem

    def _contents(self, variant: Variant, out: Path) -> Contents:
        return {} if variant.trains else contents_of(self._result(variant, out))

    def _unwhole(self, variant: Variant, out: Path) -> list[str]:
        """Name what is wrong after a kill."""
        known = self._known[variant.name]
        if variant.trains:
            return self._unwhole_training(known, out)
        folder = self._result(variant, out)
        found = contents_of(folder)
        wrong = [f"{name} is half" for name in halves(found, [known.start, known.end])]
        if folder.exists():
            checked = run(["check", str(folder)], self._log(out))
            if checked.code == 0 and found not in (known.start, known.end):
                wrong += [f"check calls it whole, but it differs: {differing(found, known.end)[:3]}"]
            if checked.code not in (0, 1, 2) or "Traceback" in checked.said or "internal" in checked.said:
                wrong += [f"check fails: {checked.said[-300:]}"]
        return wrong

    def _unwhole_training(self, known: Undisturbed, out: Path) -> list[str]:
        wrong = []
        if (out / "model.safetensors").exists() and weights_of(out / "model.safetensors") != known.weights:
            wrong.append("model.safetensors is half")
        for path in (out / "report").glob("*.json") if (out / "report").is_dir() else ():
            try:
                json.loads(path.read_text())
            except ValueError:
                wrong.append(f"{path.name} is half")
        return wrong

    def _look_at_end(self, case: KillCase, variant: Variant, out: Path, ended: Ended) -> None:
        """Note what is wrong with a run that nothing disturbed any more."""
        known = self._known[variant.name]
        published = variant.trains and ended.code == 1 and "this training is finished" in ended.said
        if ended.code and not published:
            how = "hangs" if ended.hung else f"ends with {ended.code}"
            case.faults.append(f"run again it {how}: {ended.said[-300:]}")
        elif variant.trains:
            if weights_of(out / "model.safetensors") != known.weights:
                case.faults.append("other weights than undisturbed")
        elif wrong := differing(self._contents(variant, out), known.end):
            case.faults.append(f"other bytes than undisturbed: {wrong[:3]}")
        elif (checked := run(["check", str(self._result(variant, out))], self._log(out))).code:
            case.faults.append(f"check does not call the end whole: {checked.said[-300:]}")
        if "Traceback" in ended.said or "internal error" in ended.said:
            case.faults.append(f"a traceback: {ended.said[-300:]}")
