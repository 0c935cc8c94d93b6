"""One pass of a network for a profiler: ``python -m wsi_seg.paper.bench.one_pass NAME BATCH SETTING...``."""

from __future__ import annotations

import sys

import torch

from wsi_seg.paper.bench.bench_runner import Runner, Setting
from wsi_seg.paper.bench.subject import find_subject


def main(name: str, batch: str, *setting: str) -> None:
    """Warm up, and run one pass that the profiler sees."""
    run = Runner(find_subject(name).bundle, Setting.from_arguments(setting)).passes(int(batch))
    run()
    with torch.cuda.profiler.profile():
        run()


if __name__ == "__main__":
    main(*sys.argv[1:])
