#!/usr/bin/env bash
# OpenSlide refuses every classic TIFF that is big-endian, in the words that it has for no slide at all.
#
# Versions:  openslide-python 1.4.7, openslide-bin 4.0.1.2 (OpenSlide 4.0.1); files by tifffile 2026.3.3
# Seen:      one picture, tiled, four times. Little-endian TIFF and BigTIFF open, big-endian BigTIFF opens,
#            big-endian classic TIFF: "Unsupported or missing image file". tifffile and Pillow read it.
#            openslide-bin 4.0.0.8 and 4.0.0.13 do the same; with OPENSLIDE_DEBUG=detection the reason is an
#            offset that leads nowhere, so every format's reader says "Not a TIFF file". What libtiff's
#            own tiffcp -B writes is refused alike.
# Why:       the file is valid, and byte order is the last thing that anyone suspects: the message reads as
#            "damaged", or as "no slide".
# Do:        look at the first four bytes of a refused file. "MM\0*": copy it, tiffcp -L in.tif out.tif
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openslide-python==1.4.7 openslide-bin==4.0.1.2 tifffile==2026.3.3 \
  numpy==2.4.6 pillow==12.2.0
cd "$dir"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import openslide
import tifffile
from PIL import Image

print(f"OpenSlide {openslide.__library_version__}, tifffile {tifffile.__version__}")
picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
seen = {}
for order, order_name in (("<", "little-endian"), (">", "big-endian")):
    for big in (False, True):
        name = f"{order_name} {'BigTIFF' if big else 'classic TIFF'}"
        tifffile.imwrite("a.tif", picture, photometric="rgb", tile=(256, 256), byteorder=order, bigtiff=big)
        assert np.array_equal(tifffile.imread("a.tif"), picture)
        assert big or np.array_equal(np.asarray(Image.open("a.tif")), picture)
        try:
            with openslide.OpenSlide("a.tif") as slide:
                read = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
                seen[name] = "right" if np.array_equal(read, picture) else "wrong pixels"
        except openslide.OpenSlideError as error:
            seen[name] = str(error)
        print(f"{name:28} {seen[name]}")
stated = dict.fromkeys(seen, "right") | {"big-endian classic TIFF": "Unsupported or missing image file"}
sys.exit(0 if seen == stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: a big-endian classic TIFF is refused as if it were no slide."
