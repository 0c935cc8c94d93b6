#!/usr/bin/env bash
# A Dask cluster of threads in one process loses its own worker where the process was stopped for longer than
# `distributed.scheduler.worker-ttl` (five minutes), as on a laptop that slept: the scheduler wakes beside the worker,
# sees that it was silent, and removes it. There is no nanny that starts another, so the work never ends.
#
# Versions:  dask and distributed 2026.8.0
# Seen:      LocalCluster(processes=False, n_workers=1), 20 tasks of 0.3 s, the time to live set to 1 s (Dask makes 5
#            of it), the process stopped for 8 s by SIGSTOP after the first task, then let go on:
#              worker-ttl 1s     no worker, and 19 or fewer results after 20 s more
#              worker-ttl null   one worker, and all 20 results
# Why:       the time to live is measured by the clock on the wall, not by the time for which the process ran.
# Do:        set worker-ttl to null for a cluster within one process: no worker of it can be lost alone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet dask==2026.8.0 distributed==2026.8.0
cd "$dir"
cat > stopped.py <<'PYTHON'
import logging
import sys
import time

import dask
from distributed import Client, LocalCluster

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    dask.config.set({"distributed.scheduler.worker-ttl": sys.argv[1] if sys.argv[1] != "null" else None})
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        futures = client.map(lambda number: time.sleep(0.3) or number, range(20), pure=False)
        futures[0].result()
        print("begun", flush=True)
        until = time.time() + 28
        while time.time() < until and any(future.status != "finished" for future in futures):
            time.sleep(0.2)
        done = sum(future.status == "finished" for future in futures)
        print(f"workers {len(cluster.scheduler.workers)}, {'all' if done == 20 else 'not all'} results", flush=True)
        client.cancel(futures)
PYTHON
cat > run.py <<'PYTHON'
import signal
import subprocess
import sys
import time

with subprocess.Popen([sys.executable, "stopped.py", sys.argv[1]], stdout=subprocess.PIPE, text=True) as process:
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    time.sleep(8)
    process.send_signal(signal.SIGCONT)
    print(f"worker-ttl {sys.argv[1]}: {process.stdout.readline().strip()}")
    process.kill()
PYTHON
venv/bin/python -c 'import dask, distributed; print("dask", dask.__version__, "distributed", distributed.__version__)'
seen=$(venv/bin/python run.py 1s; venv/bin/python run.py null)
echo "$seen"
expected='worker-ttl 1s: workers 0, not all results
worker-ttl null: workers 1, all results'
if [[ $seen != "$expected" ]]; then
  echo "CHANGED: no longer as the header of this script states" >&2
  exit 1
fi
echo "As stated: a process that was stopped loses its own worker, unless worker-ttl is null."
