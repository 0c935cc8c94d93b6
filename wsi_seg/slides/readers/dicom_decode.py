"""Decode a frame of a DICOM slide to RGB.

wsidicom decodes the samples, but JPEG, whose damage it keeps to itself. What the samples are is stated by
DICOM, and for lossless JPEG by the frame itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import simplejpeg
from pydicom.pixels import convert_color_space
from pydicom.uid import UID
from wsidicom.codec import Decoder
from wsidicom.geometry import Size

from wsi_seg.slides.readers import strict_jpeg
from wsi_seg.slides.readers.dicom_colours import CONVERTED, GREY, refuse_colours
from wsi_seg.slides.readers.dicom_series import READ
from wsi_seg.slides.readers.jpeg_ls import DECODER
from wsi_seg.slides.readers.strict_jpeg import NoPlainJpegError, StrictJpeg

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.readers.dicom_level import Encoding

COLOURS = {"RGB": strict_jpeg.RGB, GREY: strict_jpeg.GREY}
"""What a JPEG's samples are, if they are not YCbCr, by the names that `StrictJpeg` has for it."""

RGB_COMPONENTS = b"RGB"
ADOBE, START_OF_SCAN = 0xEE, 0xDA
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class FrameDecoder:
    """Decodes the frames of one level. May be used from several threads.

    Parameters
    ----------
    path : Path
        Named in errors.
    encoding : Encoding

    Raises
    ------
    SlideError
        If frames of this kind cannot be decoded, or their samples are not known to be RGB or grey.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._compression = READ.get(encoding.syntax, "")
        refuse_colours(path, encoding.syntax, encoding.photometric)
        self._encoding = encoding
        self._jpeg = self._decoder = None
        if self._compression == "JPEG":
            self._jpeg = StrictJpeg.of(None, COLOURS.get(encoding.photometric, strict_jpeg.YCBCR))
        elif self._compression not in ("nothing", "lossless JPEG", "JPEG-LS"):
            self._decoder = Decoder.create(
                UID(encoding.syntax),
                encoding.samples,
                8,
                Size(encoding.width, encoding.height),
                encoding.photometric,
            )

    def decode(self, frame: bytes) -> NDArray[np.uint8]:
        """Decode a frame.

        Returns
        -------
        uint8 array, shape (height, width, 3)

        Raises
        ------
        ValueError
            If it does not hold the pixels that it should.
        Exception
            As the codec raises it for a damaged frame.
        """
        encoding = self._encoding
        shape = (encoding.height, encoding.width, encoding.samples)
        pixels = self._samples(frame)
        if pixels.dtype != np.uint8 or pixels.size != np.prod(shape):
            raise ValueError(f"a frame of {pixels.shape} {pixels.dtype} in place of {shape}")
        pixels = pixels.reshape(shape)
        if encoding.samples == 1:
            return np.repeat(pixels, 3, axis=2)
        return self._rgb(frame, pixels)

    def _samples(self, frame: bytes) -> NDArray[np.uint8]:
        """Return what the frame holds, grey or of three colours."""
        colours: Literal["GRAY", "RGB"] = "GRAY" if self._encoding.samples == 1 else "RGB"
        pixels: NDArray[np.uint8] | None
        if self._jpeg is not None:
            try:
                pixels = self._jpeg.decode(frame, colours)
            except NoPlainJpegError as error:
                raise ValueError("another process of JPEG than is declared") from error
            if pixels is None:
                raise ValueError("a damaged JPEG")
        elif self._compression == "lossless JPEG":
            pixels = simplejpeg.decode_jpeg(frame, colours)  # lossless, it converts no colours
        elif self._compression == "JPEG-LS":
            pixels = DECODER.decode(frame)
        elif self._decoder is None:
            pixels = np.frombuffer(frame, dtype=np.uint8, count=self._encoding.bytes)
        else:
            pixels = self._decoder.decode(frame)
        return pixels

    def _rgb(self, frame: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        convert = self._compression in CONVERTED and self._encoding.photometric == "YBR_FULL"
        # wsidicom writes lossless JPEG that holds RGB, says so in each frame, and declares it YBR in DICOM.
        if not convert or (self._compression == "lossless JPEG" and holds_rgb(frame)):
            return pixels
        converted: NDArray[np.uint8] = convert_color_space(pixels, "YBR_FULL", "RGB")
        return converted


def holds_rgb(jpeg: bytes) -> bool:
    """Return whether a JPEG says that it holds RGB: by Adobe's marker, or the names of its components."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != START_OF_SCAN:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        segment = jpeg[at + 4 : at + 2 + length]
        if marker == ADOBE and segment[:5] == b"Adobe" and len(segment) >= 12:
            return segment[11] == 0
        if marker in STARTS_OF_FRAME and segment[6::3][:3] == RGB_COMPONENTS:
            return True
        at += 2 + length
    return False
