#!/usr/bin/env bash
# Sharded zarr fails over Python's two simple web servers: neither can send "the last n bytes" of a file.
#
# Versions:  zarr 3.4.2, fsspec 2026.9.0, tensorstore 0.1.86, rangehttpserver 1.4.0, aiohttp 3.14.5, Python 3.12
# Seen:      one 64 x 64 chunk of a shard of 4 MB, read by zarr and by tensorstore from
#              http.server      each fails, with words on the shard's index or checksum
#              rangehttpserver  each fails: 400 "Invalid byte range", although it announces byte ranges
#              aiohttp          each is right; without shards, as in NGFF 0.4, all three are
# Why/do:    errors speak of damaged data, never of the server. Serve shards so that curl -r -8 URL answers 206.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet zarr==3.4.2 "fsspec[http]==2026.9.0" tensorstore==0.1.86 \
  rangehttpserver==1.4.0 aiohttp==3.14.5 numpy==2.4.6
cd "$dir"
timeout 120 venv/bin/python - <<'PYTHON'
import asyncio
import http.server
import itertools
import logging
import sys
import threading
from socket import create_server

import numpy as np
import tensorstore
import zarr
from aiohttp import web
from RangeHTTPServer import RangeRequestHandler

logging.disable()  # aiohttp's words on requests that the end of the script cuts off
picture = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
for name, shards in (("shards", (2048, 2048)), ("plain", None)):
    array = zarr.create_array(name, shape=(2048, 2048), chunks=(64, 64), shards=shards, dtype="u1")
    array[:] = np.tile(picture, (32, 32))


def serve_simply(handler):
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def serve_by_aiohttp():
    socket = create_server(("127.0.0.1", 0))
    (app := web.Application()).router.add_static("/", ".")
    quiet = {"handle_signals": False, "print": None, "loop": asyncio.new_event_loop()}
    threading.Thread(target=lambda: web.run_app(app, sock=socket, **quiet), daemon=True).start()
    return socket.getsockname()[1]


def by_zarr(url):
    return zarr.open_array(url, mode="r")[:64, :64]


def by_tensorstore(url):
    return tensorstore.open({"driver": "zarr3", "kvstore": f"{url}/"}).result()[:64, :64].read().result()


seen = {}
ports = {
    "http.server": serve_simply(http.server.SimpleHTTPRequestHandler),
    "rangehttpserver": serve_simply(RangeRequestHandler),
    "aiohttp": serve_by_aiohttp(),
}
for case in itertools.product(ports, ("plain", "shards"), (by_zarr, by_tensorstore)):
    server, array, read = case
    try:
        seen[case] = np.array_equal(read(f"http://127.0.0.1:{ports[server]}/{array}"), picture)
    except Exception as error:  # each reader and each server has its own
        seen[case] = None
        print(" ", str(error)[:100])
    print(server, array, read.__name__, {True: "right", False: "wrong pixels", None: "fails"}[seen[case]])
stated = {case: None if case[1] == "shards" and case[0] != "aiohttp" else True for case in seen}
sys.exit(0 if seen == stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: shards need a server that knows the last n bytes of a file."
