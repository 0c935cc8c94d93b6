"""A comparison that was never run, for tests of how such are shown."""

from __future__ import annotations

from wsi_seg.paper.bench.bench_run import Report
from wsi_seg.paper.bench.bench_runner import Setting
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.ncu import Efficiency
from wsi_seg.paper.bench.system import SystemFigures
from wsi_seg.paper.bench.timing import Limits, Spread, Timed
from wsi_seg.paper.bench.trial import Cost, Row

NO_GPU = Missing("no GPU in use")


def make_report() -> Report:
    """Two settings, three networks, of which one did not run; only the first setting has a meter."""
    settings = (
        Setting(1024, 512, "cpu", "float32", "plain"),
        Setting(512, 512, "cpu", "bfloat16", "predict"),
    )
    report = Report("A machine", Limits(5, 10.0, 3))
    for setting in settings:
        metered = setting is settings[0]
        small = Timed(1, Spread(0.125, 0.1, 0.2, 5)), Timed(4, Spread(0.25, 0.2, 0.5, 5))
        large = Timed(1, Spread(2.75, 2.75, 2.75, 1)), Timed(1, Spread(2.75, 2.75, 2.75, 1))
        report.rows += [
            Row(
                *("espnet", "ESPNet", "ESPNet"),
                cost=Cost(364_569, 1_494_572, 9_418_883_072, 210_763_776),
                setting=setting,
                single=small[0],
                best=small[1],
                memory=3e8,
                best_memory=6e8,
                system=_system(12.5) if metered else None,
            ),
            Row(
                *("pspnet", "PSPNet-101", "comparison"),
                cost=Cost(65_700_000, 262_800_000, 514_000_000_000, 421_527_552),
                setting=setting,
                single=large[0],
                best=large[1],
                memory=Missing("this system does not tell"),
                best_memory=9e8,
                system=_system(NO_GPU) if metered else None,
                remarks=("batch 2 not tried: time was up",),
            ),
            Row(
                *("vast", "Vast", "model"),
                cost=Cost(10**9, 4 * 10**9, 10**12, 10**12),
                setting=setting,
                single=None,
                best=None,
                memory=Missing("out of memory"),
                best_memory=Missing("out of memory"),
                remarks=("out of memory at one image",),
            ),
        ]
    return report


def _system(cpu_watts: float | Missing) -> SystemFigures:
    return SystemFigures(
        cpu_watts=cpu_watts,
        cpu_joules=cpu_watts,
        gpu_watts=NO_GPU,
        gpu_joules=NO_GPU,
        cpu_busy=97.25,
        gpu_busy=NO_GPU,
        gpu_memory_busy=NO_GPU,
        frequency_sensitivity=NO_GPU,
        efficiency=Efficiency.missing("ncu is not there"),
    )
