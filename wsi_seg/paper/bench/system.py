"""The paper's system metrics: power, utilisation, sensitivity to frequency, efficiencies."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.power import CpuMeter, GpuWatch, frequency_sensitivity, time_at_clocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsi_seg.paper.bench.missing import Reading
    from wsi_seg.paper.bench.ncu import Efficiency
    from wsi_seg.paper.bench.power import GpuMeter


@dataclass(frozen=True)
class SystemFigures:
    """Figures of the machine's meters while a network runs repeatedly at its best batch.

    Attributes
    ----------
    cpu_watts, cpu_joules : float or Missing
        Mean power of the processors, including everything else that runs on them; energy of one image.
    gpu_watts, gpu_joules : float or Missing
        The same for the GPU.
    cpu_busy : float
        Processor time of this process, in percent of the time of all cores that it may use.
    gpu_busy, gpu_memory_busy : float or Missing
        Percent of the time in which a kernel ran, and in which the GPU's memory was read or written.
    frequency_sensitivity : float or Missing
        % change of time over % change of the GPU's frequency.
    efficiency : Efficiency
        Of warps and memory.
    """

    cpu_watts: Reading
    cpu_joules: Reading
    gpu_watts: Reading
    gpu_joules: Reading
    cpu_busy: Reading
    gpu_busy: Reading
    gpu_memory_busy: Reading
    frequency_sensitivity: Reading
    efficiency: Efficiency

    def readings(self) -> dict[str, Reading]:
        """Return all figures by names that end in the unit."""
        return {
            "cpu_power_w": self.cpu_watts,
            "cpu_energy_per_image_j": self.cpu_joules,
            "gpu_power_w": self.gpu_watts,
            "gpu_energy_per_image_j": self.gpu_joules,
            "cpu_busy_percent": self.cpu_busy,
            "gpu_busy_percent": self.gpu_busy,
            "gpu_memory_busy_percent": self.gpu_memory_busy,
            "frequency_sensitivity": self.frequency_sensitivity,
            "warp_efficiency_percent": self.efficiency.warp,
            "load_efficiency_percent": self.efficiency.load,
            "store_efficiency_percent": self.efficiency.store,
            "shared_efficiency_percent": self.efficiency.shared,
        }


def observe(
    run: Callable[[], None], batch: int, meter: GpuMeter | Missing, seconds: float, efficiency: Efficiency
) -> SystemFigures:
    """Run passes for some seconds, and read the meters.

    Parameters
    ----------
    run : callable
        One pass, warmed up.
    batch : int
        Images in a pass.
    meter : GpuMeter or Missing
        The GPU's, if it runs there.
    seconds : float
        For how long.
    efficiency : Efficiency
        Figures of Nsight Compute, which needs a process of its own.
    """
    cpu = CpuMeter()
    begin, cpu_begin = time.perf_counter(), time.process_time()
    with GpuWatch(meter) as watch:
        passes = time_at_clocks(run, meter, seconds)
    joules = cpu.read()
    wall, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    images = len(passes) * batch
    gpu_watts, gpu_busy, memory_busy = watch.means()
    return SystemFigures(
        cpu_watts=_times(joules, 1 / wall),
        cpu_joules=_times(joules, 1 / images),
        gpu_watts=gpu_watts,
        gpu_joules=_times(gpu_watts, math.fsum(one.seconds for one in passes) / images),
        cpu_busy=100 * cpu_seconds / wall / usable_cores(),
        gpu_busy=gpu_busy,
        gpu_memory_busy=memory_busy,
        frequency_sensitivity=meter if isinstance(meter, Missing) else frequency_sensitivity(passes),
        efficiency=efficiency,
    )


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _times(reading: Reading, factor: float) -> Reading:
    return reading if isinstance(reading, Missing) else reading * factor
