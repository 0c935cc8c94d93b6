from __future__ import annotations

import subprocess
import sys

RUN = """
import gc
from wsi_seg.cli import garbage, signals
usual = gc.get_threshold()
garbage.while_importing()
assert gc.get_threshold()[0] > 10 * usual[0]
signals.working()
assert gc.get_threshold() == usual
assert gc.get_freeze_count() > 1_000
cycle = type("Held", (), {})()
cycle.itself = cycle
import weakref
gone = weakref.ref(cycle)
del cycle
gc.collect()
assert gone() is None  # what comes after is still looked at
before = gc.get_freeze_count()
held = [[] for _ in range(1000)]
garbage.at_the_end()
assert gc.get_freeze_count() >= before + 1000
"""


def test_garbage_is_looked_for_rarely_while_importing_and_as_usual_while_working() -> None:
    subprocess.run([sys.executable, "-c", RUN], check=True, timeout=60)
