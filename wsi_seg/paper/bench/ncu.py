"""Warp execution efficiency and memory efficiency, from NVIDIA's Nsight Compute (`ncu`) if it is installed.

The metrics are those that Nsight Compute's manual gives for nvprof's `warp_execution_efficiency`,
`gld_efficiency`, `gst_efficiency` and `shared_efficiency`, which the paper reported.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.paper.bench.missing import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.paper.bench.missing import Reading

WARP_LANES = 32
DURATION = "gpu__time_duration.sum"
WARP = "smsp__thread_inst_executed_per_inst_executed.ratio"
LOAD = "smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct"
STORE = "smsp__sass_average_data_bytes_per_sector_mem_global_op_st.pct"
SHARED = "smsp__sass_average_data_bytes_per_wavefront_mem_shared.pct"

SECONDS = 600.0
"""Time limit: each kernel runs again for each group of metrics, and a deep network launches hundreds."""


@dataclass(frozen=True)
class Efficiency:
    """Percentages over all kernels of one pass, each weighted by the time it took.

    Attributes
    ----------
    warp : float or Missing
        Active threads per warp over the most there can be.
    load, store : float or Missing
        Bytes asked for over bytes moved, in global memory.
    shared : float or Missing
        Likewise in shared memory.
    """

    warp: Reading
    load: Reading
    store: Reading
    shared: Reading

    @classmethod
    def missing(cls, why: str) -> Efficiency:
        """Return figures of which none is available, all for one reason."""
        return cls(*4 * (Missing(why),))


def profile(arguments: Sequence[str]) -> Efficiency:
    """Run one pass under Nsight Compute.

    Parameters
    ----------
    arguments : sequence of str
        Of `wsi_seg.paper.bench.one_pass`.
    """
    program = shutil.which("ncu")
    if program is None:
        return Efficiency.missing("Nsight Compute (ncu) is not on the PATH")
    metrics = ",".join((DURATION, WARP, LOAD, STORE, SHARED))
    # Clocks stay unchanged: by default ncu would set them.
    command = [program, "--csv", "--clock-control", "none", "--print-units", "base"]
    command += ["--profile-from-start", "off", "--metrics", metrics]
    command += [sys.executable, "-m", "wsi_seg.paper.bench.one_pass", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},  # ncu writes numbers in the locale's format
        )
    except subprocess.TimeoutExpired:
        return Efficiency.missing(f"ncu took more than {SECONDS:.0f} s")
    if done.returncode:
        return Efficiency.missing(f"ncu failed: {_complaint(done.stdout + done.stderr)}")
    return parse(done.stdout)


def parse(output: str) -> Efficiency:
    """Read what `ncu --csv` printed: a line for each kernel and metric, below other lines."""
    lines = output.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith('"ID",')), None)
    if start is None:
        return Efficiency.missing(f"ncu measured no kernel: {_complaint(output)}")
    kernels: dict[str, dict[str, float]] = {}
    for row in csv.DictReader(lines[start:]):
        value = _number(row.get("Metric Value"))
        if value is not None:
            kernels.setdefault(row["ID"], {})[str(row["Metric Name"])] = value
    warp = _average(kernels, WARP)
    return Efficiency(
        warp if isinstance(warp, Missing) else 100 * warp / WARP_LANES,
        *(_average(kernels, name) for name in (LOAD, STORE, SHARED)),
    )


def _average(kernels: dict[str, dict[str, float]], name: str) -> Reading:
    """Average a metric over the kernels that have it, by their time."""
    known = [(k[DURATION], k[name]) for k in kernels.values() if name in k and k.get(DURATION, 0) > 0]
    if not known:
        return Missing("ncu gives no such metric on this GPU")
    return math.fsum(time * value for time, value in known) / math.fsum(time for time, _ in known)


def _number(text: str | None) -> float | None:
    """Read ``1,234.5``; a kernel without a metric has ``n/a``, or nothing."""
    try:
        return float((text or "").replace(",", ""))
    except ValueError:
        return None


def _complaint(output: str) -> str:
    """Find ncu's error message."""
    said = [line.removeprefix("==ERROR==").strip() for line in output.splitlines() if "==ERROR==" in line]
    return said[0] if said else "it does not say why"
