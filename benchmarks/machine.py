"""What the benchmarks share: the machine they ran on, and where results are kept."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parent / "results"


def describe_machine() -> str:
    """One line: processor, cores, memory, PyTorch, date."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {gpu}, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {datetime.date.today().isoformat()}"
    )


def keep(name: str, text: str) -> None:
    """Print a result, and keep it as ``benchmarks/results/NAME.md`` with the machine it was made on."""
    document = f"# {name}\n\nMachine: {describe_machine()}\n\n{text.rstrip()}\n"
    print(document)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(document)
