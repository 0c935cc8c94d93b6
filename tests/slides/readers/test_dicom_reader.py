"""DICOM slides that OpenSlide refuses, read by wsidicom: every compression, sparse, in parts, damaged."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from helpers.dicom_slides import (
    ENCODERS,
    HTJ2K,
    J2K,
    JPEG,
    JPEG_LS,
    JPEG_XL,
    LOSSLESS_JPEG,
    NATIVE,
    RLE,
    Written,
    lossless_jpeg,
    rle,
    unmarked,
    write_level,
    write_parts,
)
from helpers.drawn_tiffs import GREY, HEIGHT, RGB, WIDTH
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import convert_color_space

from wsi_seg.errors import SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.dicom_reader import DicomReader, join_items
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide

ALL = Rect(0, 0, HEIGHT, WIDTH)
TILE = Rect(128, 128, 256, 256)
YBR = np.array(Image.fromarray(RGB).convert("YCbCr"))
LABEL = RGB[:100, :90]
LOSSY_J2K, HTJ2K_BY_RESOLUTION = "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.202"


def code_stream(tile: NDArray[np.uint8], transformed: bool) -> bytes:
    """Encode a tile as JPEG 2000, with or without the transformation that is meant for RGB."""
    return bytes(
        imagecodecs.jpeg2k_encode(tile, level=0, reversible=True, codecformat="J2K", mct=transformed)
    )


def read(path: Path, kind: type = DicomReader) -> np.ndarray:
    reader = open_reader(path)
    assert type(reader) is kind
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert unreadable == []
    return rgba


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS_JPEG, JPEG_LS, HTJ2K, JPEG_XL])
def test_pixels_are_those_of_the_file(tmp_path: Path, syntax: str) -> None:
    rgba = read(write_level(tmp_path / "slide.dcm", RGB, how=Written(syntax)))
    np.testing.assert_array_equal(rgba[..., :3], RGB)
    assert (rgba[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (RLE, rle),
        (LOSSLESS_JPEG, lambda tile: unmarked(lossless_jpeg(tile))),
        (JPEG_LS, ENCODERS[JPEG_LS]),
        (NATIVE, ENCODERS[NATIVE]),
        (J2K, lambda tile: code_stream(tile, transformed=False)),
        (LOSSY_J2K, lambda tile: code_stream(tile, transformed=False)),
        (HTJ2K, lambda tile: bytes(imagecodecs.htj2k_encode(tile, reversible=True, rgb=False))),
    ],
)
def test_samples_declared_ybr_are_made_rgb(
    tmp_path: Path, syntax: str, encode: Callable[[NDArray[np.uint8]], bytes]
) -> None:
    how = Written(syntax, photometric="YBR_FULL", encode=encode)
    rgb = read(write_level(tmp_path / "slide.dcm", YBR, how=how))[..., :3]
    reference = np.array(Image.frombytes("YCbCr", (WIDTH, HEIGHT), YBR.tobytes()).convert("RGB"))
    assert np.abs(rgb.astype(int) - reference).max() <= 1
    np.testing.assert_array_equal(rgb, convert_color_space(YBR, "YBR_FULL", "RGB"))


@pytest.mark.parametrize(
    ("syntax", "photometric", "kind"),
    [
        (J2K, "YBR_RCT", LevelReader),
        (LOSSY_J2K, "YBR_RCT", LevelReader),
        (LOSSY_J2K, "YBR_ICT", LevelReader),
        (J2K, "YBR_ICT", DicomReader),
        (HTJ2K, "YBR_RCT", DicomReader),
        (HTJ2K_BY_RESOLUTION, "YBR_RCT", DicomReader),
        (HTJ2K_BY_RESOLUTION, "RGB", DicomReader),
    ],
)
def test_a_transformation_within_jpeg_2000_is_undone_by_its_decoder(
    tmp_path: Path, syntax: str, photometric: str, kind: type
) -> None:
    encode = ENCODERS[HTJ2K if syntax == HTJ2K_BY_RESOLUTION else J2K if syntax == LOSSY_J2K else syntax]
    how = Written(syntax, photometric=photometric, encode=encode)
    np.testing.assert_array_equal(read(write_level(tmp_path / "a.dcm", RGB, how=how), kind)[..., :3], RGB)


@pytest.mark.parametrize("syntax", [J2K, LOSSY_J2K, HTJ2K])
@pytest.mark.parametrize("transformed", [True, False])
def test_frames_that_contradict_what_is_declared_are_refused(
    tmp_path: Path, syntax: str, transformed: bool
) -> None:
    """YCbCr under the name of a transformation, and the other way round: all decoders show wrong colours."""
    photometric = "YBR_FULL" if transformed else "YBR_RCT"
    how = Written(syntax, photometric=photometric, encode=lambda tile: code_stream(tile, transformed))
    path = write_level(tmp_path / "a.dcm", RGB, how=how)
    states = "a" if transformed else "no"
    with pytest.raises(
        SlideError, match=rf"a\.dcm: declares {photometric}, but its frames state {states} transformation of"
    ):
        open_reader(path)


def test_lossless_jpeg_that_says_it_holds_rgb_does_so_whatever_is_declared(tmp_path: Path) -> None:
    how = Written(LOSSLESS_JPEG, photometric="YBR_FULL")
    np.testing.assert_array_equal(read(write_level(tmp_path / "slide.dcm", RGB, how=how))[..., :3], RGB)


@pytest.mark.parametrize("syntax", [RLE, NATIVE, J2K])
def test_grey_is_grey(tmp_path: Path, syntax: str) -> None:
    rgb = read(write_level(tmp_path / "slide.dcm", GREY, how=Written(syntax, photometric="MONOCHROME2")))
    np.testing.assert_array_equal(rgb[..., :3], np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("how", [Written(table="none"), Written(table="extended"), Written(fragments=3)])
def test_frames_are_found_whatever_says_where_they_lie(tmp_path: Path, how: Written) -> None:
    np.testing.assert_array_equal(read(write_level(tmp_path / "slide.dcm", RGB, how=how))[..., :3], RGB)


def test_tiles_that_the_slide_omits_were_not_recorded(tmp_path: Path) -> None:
    omit = frozenset({(1, 1), (0, 3)})
    rgba = read(write_level(tmp_path / "slide.dcm", RGB, how=Written(omit=omit)))
    recorded = np.ones((HEIGHT, WIDTH), dtype=bool)
    recorded[128:256, 128:256] = recorded[:128, 384:] = False
    np.testing.assert_array_equal(rgba[..., 3], 255 * recorded)
    np.testing.assert_array_equal(rgba[..., :3], RGB * recorded[..., None])


@pytest.mark.parametrize("omit", [None, frozenset({(1, 1)})])
def test_a_level_in_parts_is_one_level(tmp_path: Path, omit: frozenset[tuple[int, int]] | None) -> None:
    paths = write_parts(tmp_path, RGB, 3, Written(omit=omit))
    rgba = read(paths[1])
    expected = RGB.copy()
    if omit is not None:
        expected[TILE.slices] = 0
    np.testing.assert_array_equal(rgba[..., :3], expected)
    for absent in paths:
        content = absent.read_bytes()
        absent.unlink()
        with pytest.raises(SlideError, match="copy all files"):
            open_reader(next(path for path in paths if path.exists()))
        absent.write_bytes(content)


def test_levels_are_in_order_and_label_and_overview_are_none(tmp_path: Path) -> None:
    write_level(tmp_path / "a.dcm", RGB[::2, ::2], 4.0, Written(number=2))
    path = write_level(tmp_path / "b.dcm", RGB, 2.0, Written(number=1))
    for number, flavour in enumerate(("LABEL", "OVERVIEW", "THUMBNAIL"), 3):
        write_level(tmp_path / f"{flavour}.dcm", LABEL, None, Written(flavour=flavour, number=number))
    reader = open_reader(path)
    assert [(level.width, level.scale_x, level.tile_width) for level in reader.levels] == [
        (WIDTH, 1.0, 128),
        (WIDTH // 2, 2.0, 128),
    ]
    np.testing.assert_array_equal(reader.read(1, Rect(0, 0, 150, 210))[0][..., :3], RGB[::2, ::2])
    reader.close()


def test_another_series_in_the_folder_is_another_slide(tmp_path: Path) -> None:
    path = write_level(tmp_path / "a.dcm", RGB)
    other = Written(series="1.2.3.4", number=2)
    write_level(tmp_path / "b.dcm", RGB[:200], how=other)
    with Slide(path) as slide, Slide(tmp_path / "b.dcm") as beside:
        assert (slide.size, beside.size) == ((WIDTH, HEIGHT), (WIDTH, 200))
        assert slide.fingerprint != beside.fingerprint
        assert list(slide.files.stamps) == [path]


@pytest.mark.parametrize(("syntax", "largest"), [(NATIVE, 0), (JPEG, 0), (J2K, 0)])
def test_a_slide_is_the_same_by_either_reader(tmp_path: Path, syntax: str, largest: int) -> None:
    """OpenSlide refuses a slide for its label alone; what it states of the slide is the same."""
    declared = "YBR_FULL_422" if syntax == JPEG else "RGB"
    how = Written(syntax, photometric=declared, omit=frozenset({(1, 1)}))
    path = write_level(tmp_path / "slide.dcm", RGB, 0.467, how)
    with Slide(path) as slide:
        assert type(slide._reader) is LevelReader
        by_openslide = slide._reader.read(0, ALL)[0]
        stated = slide.mpp, slide.objective_power, slide.fingerprint, slide.resolution, slide.format
        write_level(tmp_path / "label.dcm", LABEL, None, Written(RLE, flavour="LABEL", number=2))
        with Slide(path) as same, Slide(tmp_path / "label.dcm") as by_label:
            assert type(same._reader) is DicomReader
            rgba = same._reader.read(0, ALL)[0]
            assert stated == (same.mpp, same.objective_power, same.fingerprint, same.resolution, same.format)
            assert stated[1] == 20
            assert set(same.files.stamps) == set(by_label.files.stamps) == {path, tmp_path / "label.dcm"}
            assert same.levels == slide.levels
            assert same.read_with.endswith("but OpenSlide refuses the slide for the compression of label.dcm")
    assert np.abs(rgba.astype(int) - by_openslide).max() <= largest


def test_a_pixel_has_one_value_in_every_rectangle_thread_and_process(tmp_path: Path) -> None:
    with Slide(write_level(tmp_path / "slide.dcm", RGB)) as slide:
        rects = [Rect(y, x, y + 90, x + 120) for y in (0, 77, 200) for x in (0, 130, 290)] * 4
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda rect: slide._reader.read(0, rect)[0][..., :3], rects)
            for rect, rgb in zip(rects, found, strict=True):
                np.testing.assert_array_equal(rgb, RGB[rect.slices])
        with pickle.loads(pickle.dumps(slide)) as copy:
            np.testing.assert_array_equal(copy._reader.read(0, ALL)[0], slide._reader.read(0, ALL)[0])
        beyond, _ = slide._reader.read(0, Rect(290, 410, 320, 450))
        assert not beyond[10:].any()
        assert not beyond[:, 10:].any()
    with pytest.raises(SlideError, match="closed"):
        slide._reader.read(0, ALL)


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS_JPEG, JPEG_LS, HTJ2K, JPEG_XL])
def test_damage_costs_the_frame_it_is_in(tmp_path: Path, syntax: str) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(syntax))
    reader = open_reader(path)
    assert isinstance(reader, DicomReader)
    part = reader._found[0].parts[0]
    reader.close()
    with path.open("r+b") as file:
        file.seek(int(part.positions[5]))
        file.write(b"\0" * 200)
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert unreadable == [TILE]
    assert not rgba[TILE.slices].any()
    rgba[TILE.slices] = np.dstack([RGB, np.full((HEIGHT, WIDTH), 255)])[TILE.slices]
    np.testing.assert_array_equal(rgba[..., :3], RGB)


@pytest.mark.parametrize(
    ("syntax", "photometric"), [(JPEG, "YBR_FULL_422"), (LOSSLESS_JPEG, "RGB")], ids=["lossy", "lossless"]
)
def test_a_jpeg_that_libjpeg_would_fill_up_is_damaged(tmp_path: Path, syntax: str, photometric: str) -> None:
    """As OpenSlide has it. Half of the frame decodes; an end comes where the rest should be."""
    encode = ENCODERS[syntax]

    def cut(tile: NDArray[np.uint8]) -> bytes:
        jpeg = encode(tile)
        whole = not np.array_equal(tile, RGB[TILE.slices])
        return jpeg if whole else jpeg[: len(jpeg) // 2] + b"\xff\xd9"

    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(syntax, photometric, encode=cut))
    write_level(tmp_path / "label.dcm", LABEL, None, Written(RLE, flavour="LABEL", number=2))
    reader = open_reader(path)
    assert isinstance(reader, DicomReader)
    assert reader.read(0, ALL)[1] == [TILE]
    reader.close()


def test_a_file_that_is_cut_short_costs_its_last_frames(tmp_path: Path) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(table="extended"))
    path.write_bytes(path.read_bytes()[:-3000])
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert Rect(256, 384, HEIGHT, WIDTH) in unreadable
    np.testing.assert_array_equal(rgba[:128, :, :3], RGB[:128])


@pytest.mark.parametrize("data", [b"\xfe\xff\x00\xe0\x09\0\0\0abcdefgh", b"abcdefghijkl", b"\xfe\xff"])
def test_frames_are_whole_items(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error), match=r"items|unpack"):
        join_items(data)


@pytest.mark.parametrize(
    ("how", "facts", "said"),
    [
        (Written(photometric="YBR_ICT"), (), "holds RLE frames of YBR_ICT, which is not read"),
        (Written(JPEG_LS, photometric="YBR_ICT"), (), "holds JPEG-LS frames of YBR_ICT, which is not read"),
        (
            Written(J2K, photometric="YBR_FULL_422"),
            (),
            "holds JPEG 2000 frames of YBR_FULL_422, which is not",
        ),
        (
            Written(NATIVE, photometric="YBR_RCT"),
            (),
            "holds uncompressed frames of YBR_RCT, which is not read",
        ),
        (Written(), (("PlanarConfiguration", 1),), "states colours in planes"),
        (
            Written(),
            (("BitsStored", 7),),
            "holds 7 bits per sample, of which bit 7 is the highest: ",
        ),
        (Written(), (("HighBit", 6),), "holds 8 bits per sample, of which bit 6 is the highest: convert it"),
        (Written(), (("PixelRepresentation", 1),), "holds signed samples: convert it"),
        (Written(), (("TotalPixelMatrixColumns", 900),), "of a kind that wsidicom does not read"),
        (Written(), (("TotalPixelMatrixFocalPlanes", 3), ("NumberOfFrames", 36)), "3 focal planes"),
        (Written(), (("NumberOfFrames", 11),), "of a kind that wsidicom does not read"),
        (Written(omit=frozenset({(0, 0)})), (("TotalPixelMatrixRows", 200),), "outside of the slide"),
    ],
)
def test_what_is_not_read_rightly_is_refused_in_one_line(
    tmp_path: Path, how: Written, facts: tuple[tuple[str, int], ...], said: str
) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(**{**vars(how), "facts": facts}))
    with pytest.raises(SlideError) as caught:
        open_reader(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("column", "said"), [(100, "tiles lie anywhere, not on a grid"), (1, "several frames for one place")]
)
def test_frames_lie_on_a_grid_and_each_in_a_place_of_its_own(tmp_path: Path, column: int, said: str) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(omit=frozenset({(1, 1)})))
    data = dcmread(path)
    second = data.PerFrameFunctionalGroupsSequence[1].PlanePositionSlideSequence[0]
    assert second.ColumnPositionInTotalImagePixelMatrix == 129
    second.ColumnPositionInTotalImagePixelMatrix = column
    data.save_as(path)
    with pytest.raises(SlideError, match=said):
        open_reader(path)


def test_copies_of_a_file_beside_it_count_once(tmp_path: Path) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB)
    copy = tmp_path / "slide (1).dcm"
    copy.write_bytes(path.read_bytes())
    np.testing.assert_array_equal(read(path)[..., :3], RGB)
    copy.write_bytes(path.read_bytes() + b"\0\0")
    with pytest.raises(SlideError, match="one instance by their UID, but differ: remove one"):
        open_reader(path)


def test_two_levels_of_one_size_are_refused(tmp_path: Path) -> None:
    path = write_level(tmp_path / "a.dcm", RGB)
    write_level(tmp_path / "b.dcm", RGB, how=Written(number=2))
    with pytest.raises(SlideError, match="the sizes of its levels contradict each other"):
        open_reader(path)


def test_a_level_that_cannot_be_opened_is_not_left_out(tmp_path: Path) -> None:
    path = write_level(tmp_path / "a.dcm", RGB[::2, ::2], 4.0, Written(number=2))
    finest = write_level(tmp_path / "b.dcm", RGB)
    content = finest.read_bytes()
    finest.write_bytes(content[: content.index(b"\xe0\x7f\x10\0")])
    with pytest.raises(SlideError, match=r"b\.dcm: is part of a DICOM slide"):
        open_reader(path)


def test_what_the_libraries_find_odd_is_no_warning(tmp_path: Path) -> None:
    """Warnings are errors in the tests."""
    path = write_level(tmp_path / "slide.dcm", RGB, how=Written(facts=(("StudyInstanceUID", "1.2.3.44555"),)))
    path.write_bytes(path.read_bytes().replace(b"1.2.3.44555", b"1.2.3.4x555"))
    np.testing.assert_array_equal(read(path)[..., :3], RGB)


def test_the_colour_profile_is_given(tmp_path: Path) -> None:
    path = write_level(tmp_path / "slide.dcm", RGB)
    reader = open_reader(path)
    assert reader.icc_profile is None
    assert reader.how.endswith(": RLE, which OpenSlide does not read")
    reader.close()
