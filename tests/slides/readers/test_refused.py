"""Files that are sound, and are refused: what they are is named, and what to do."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.dicom_slides import NATIVE, RLE, Written, write_level
from helpers.drawn_tiffs import RGB, write
from helpers.tiff_pages import page_of

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.dicom import WHOLE_SLIDE, read_dicom_header
from wsi_seg.slides.slide import Slide

CONVERT = "convert it to a tiled TIFF, OME-TIFF or DICOM"
STRIPS: dict[str, Any] = {"tile": "leave", "rowsperstrip": 16}


def refusal(path: Path) -> str:
    with pytest.raises(SlideError) as caught:
        Slide(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert "damaged" not in line
    return line


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (RGB[..., 0] > 128, {"photometric": "minisblack"}, "of 1-bit unsigned samples, which are not read: "),
        (RGB.astype(np.float32), {"compression": "jpegxl"}, "of 32-bit floating-point samples"),
        (RGB.astype(np.float32), STRIPS, "of 32-bit floating-point samples"),
    ],
)
def test_tiffs_of_other_samples(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], said: str
) -> None:
    line = refusal(write(tmp_path / "slide.tiff", pixels, **{"photometric": "rgb", **options}))
    assert f"a sound TIFF, but {said}" in line
    assert "export it again with 8 bits per channel" in line


def test_a_compression_that_nobody_knows(tmp_path: Path) -> None:
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression="lzma")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page_of(tiff, 0).tags["Compression"].overwrite(34999)
    assert "a sound TIFF, but compressed by scheme 34999, which is not read: export it" in refusal(path)


def test_a_codec_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression="webp")
    monkeypatch.setattr("imagecodecs.WEBP.available", False)
    assert "compressed by WebP, and the imagecodecs that is installed lacks its codec: install" in refusal(
        path
    )


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


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("outlines.geojson", b'\xef\xbb\xbf{"type": "FeatureCollection"}', "JSON"),
        ("outlines.json", b'\n[{"type": "Feature"}]', "JSON"),
        ("outlines.xml", b'<?xml version="1.0"?><Annotations/>', "XML"),
        ("outlines.geojson.gz", b"\x1f\x8b\x08", "packed text"),
    ],
)
def test_outlines_in_the_place_of_a_slide_are_called_so(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path).endswith(
        f"is {what}, as outlines are, and no slide: name the slide first, and then its outlines"
    )


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


def test_a_qupath_project_is_no_slide(tmp_path: Path) -> None:
    (tmp_path / "project.qpproj").write_text('{"version": "0.5.1", "images": []}')
    assert "a QuPath project, which lists slides: name one of them" in refusal(tmp_path / "project.qpproj")


@pytest.mark.parametrize(("syntax", "colours"), [(NATIVE, "RGB"), (NATIVE, "MONOCHROME2"), (RLE, "RGB")])
def test_dicom_of_16_bits_by_either_reader(tmp_path: Path, syntax: str, colours: str) -> None:
    deep = RGB[:256, :256].astype(np.uint16) << 8
    facts = (("BitsAllocated", 16), ("BitsStored", 16), ("HighBit", 15))
    how = Written(syntax, colours, encode=lambda tile: tile.tobytes(), facts=facts)
    path = write_level(tmp_path / "l0.dcm", deep if colours == "RGB" else deep[..., 0], how=how)
    assert refusal(path) == f"{path}: holds 16 bits per sample: convert it to 8 bits per channel"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PlanarConfiguration", 1, "states colours in planes (PlanarConfiguration 1), which are not read: "),
        ("PixelRepresentation", 1, "holds signed samples: convert it"),
        ("HighBit", 6, "of which bit 6 is the highest: convert it"),
    ],
)
def test_dicom_of_other_samples(tmp_path: Path, name: str, value: int, said: str) -> None:
    facts = ((name, value),)
    path = write_level(tmp_path / "l0.dcm", RGB[:256, :256], how=Written(NATIVE, facts=facts))
    assert said in refusal(path)


def test_dicom_whose_other_file_has_16_bits(tmp_path: Path) -> None:
    path = write_level(tmp_path / "l0.dcm", RGB[:256, :256], how=Written(NATIVE))
    facts = (("BitsAllocated", 16), ("BitsStored", 16), ("HighBit", 15))
    how = Written(NATIVE, number=2, encode=lambda tile: tile.tobytes(), facts=facts)
    write_level(tmp_path / "l1.dcm", RGB[:128, :128].astype(np.uint16), 4.0, how)
    assert "a DICOM slide whose file l1.dcm holds 16 bits per sample: convert it" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("slide.zip", b"PK\3\4", "is a ZIP archive: unpack it, and name the slide in it"),
        ("slide.svs.gz", b"\x1f\x8b\x08", "is packed by gzip: unpack it, and name the slide in it"),
        ("slide.mrxs", b"\xff\xd8\xff", "its folder slide is missing beside it: copy that, too"),
        ("slide.isyntax", b"<xml>", f"Philips iSyntax is not read: {CONVERT}"),
    ],
)
def test_what_no_slide_is_by_itself(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content + bytes(100))
    assert refusal(path) == f"{path}: {said}"


def test_the_small_picture_in_another_makes_file_is_not_the_slide(tmp_path: Path) -> None:
    """A VSI file is a TIFF; the slide itself lies in files beside it."""
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", **STRIPS).rename(tmp_path / "slide.VSI")
    assert refusal(path) == f"{path}: Olympus VSI is not read: {CONVERT}"
