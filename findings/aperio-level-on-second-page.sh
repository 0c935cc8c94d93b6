#!/usr/bin/env bash
# Of an Aperio slide whose thumbnail was taken out, tifffile and tiffslide lose a level: the page that is second now.
#
# Versions:  tifffile 2026.11.8, tiffslide 4.0.0, openslide-python 1.4.7, openslide-bin 4.0.1.2 (OpenSlide 4.0.1),
#            Python 3.12
# Seen:      a pyramid 1, 1/2, 1/4 on three pages of tiles, with a thumbnail in strips on the second page, as scanners
#            write it: all three programs find three levels. The same without the thumbnail: OpenSlide finds three;
#            tifffile and tiffslide two, 1 and 1/4. The level of 1/2 is called "Thumbnail", though it is in tiles.
# Why:       tools that take labels and names out of slides take the thumbnail too, as it may show the label. Such a
#            slide opens without a word, and at the resolution of the lost level a program reads the one before,
#            with four times the pixels, or scales up the one behind.
# Do:        take all pages in tiles for levels, as OpenSlide does; compare the sizes that two readers find.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tifffile==2026.11.8 tiffslide==4.0.0 imagecodecs==2026.10.10 numpy==2.4.6 \
    openslide-python==1.4.7 openslide-bin==4.0.1.2
cd "$dir"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import openslide
import tifffile
import tiffslide

print(f"OpenSlide {openslide.__library_version__}, tifffile {tifffile.__version__}, tiffslide {tiffslide.__version__}")
pixels = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
found = {}
for thumbnail in (True, False):
    name = f"thumbnail-{thumbnail}.svs"
    with tifffile.TiffWriter(name) as tiff:
        for step in (1, 2, 4):
            side = 1024 // step
            words = f"Aperio Image Library v11.2.1 \r\n{side}x{side} (128x128)|AppMag = 20|MPP = 0.5"
            options = {"photometric": "rgb", "metadata": None, "description": words}
            tiff.write(pixels[::step, ::step], tile=(128, 128), compression="deflate", **options)
            if thumbnail and step == 1:
                tiff.write(pixels[::4, ::4], rowsperstrip=16, **options)
    with openslide.OpenSlide(name) as slide:
        found["OpenSlide", thumbnail] = [width for width, _ in slide.level_dimensions]
    with tifffile.TiffFile(name) as tiff:
        found["tifffile", thumbnail] = [level.shape[1] for level in tiff.series[0].levels]
        names = [one.name for one in tiff.series]
    with tiffslide.TiffSlide(name) as slide:
        found["tiffslide", thumbnail] = [width for width, _ in slide.level_dimensions]
    print(f"thumbnail {thumbnail}: {[(who, widths) for (who, which), widths in found.items() if which is thumbnail]},"
          f" images of tifffile {names}")
whole, cut = [1024, 512, 256], [1024, 256]
stated = {(who, True): whole for who in ("OpenSlide", "tifffile", "tiffslide")}
stated |= {("OpenSlide", False): whole, ("tifffile", False): cut, ("tiffslide", False): cut}
sys.exit(0 if found == stated and names == ["Baseline", "Thumbnail"] else "CHANGED: not as the header states")
PYTHON
echo "As stated: without a thumbnail, the level on the second page is lost."
