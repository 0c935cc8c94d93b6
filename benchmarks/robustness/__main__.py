"""Is anything lost, or silently wrong, when runs are killed and inputs are damaged?

    python -m benchmarks.robustness [--kills 1000] [--damages 3000] [--jobs 2] [--data SHARED_DATA]

Run it from the checkout. A run that is interrupted goes on where it was, as long as the code is the same.
`--only k417` or `--only d1203` does one case again, and keeps its files; case numbers mean the same in every
run, but where threads decide. Memory and times hold what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

for name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
):  # before numpy, which starts threads
    os.environ[name] = "1"
os.environ.setdefault("MPLBACKEND", "agg")

from .crew import Log, Row, do_cases  # noqa: E402
from .damages import Damager  # noqa: E402
from .forks import call, import_everything  # noqa: E402
from .inputs import Inputs, make  # noqa: E402
from .kills import Killer  # noqa: E402
from .report import report  # noqa: E402
from .trials import all_trials, half_way  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    args = options()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    import_everything()
    killer, damager = prepare(folder, args.data)
    if args.only:
        only(args.only, killer, damager)
        return
    tried = code()
    logs = [Log(folder / f"{name}.jsonl", tried) for name in ("kills", "damages")]
    for log, doer, wanted, count in (
        (logs[0], killer, args.kills, lambda row: len(row["kills"])),
        (logs[1], damager, args.damages, lambda row: 1),
    ):
        for row in do_cases(doer, numbers(log, wanted, count), args.jobs, folder):
            log.add(row)
            tell(row, sum(map(count, log.rows)), wanted, begin)
    text = report(logs[0].rows, logs[1].rows)
    if args.keep:
        from benchmarks.machine import keep

        keep("robustness", f"Code {tried}.\n\n{text}")
    else:
        print(text)
    faults = sum(bool(row["faults"]) for log in logs for row in log.rows)
    if not faults:
        shutil.rmtree(folder)
    sys.exit(1 if faults else 0)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1000, help="at least so many")
    parser.add_argument("--damages", type=int, default=3000, help="at least so many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time")
    parser.add_argument("--data", type=Path, help="a folder with slides/, for real files too")
    parser.add_argument("--only", help="one case, such as k417 or d1203")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/robustness.md")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "wsi-seg-robustness",
        help="for inputs, results and what was done so far; removed when all is well",
    )
    return parser.parse_args()


def prepare(folder: Path, data: Path | None) -> tuple[Killer, Damager]:
    """Make inputs, and results of them: a whole one, and a half one."""
    cases = folder / "cases"
    shutil.rmtree(cases, ignore_errors=True)
    cases.mkdir()
    call(lambda: make(folder / "inputs"))
    inputs = Inputs(folder / "inputs")
    killer = Killer(inputs, cases)
    finished = killer.finished("predict")
    unfinished = half_way(inputs, finished, cases / "half")
    return killer, Damager(all_trials(inputs, finished, unfinished, data), cases)


def numbers(log: Log, wanted: int, count: Callable[[Row], int]) -> Iterator[int]:
    """Yield numbers of cases that are not done yet, until enough are."""
    done, number = {row["number"] for row in log.rows}, 0
    while sum(map(count, log.rows)) < wanted:
        if number not in done:
            yield number
        number += 1


def only(name: str, killer: Killer, damager: Damager) -> None:
    doer = killer if name[0] == "k" else damager
    doer.keep = True
    doer.ready(int(name[1:]))
    print(doer.case(int(name[1:])))


def tell(row: Row, done: int, wanted: int, begin: float) -> None:
    for fault in row["faults"]:
        print(f"  {row['number']} {row['kind']}: {fault}", flush=True)
    if done % 50 == 0:
        print(f"{done}/{wanted}, {time.monotonic() - begin:.0f} s", flush=True)


def code() -> str:
    """Say which code is tried: the commit, and whether it was changed since."""
    git = ["git", "-C", str(CHECKOUT)]
    commit = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run([*git, "diff", "--stat", "HEAD"], capture_output=True, text=True, check=False)
    return (commit.stdout.strip() or "unknown") + (", changed" if changed.stdout else "")


if __name__ == "__main__":
    main()
