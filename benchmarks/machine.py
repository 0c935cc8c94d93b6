"""What the benchmarks share: where results are kept, with the machine they were made on."""

from __future__ import annotations

from pathlib import Path

from wsi_seg.paper.bench.machine import describe_machine

RESULTS = Path(__file__).resolve().parent / "results"


def keep(name: str, text: str) -> None:
    """Print a result, and keep it as ``benchmarks/results/NAME.md`` with the machine it was made on."""
    document = f"# {name}\n\nMachine: {describe_machine()}\n\n{text.rstrip()}\n"
    print(document)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(document)
