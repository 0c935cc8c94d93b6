#!/usr/bin/env bash
# wsidicom: a slide saved "as HTJ2K" holds ordinary JPEG 2000, under the transfer syntax of HTJ2K.
#
# Versions:  wsidicom 0.36.1 (pydicom 3.0.1, imagecodecs 2026.3.6), Python 3.12
# Seen:      frames of HTJpeg2000Settings have no CAP segment (0xFF50), which ISO/IEC 15444-15 demands of every
#            high-throughput code stream, lossless or lossy. The transfer syntax says 1.2.840.10008.1.2.4.201 or
#            .203, and the bytes are those of Jpeg2kSettings. A code stream by OpenJPH has the segment.
# Why:       nothing fails on the machine that writes: decoders of OpenJPEG read both. A decoder for high-throughput
#            streams alone, which is why one would choose HTJ2K, refuses the frames, and the file was no quicker to
#            write or to read.
# Do:        look for the CAP segment before trusting the syntax; read both kinds under it. For archives save
#            plain JPEG 2000, which is at least what the file says.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet wsidicom==0.36.1 pydicom==3.0.1 imagecodecs==2026.3.6
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import importlib.metadata
import sys

import imagecodecs
import numpy as np
from wsidicom.codec import Encoder, Jpeg2kSettings
from wsidicom.codec.settings import HTJpeg2000Settings

CAP = b"\xff\x50"
START_OF_TILES = b"\xff\x90"

print("wsidicom", importlib.metadata.version("wsidicom"), "imagecodecs", imagecodecs.__version__)
y, x = np.mgrid[:64, :64]
rgb = np.stack([4 * x, 4 * y, 128 + 0 * x], axis=2).astype(np.uint8)


def has_cap(stream):
    """Return whether a code stream has the segment, in its main header."""
    return CAP in stream[: stream.index(START_OF_TILES)]


seen = []
for name, settings in (
    ("HTJ2K, lossless", HTJpeg2000Settings(levels=0)),
    ("HTJ2K, lossy", HTJpeg2000Settings(levels=80)),
):
    frame = Encoder.create_for_settings(settings).encode(rgb)
    plain = Encoder.create_for_settings(Jpeg2kSettings(levels=settings.levels)).encode(rgb)
    print(f"{name}: {settings.transfer_syntax}, CAP {has_cap(frame)}, as plain JPEG 2000 {frame == plain}")
    seen.append((str(settings.transfer_syntax), has_cap(frame), frame == plain))
by_openjph = imagecodecs.htj2k_encode(rgb)
print(f"OpenJPH: CAP {has_cap(by_openjph)}")
seen.append(has_cap(by_openjph))
expected = [("1.2.840.10008.1.2.4.201", False, True), ("1.2.840.10008.1.2.4.203", False, True), True]
sys.exit("not as stated: the note is out of date" if seen != expected else 0)
PYTHON
echo "as stated"
