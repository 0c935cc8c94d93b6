#!/usr/bin/env bash
# zarr: a shard that is written chunk by chunk costs 33 times its own bytes, read as well as written.
#
# Versions:  zarr 3.4.2
# Seen:      an array of 512 x 512 in one shard of 64 chunks, not compressed, in a store that counts. Written as
#            a whole: 1.00 times the array's bytes. Chunk by chunk, on the grid of the chunks: 32.75 times. Every
#            write reads the shard, and writes it again with one chunk more; with n chunks it comes to n/2 + 0.5.
# Why:       `array[y:y+64, x:x+64] = chunk` along the chunks is the very pattern that is free without shards.
#            NGFF 0.5 images have shards of hundreds of chunks: a pyramid takes hours, and the file looks the same.
# Do:        write whole shards: array.shards, and not array.chunks, is the unit of writing.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# zarr 3.4 wants Python 3.12 or newer.
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet zarr==3.4.2 numpy==2.5.5
"$dir/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import zarr
from zarr.storage import MemoryStore, WrapperStore

print("zarr", zarr.__version__)
picture = np.random.default_rng(0).integers(1, 256, (512, 512), dtype=np.uint8)


class CountingStore(WrapperStore):
    written = read = 0

    async def set(self, key, value, *args, **kwargs):
        CountingStore.written += len(value)
        await super().set(key, value, *args, **kwargs)

    async def get(self, *args, **kwargs):
        value = await super().get(*args, **kwargs)
        CountingStore.read += len(value or b"")
        return value


def cost(step):
    """Write the picture in squares of `step`; return bytes written and read, over those of the picture."""
    array = zarr.create_array(
        CountingStore(MemoryStore()), shape=(512, 512), chunks=(64, 64), shards=(512, 512), dtype="u1", compressors=None
    )
    CountingStore.written = CountingStore.read = 0
    for y in range(0, 512, step):
        for x in range(0, 512, step):
            array[y : y + step, x : x + step] = picture[y : y + step, x : x + step]
    result = CountingStore.written / picture.nbytes, CountingStore.read / picture.nbytes
    assert np.array_equal(array[:], picture)
    return result


whole, chunks = cost(512), cost(64)
print("whole shard:    written {:.2f} times its bytes, read {:.2f} times".format(*whole))
print("chunk by chunk: written {:.2f} times its bytes, read {:.2f} times".format(*chunks))
as_stated = whole[0] < 1.1 and 30 < chunks[0] < 35 and 30 < chunks[1] < 35
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: a shard is read and written anew for each of its chunks."
