#!/usr/bin/env bash
# OpenSlide opens a TIFF of uncompressed tiles, and then reads none of them, where a tile's bytes are no multiple of 1024.
#
# Versions:  openslide-python 1.4.7, openslide-bin 4.0.1.2 (OpenSlide 4.0.1, libtiff 4.7.1); openslide-bin 4.0.0.8 the
#            same, with less to say; files by tifffile 2026.3.3
# Seen:      RGB tiles of 8 bits, side 16, 48, 112, 240: "TIFFRGBAImageGet failed, last error: ... Invalid tile byte
#            count for tile 0. Expected 172800, got 173056", for every tile of the file; side 96, 128, 256, or any side
#            with Deflate: the right pixels. Pillow (libtiff 4.7.2) and libvips 8.18 read all of the files.
#            What it "got" is what was expected, rounded up to a multiple of 1024: a buffer's size, not the file's.
# Why:       the file is valid (TIFF asks for multiples of 16), opens with its levels and its resolution, and then
#            each read fails as for a damaged slide. 240 is the tile of older Aperio slides.
# Do:        compress the tiles without loss, or write tiles of 256; in reading, look at Compression, TileWidth and
#            TileLength before OpenSlide is given the file.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openslide-python==1.4.7 openslide-bin==4.0.1.2 tifffile==2026.3.3 numpy==2.4.6 \
    imagecodecs==2026.3.6 pillow==12.2.0
cd "$dir"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import openslide
import tifffile
from PIL import Image

print(f"OpenSlide {openslide.__library_version__}, tifffile {tifffile.__version__}")
pixels = np.random.default_rng(0).integers(0, 255, (480, 480, 3), dtype=np.uint8)
as_stated = True
for side in (16, 48, 96, 112, 128, 240, 256):
    for compression in (None, "deflate"):
        tifffile.imwrite("a.tif", pixels, tile=(side, side), photometric="rgb", compression=compression)
        by_pillow = (np.asarray(Image.open("a.tif")) == pixels).all()
        with openslide.OpenSlide("a.tif") as slide:
            try:
                read = np.asarray(slide.read_region((0, 0), 0, (8, 8)))[..., :3]
                said = "right" if (read == pixels[:8, :8]).all() else "other pixels"
            except openslide.OpenSlideError as error:
                said = str(error)
        wanted = "right" if compression or side * side * 3 % 1024 == 0 else "Invalid tile byte count"
        as_stated &= wanted in said and bool(by_pillow)
        print(f"tiles of {side:3}, {compression or 'uncompressed'}: {said}; Pillow {by_pillow}")
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: uncompressed tiles of no multiple of 1024 bytes cannot be read."
