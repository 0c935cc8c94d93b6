#!/usr/bin/env bash
# OpenSlide opens an H&E picture that is stored plane by plane as a grey one, and 12-bit samples as black.
#
# Versions:  openslide-python 1.4.7, openslide-bin 4.0.1.2 (OpenSlide 4.0.1); files by tifffile 2026.3.3
# Seen:      the pink (214, 150, 190) of stained tissue, in files that all hold the same values:
#              interleaved RGB                          214 150 190
#              OME-TIFF, three planes on three pages    214 214 214   the other planes are dropped
#              three planes in one page, not named RGB  214 214 214   "
#              three planes in one page, named RGB      214 150 190
#              16 bits (values times 257)               214 150 190
#              12 bits in 16-bit samples                 13   9  12   divided by 257, not by 16
#              32-bit float                             opens; the first read fails
#            Every one of them opens; but for the last, none says a word. The grey one has R = G = B.
# Why:       a tissue detector finds nothing in grey or black, or a network gives all of it one class: the
#            result looks like an empty slide. OME-TIFF allows both, and writers choose it for channel-first arrays.
# Do:        read BitsPerSample, SamplesPerPixel, PhotometricInterpretation and the OME-XML before trusting pixels.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openslide-python==1.4.7 openslide-bin==4.0.1.2 tifffile==2026.3.3 numpy==2.4.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import openslide
import tifffile

print(f"OpenSlide {openslide.__library_version__}, tifffile {tifffile.__version__}")
PINK = (214, 150, 190)
pixels = np.full((512, 512, 3), PINK, np.uint8)
planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
tiles = {"tile": (256, 256)}
rgb, grey = tiles | {"photometric": "rgb"}, tiles | {"photometric": "minisblack"}
files = {
    "interleaved RGB": (pixels, rgb),
    "OME-TIFF, three pages": (planes, grey | {"ome": True, "metadata": {"axes": "CYX"}}),
    "planes in one page, grey": (planes, grey | {"planarconfig": "separate"}),
    "planes in one page, RGB": (planes, rgb | {"planarconfig": "separate"}),
    "16 bits": (pixels * np.uint16(257), rgb),
    "12 bits in 16": (pixels * np.uint16(16), rgb),
    "32-bit float": (pixels / np.float32(255), rgb),
}
stated = {name: PINK for name in files}
stated["OME-TIFF, three pages"] = stated["planes in one page, grey"] = (214, 214, 214)
stated["12 bits in 16"] = (13, 9, 12)
stated["32-bit float"] = "opens; the first read fails"
seen = {}
for name, (array, options) in files.items():
    tifffile.imwrite("a.tif", array, **options)
    slide = openslide.OpenSlide("a.tif")
    try:
        seen[name] = tuple(slide.read_region((0, 0), 0, (1, 1)).getpixel((0, 0))[:3])
    except openslide.OpenSlideError:
        seen[name] = "opens; the first read fails"
    slide.close()
    print(f"{name:28} {seen[name]}")
sys.exit(0 if seen == stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: planes come out grey and 12 bits nearly black, without an error."
