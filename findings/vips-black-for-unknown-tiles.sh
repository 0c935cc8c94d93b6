#!/usr/bin/env bash
# vips converts a TIFF whose tiles it cannot decode into a black one, and reports success.
#
# Versions:  pyvips 3.2.0 with pyvips-binary 8.18.7 (libvips 8.18.7); files by tifffile 2026.3.3, imagecodecs 2026.3.6
# Seen:      a grey-pink picture in tiles of JPEG XL, of PNG, of LERC and of JPEG 2000 (tag 34712):
#              as it comes          no error; the new pyramid is of the right size, and black throughout
#              fail_on="error"      the same: to vips a tile that cannot be decoded is a warning
#              fail_on="warning"    an error that names the compression, as one would wish
#            tifffile reads all four. What libtiff says of each tile goes to a log that pyvips keeps to itself.
# Why:       this is the usual way from a TIFF that a slide reader refuses to one that it takes. The result opens,
#            with levels and resolution, and everything made from it is wrong: a map of an empty slide.
# Do:        vips tiffsave "in.tif[fail_on=warning]" out.tif ...; look at the picture before going on.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet pyvips==3.2.0 pyvips-binary==8.18.7 tifffile==2026.3.3 imagecodecs==2026.3.6 \
  numpy==2.4.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import pyvips
import tifffile

print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)), "tifffile", tifffile.__version__)
picture = np.random.default_rng(0).integers(120, 240, (512, 512, 3), dtype=np.uint8)
seen = {}
for compression in ("jpegxl", "png", "lerc", "jpeg2000"):
    tifffile.imwrite("in.tif", picture, photometric="rgb", tile=(256, 256), compression=compression)
    assert tifffile.imread("in.tif").mean() > 100
    for fail_on in ("none", "error", "warning"):
        try:
            image = pyvips.Image.new_from_file("in.tif", fail_on=fail_on)
            image.tiffsave("out.tif", tile=True, pyramid=True, compression="deflate")
            written = tifffile.imread("out.tif", key=0)
            same_size = written.shape == picture.shape
            seen[compression, fail_on] = "black" if same_size and not written.any() else "other pixels"
        except pyvips.Error as error:
            seen[compression, fail_on] = "error"
            print(" ", " ".join(str(error).split())[:100])
        print(f"{compression}, fail_on={fail_on}: {seen[compression, fail_on]}")
stated = {case: "error" if case[1] == "warning" else "black" for case in seen}
sys.exit(0 if seen == stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: tiles that vips cannot decode become black, without an error."
