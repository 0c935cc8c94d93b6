#!/usr/bin/env bash
# A slide converted to DICOM by wsidicomizer: level 0 in the right colours, the levels that it adds in wrong ones.
#
# Versions:  wsidicomizer 0.31.0 (wsidicom 0.36.1, opentile 0.26.0); read by openslide-bin 4.0.1.2
#            needs libturbojpeg on the system, as opentile does: apt install libturbojpeg0
# Seen:      an Aperio SVS whose JPEG tiles hold RGB, of one colour, (214, 195, 208), with
#            add_missing_levels=True: level 0, whose tiles are copied, is right; levels 1 and 2 are
#            (202, 131, 136). That is the same colour as YCbCr, declared as RGB.
#            force_transcoding=True alone changes nothing; with JPEG settings that ask for YBR all is right.
#            Without libturbojpeg the same call is right too: another reader (tiffslide) takes over without a
#            word, and nothing is copied.
# Why:       viewers show a slide pink from afar and right from near; software that works at a coarser level
#            gets wrong colours from a valid file. Only a comparison of levels shows it.
# Do:        convert with force_transcoding=True and encoding=JpegSettings(channels=Channels.YBR), or from
#            preferred_source="tiffslide"; before trusting a level of a file, compare it with level 0.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# wsidicomizer 0.31 wants Python 3.12 or newer.
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet wsidicomizer==0.31.0 wsidicom==0.36.1 opentile==0.26.0 tifffile==2026.11.8 \
  imagecodecs==2026.10.10 openslide-python==1.4.7 openslide-bin==4.0.1.2 numpy==2.5.5
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import ctypes.util
import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import openslide
import tifffile
from wsidicom.codec.settings import Channels, JpegSettings
from wsidicomizer import WsiDicomizer

if not ctypes.util.find_library("turbojpeg"):
    sys.exit("not tried: libturbojpeg is missing: apt install libturbojpeg0")
print("wsidicomizer", importlib.metadata.version("wsidicomizer"), "OpenSlide", openslide.__library_version__)
COLOUR = (214, 195, 208)
tifffile.imwrite(
    "a.svs",
    np.full((1024, 1024, 3), COLOUR, np.uint8),
    photometric="rgb",
    compression="jpeg",
    compressionargs={"outcolorspace": "rgb"},
    tile=(256, 256),
    description="Aperio Image Library v11.2.1\n1024x1024 (256x256) JPEG/RGB Q=95|AppMag = 20|MPP = 0.5",
    metadata=None,
)


def close(seen, wanted):
    return all(abs(int(a) - b) <= 2 for a, b in zip(seen, wanted))


colours = {}
forced = {"force_transcoding": True}
for name, options in (
    ("plain", {}),
    ("forced", forced),
    ("forced to YBR", forced | {"encoding": JpegSettings(channels=Channels.YBR)}),
):
    WsiDicomizer.convert("a.svs", name, tile_size=256, add_missing_levels=True, workers=1, **options)
    with openslide.OpenSlide(next(Path(name).glob("*.dcm"))) as slide:
        for level in range(slide.level_count):
            colour = slide.read_region((0, 0), level, (64, 64)).getpixel((32, 32))[:3]
            colours[name, level] = colour
            print(f"{name}, level {level}: {colour}")
wrong = {place for place, colour in colours.items() if not close(colour, COLOUR)}
as_stated = (
    len(colours) == 9
    and wrong == {("plain", 1), ("plain", 2), ("forced", 1), ("forced", 2)}
    and all(close(colours[place], (202, 131, 136)) for place in wrong)
)
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: the added levels are YCbCr, declared as RGB."
