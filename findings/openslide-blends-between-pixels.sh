#!/usr/bin/env bash
# The same read_region of the same file: OpenSlide blends neighbours, tiffslide gives the stored pixels.
#
# Versions:  openslide-python 1.4.7, openslide-bin 4.0.1.2 (OpenSlide 4.0.1), tiffslide 4.0.0
# Seen:      a TIFF with a level 1 of half the size; 64 x 64 pixels of level 1 from level-0 corner
#              (0, 0), (2, 2)  both give the stored pixels
#              (1, 0)          OpenSlide: the mean of each two neighbours; tiffslide: the stored pixels
#              (1, 1)          OpenSlide: the mean of each four; tiffslide: the stored pixels
#            tiffslide promises the same interface; nothing in a size, a property or a message tells the two apart.
# Why:       patches at odd corners are smoothed by one reader and moved by half a pixel by the other: a network
#            sees another sharpness, and overlapping reads of one level disagree about a pixel.
# Do:        start reads of a level on a multiple of its downsample.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# tiffslide 4 wants Python 3.12 or newer.
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openslide-python==1.4.7 openslide-bin==4.0.1.2 tiffslide==4.0.0 \
  tifffile==2026.11.8 numpy==2.5.5
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import openslide
import tiffslide
import tifffile

print(f"OpenSlide {openslide.__library_version__}, tiffslide {tiffslide.__version__}")
level = np.random.default_rng(0).integers(0, 256, (512, 512), dtype=np.uint8)
options = {"photometric": "rgb", "tile": (256, 256), "metadata": None}
with tifffile.TiffWriter("a.tif") as file:
    file.write(np.zeros((1024, 1024, 3), np.uint8), **options)
    file.write(np.repeat(level[..., None], 3, axis=2), subfiletype=1, **options)

seen = {}
for x, y in ((0, 0), (2, 2), (1, 0), (1, 1)):
    stored = level[y // 2 :, x // 2 :].astype(float)
    blend = sum(
        stored[dy : dy + 64, dx : dx + 64] for dy in range(y % 2 + 1) for dx in range(x % 2 + 1)
    ) / ((x % 2 + 1) * (y % 2 + 1))
    for reader, slide in (("OpenSlide", openslide.OpenSlide("a.tif")), ("tiffslide", tiffslide.TiffSlide("a.tif"))):
        pixels = np.asarray(slide.read_region((x, y), 1, (64, 64)))[:63, :63, 0].astype(float)
        if np.array_equal(pixels, stored[:63, :63]):
            seen[reader, x, y] = "stored"
        elif np.abs(pixels - blend[:63, :63]).max() <= 1:
            seen[reader, x, y] = "blended"
        else:
            seen[reader, x, y] = "neither"
        print(f"{reader} from ({x}, {y}): {seen[reader, x, y]}")
stated = dict.fromkeys(seen, "stored") | dict.fromkeys([("OpenSlide", 1, 0), ("OpenSlide", 1, 1)], "blended")
sys.exit(0 if seen == stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: between pixels OpenSlide blends, and tiffslide does not."
