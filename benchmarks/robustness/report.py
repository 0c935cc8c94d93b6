"""The figures, by kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from .crew import Row
from .damages import CHANGED, HANG_SECONDS, MOST_MB, REFUSED, SAME, TOLD

HOWS = ("event", "write", "moment")
FAULTS_SHOWN = 20

WHOLE = (
    "After each, all that bears a final name is whole; run again to the end, labels, shapes, pictures and "
    "weights are those of an undisturbed run, byte for byte (of summaries all but seconds and command)."
)
VERDICTS = (
    "bits flipped, bytes zeroed, overwritten, inserted, swapped, cut off; files emptied, deleted, or with "
    "another's content. *Refused*: one line that names the file, exit code 1 or 2. *Told*: a result, with a "
    "line or an exit code that tells what is missing. *Same*: exit code 0, and labels, shapes or scores as "
    "from the sound file. *Changed*: exit code 0 and something else came out, where the format has no "
    "checksum, so that nobody can know: JPEG, plain text, what stands in headers. Where there is one (PNG, "
    "gzip, deflate tiles, model files, results), that is a fault; so are a traceback, an error without a "
    f"line, more than {HANG_SECONDS} s, and {MOST_MB} MB more than with the sound file. "
    "Seconds and MB are the most."
)


def report(kills: list[Row], damages: list[Row]) -> str:
    """Lay out what came of all cases, as Markdown."""
    return "\n".join([*_kills(kills), "", *_damages(damages), "", *_faults(kills, damages)])


def _kills(rows: list[Row]) -> Iterator[str]:
    done = [how for row in rows for how in row["kills"]]
    yield f"## Kills\n\n{len(done)} kills in {len(rows)} runs and series of runs. {WHOLE}\n"
    yield "| command | before a file-system event | in a write | at a moment | kills | in a series | faults |"
    yield "|--|--|--|--|--|--|--|"
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row)
    for kind, of_kind in sorted(kinds.items()):
        yield _kill_line(kind, of_kind)
    yield _kill_line("all", rows)


def _kill_line(kind: str, rows: list[Row]) -> str:
    hows = Counter(how for row in rows for how in row["kills"])
    series = sum(len(row["kills"]) for row in rows if len(row["kills"]) > 1)
    counts = [hows[how] for how in HOWS]
    faults = sum(bool(row["faults"]) for row in rows)
    return "| " + " | ".join(map(str, [kind, *counts, sum(counts), series, faults])) + " |"


def _damages(rows: list[Row]) -> Iterator[str]:
    yield f"## Damaged inputs\n\n{len(rows)} inputs: {VERDICTS}\n"
    yield "| what | kind | damaged | refused | told | same | changed, no checksum | s | MB | faults |"
    yield "|--|--|--|--|--|--|--|--|--|--|"
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["group"], row["kind"]].append(row)
    for (group, kind), of_kind in sorted(groups.items()):
        yield _damage_line(group, kind, of_kind)
    if rows:
        yield _damage_line("all", "", rows)


def _damage_line(group: str, kind: str, rows: list[Row]) -> str:
    verdicts = Counter(row["verdict"] for row in rows if not row["faults"])
    counts = [verdicts[verdict] for verdict in (REFUSED, TOLD, SAME, CHANGED)]
    most = [f"{max(row['seconds'] for row in rows):.1f}", f"{max(row['peak_mb'] for row in rows):.0f}"]
    faults = sum(bool(row["faults"]) for row in rows)
    return "| " + " | ".join(map(str, [group, kind, len(rows), *counts, *most, faults])) + " |"


def _faults(kills: list[Row], damages: list[Row]) -> Iterator[str]:
    rows = [(f"k{row['number']}", row) for row in kills] + [(f"d{row['number']}", row) for row in damages]
    faulty = [(name, row) for name, row in rows if row["faults"]]
    yield f"## Faults\n\n{len(faulty) or 'None'}." + (
        " Each can be done again with `--only`." if faulty else ""
    )
    for name, row in faulty[:FAULTS_SHOWN]:
        where = f", {row['file']}, {row['damage']}" if "file" in row else ""
        yield f"- {name}, {row['kind']}{where}: {' '.join(row['faults'][0].split())}"
