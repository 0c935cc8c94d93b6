"""Files that OpenSlide refuses, and that are sound: what they are is named, and what to do."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.drawn_tiffs import RGB, write

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.dicom import WHOLE_SLIDE, read_dicom_header
from wsi_seg.slides.readers.refused import COMPRESSIONS, READ_COMPRESSIONS
from wsi_seg.slides.slide import Slide

STRIPS = {"tile": "leave", "rowsperstrip": 16}


def refusal(path: Path) -> str:
    with pytest.raises(SlideError) as caught:
        Slide(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert "damaged" not in line
    return line


@pytest.mark.parametrize(
    ("compression", "name", "remedy"),
    [
        ("webp", "WebP", "`vips tiffsave 'slide.tiff[fail]' "),
        ("jpeg2000", "JPEG 2000", "export it again in tiles of JPEG, LZW, Deflate or Zstd"),
        ("aperio_jp2000_rgb", "JPEG 2000", "export it again in tiles of JPEG, LZW, Deflate or Zstd"),
        ("jpegxl", "JPEG XL", "export it again in tiles of JPEG, LZW, Deflate or Zstd"),
        ("png", "PNG", "export it again in tiles of JPEG, LZW, Deflate or Zstd"),
        ("lerc", "LERC", "`tiffcp -t "),
        ("lzma", "LZMA", "`tiffcp -t "),
    ],
)
def test_tiff_compressions(tmp_path: Path, compression: str, name: str, remedy: str) -> None:
    line = refusal(write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression=compression))
    assert f"a sound TIFF, but compressed by {name}, which OpenSlide does not read: " in line
    assert remedy in line


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits", "jpeg"])
def test_the_other_compressions_open(tmp_path: Path, compression: str | None) -> None:
    with Slide(write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression=compression)) as slide:
        assert slide.mpp == pytest.approx((2.0, 2.0))
    assert not READ_COMPRESSIONS & set(COMPRESSIONS)


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (
            RGB,
            STRIPS,
            "in strips, not in tiles, which OpenSlide does not read: convert it, for example with `vips",
        ),
        (RGB, STRIPS | {"compression": "lzma"}, "in strips, not in tiles and compressed by LZMA"),
        (
            RGB[..., 0] > 128,
            {"photometric": "minisblack"},
            "of 1-bit unsigned samples, which OpenSlide does not read: export",
        ),
        (RGB.astype(np.float32), {"compression": "jpegxl"}, "of 32-bit floating-point samples"),
    ],
)
def test_tiffs_of_other_makes(tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], said: str) -> None:
    assert said in refusal(write(tmp_path / "slide.tiff", pixels, **{"photometric": "rgb", **options}))


def test_big_endian_tiffs(tmp_path: Path) -> None:
    paths = tmp_path / "slide.tiff", tmp_path / "big.tiff"
    for path in paths:
        big = path == paths[1]
        tifffile.imwrite(path, RGB, byteorder=">", bigtiff=big, tile=(128, 128), photometric="rgb")
    line = refusal(paths[0])
    assert (
        "big-endian and not BigTIFF, which OpenSlide does not read: convert it, for example with `tiffcp -L "
        in line
    )
    with Slide(paths[1]) as slide:
        assert slide.size == (RGB.shape[1], RGB.shape[0])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.uint32])
def test_numbers_of_other_kinds(tmp_path: Path, kind: type) -> None:
    line = refusal(write(tmp_path / "slide.tiff", RGB.astype(kind), photometric="rgb"))
    assert "convert it to 8 bits per channel" in line


def element(number: int, kind: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if kind == b"OB" else struct.pack("<H", len(value))
    return struct.pack("<HH", 2, number) + kind + length + value


def dicom(path: Path, syntax: str, sop_class: str = WHOLE_SLIDE) -> Path:
    elements = [
        element(0x0001, b"OB", b"\0\1"),
        element(0x0002, b"UI", sop_class.encode()),
        element(0x0003, b"UI", b"1.2.3"),
        element(0x0010, b"UI", syntax.encode()),
        element(0x0012, b"UI", b"1.2.4"),
    ]
    group = b"".join(elements)
    length = element(0x0000, b"UL", struct.pack("<I", len(group)))
    path.write_bytes(bytes(128) + b"DICM" + length + group + struct.pack("<HH2sH", 8, 5, b"CS", 0))
    return path


@pytest.mark.parametrize(
    ("sop_class", "said"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "is a segmentation (SEG): name a file of the slide"),
        ("1.2.840.10008.5.1.4.1.1.91.1", "is annotations (ANN): name a file of the slide"),
        ("1.2.840.10008.5.1.4.1.1.88.34", "is a structured report (SR): name a file of the slide"),
        ("1.2.840.10008.5.1.4.1.1.2", "is not a whole slide image: name a file"),
    ],
)
def test_what_lies_beside_dicom_slides(tmp_path: Path, sop_class: str, said: str) -> None:
    assert said in refusal(dicom(tmp_path / "beside.dcm", "1.2.840.10008.1.2.1", sop_class))


def test_damage_is_still_called_damage(tmp_path: Path) -> None:
    cut = write(tmp_path / "cut.tiff", RGB, photometric="rgb", compression=None)
    cut.write_bytes(cut.read_bytes()[:100])
    for path in (dicom(tmp_path / "slide.dcm", "1.2.840.10008.1.2.1"), cut):
        with pytest.raises(SlideError, match="damaged"):
            Slide(path)


def test_the_header_of_a_real_file(shared_data: Path) -> None:
    for path in (shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"):
        header = read_dicom_header(path)
        assert header is not None
        assert (header.sop_class, header.transfer_syntax) == (WHOLE_SLIDE, "1.2.840.10008.1.2.4.50")
    assert read_dicom_header(shared_data / "slides" / "broken.svs") is None
