"""TIFFs that OpenSlide refuses, or of which it misses levels, beside the pixels that were written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from conftest import damage_tile, write_tiff
from helpers.drawn_tiffs import GREY, HEIGHT, PLANES, RGB, WIDTH, halves, write, write_pyramid
from helpers.tiff_pages import page_of

from wsi_seg.errors import SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers import tiff_reader
from wsi_seg.slides.readers.piece_cache import PieceCache
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.readers.tiff_reader import TiffReader
from wsi_seg.slides.slide import Slide

ALL = Rect(0, 0, HEIGHT, WIDTH)
STRIPS: dict[str, Any] = {"tile": "leave", "rowsperstrip": 16}


def read(path: Path, rect: Rect = ALL, level: int = 0) -> np.ndarray:
    """Read by tifffile, and say so."""
    reader = open_reader(path)
    assert isinstance(reader, TiffReader)
    rgba, unreadable = reader.read(level, rect)
    reader.close()
    assert unreadable == []
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


@pytest.mark.parametrize(
    ("compression", "off"),
    [
        ({"compression": "webp", "compressionargs": {"lossless": True, "level": 100}}, 0),
        ({"compression": "jpeg2000", "compressionargs": {"reversible": True, "level": 0}}, 0),
        ({"compression": "aperio_jp2000_rgb", "compressionargs": {"reversible": True, "level": 0}}, 0),
        ({"compression": "jpegxl"}, 0),
        ({"compression": "jpegxl_dng"}, 0),
        ({"compression": "jpegxr", "compressionargs": {"level": 100}}, 3),
        ({"compression": "png"}, 0),
        ({"compression": "lerc"}, 0),
        ({"compression": "lerc", "compressionargs": {"compression": "zstd"}}, 0),
        ({"compression": "lzma"}, 0),
        ({"compression": "lzma", "predictor": True}, 0),
    ],
)
def test_compressions_that_openslide_refuses(tmp_path: Path, compression: dict[str, Any], off: int) -> None:
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", **compression)
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(path)
    found = read(path)
    assert np.abs(found.astype(int) - RGB).max() <= off
    with Slide(path) as slide:
        assert slide.mpp == pytest.approx((2.0, 2.0))
        assert slide.read_with.endswith("RGB, 8 bits; OpenSlide does not read it")


def to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Convert as ITU-T T.871 (JFIF) says."""
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    ycbcr = np.dstack([y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402])
    return np.asarray(np.rint(ycbcr), np.uint8)


def write_ycbcr(path: Path, photometric: str, compression: int, description: str = "") -> Path:
    """Write JPEG 2000 whose samples are YCbCr, lossless, without a colour transform of its own."""
    padded = np.pad(to_ycbcr(RGB), ((0, -HEIGHT % 128), (0, -WIDTH % 128), (0, 0)))
    tiles = (padded[y : y + 128, x : x + 128] for y in range(0, HEIGHT, 128) for x in range(0, WIDTH, 128))
    coded: Any = (  # which tifffile takes as they are
        imagecodecs.jpeg2k_encode(t, level=0, reversible=True, codecformat="j2k", mct=False) for t in tiles
    )
    options: dict[str, Any] = {"subsampling": (1, 1)} if photometric == "ycbcr" else {}
    options |= {"photometric": photometric, "compression": compression, "description": description}
    shape: dict[str, Any] = {"shape": RGB.shape, "dtype": np.uint8, "tile": (128, 128)}
    tifffile.imwrite(path, coded, metadata=None, **shape, **options)
    return path


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_2000_of_aperios_number_is_ycbcr_as_openslide_has_it(tmp_path: Path, photometric: str) -> None:
    words = "Aperio Image Library v11.2.1 \r\n420x300 (128x128) J2K/YUV16 Q=30|AppMag = 20|MPP = 0.5"
    with openslide.OpenSlide(write_ycbcr(tmp_path / "slide.svs", photometric, 33003, words)) as slide:
        theirs = np.asarray(slide.read_region((0, 0), 0, (WIDTH, HEIGHT)))[..., :3]
    ours = read(write_ycbcr(tmp_path / "slide.tiff", photometric, 33003))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.abs(ours.astype(int) - RGB).max() <= 1


def test_jpeg_2000_declared_ycbcr_is_refused_where_it_is_not_clear_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"its colours are .* neither RGB nor grey: export it as RGB"):
        open_reader(write_ycbcr(tmp_path / "slide.tiff", "ycbcr", 34712))


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits", "jpeg"])
def test_the_other_compressions_are_openslides(tmp_path: Path, compression: str | None) -> None:
    with Slide(write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression=compression)) as slide:
        assert slide.read_with.startswith("OpenSlide ")
        assert ", which opens the file" in slide.read_with


@pytest.mark.parametrize("pixels", [RGB, PLANES], ids=["interleaved", "planes"])
@pytest.mark.parametrize("layout", [{}, STRIPS | {"tile": None}], ids=["tiles", "strips"])
def test_levels_in_subifds(tmp_path: Path, pixels: np.ndarray, layout: dict[str, Any]) -> None:
    path = write_pyramid(tmp_path / "slide.ome.tiff", pixels, **layout)
    with Slide(path) as slide:
        assert [(level.width, level.height, level.scale_x) for level in slide.levels] == [
            (WIDTH, HEIGHT, 1.0),
            (WIDTH // 2, HEIGHT // 2, 2.0),
            (WIDTH // 4, HEIGHT // 4, 4.0),
        ]
        assert slide.mpp == pytest.approx((2.0, 2.0))
        assert slide.resolution.source == "its OME-XML"
    for level, expected in enumerate(halves(RGB, 3)):
        np.testing.assert_array_equal(read(path, Rect(0, 0, *expected.shape[:2]), level), expected)


def test_channels_that_ome_xml_counts_and_does_not_place(tmp_path: Path) -> None:
    """As the well-known recipe for vips writes them: one page a channel, and no TiffData."""
    path = tmp_path / "slide.ome.tiff"
    counts = {"X": WIDTH, "Y": HEIGHT, "C": 3, "Z": 1, "T": 1}
    sizes = " ".join(f'Size{axis}="{count}"' for axis, count in counts.items())
    um = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5"'
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {sizes} {um}></Pixels>'
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    text = f'<?xml version="1.0"?><OME xmlns="{schema}"><Image ID="Image:0">{pixels}</Image></OME>'
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for plane in PLANES:
            options: dict[str, Any] = {"tile": (128, 128), "photometric": "minisblack", "metadata": None}
            tiff.write(plane, subifds=1, description=text, **options)
            tiff.write(plane[::2, ::2], subfiletype=1, **options)
    np.testing.assert_array_equal(read(path), RGB)
    with Slide(path) as slide:
        assert slide.mpp == (0.5, 0.5)
        assert [level.scale_x for level in slide.levels] == [1.0, 2.0]


def test_level_0_is_the_same_as_openslides(tmp_path: Path) -> None:
    """Of a file that OpenSlide opens, and of which it misses levels."""
    options: dict[str, Any] = {"compression": "jpeg", "photometric": "ycbcr"}
    for name, subsampling in (("full", (1, 1)), ("half", (2, 2))):
        path = write_pyramid(tmp_path / f"{name}.ome.tiff", RGB, subsampling=subsampling, **options)
        with openslide.OpenSlide(path) as slide:
            assert slide.level_count == 1
            theirs = np.asarray(slide.read_region((0, 0), 0, (WIDTH, HEIGHT)))[..., :3]
        assert np.abs(read(path).astype(int) - theirs).max() <= 1


def test_jpeg_that_holds_rgb(tmp_path: Path) -> None:
    options: dict[str, Any] = {"compression": "jpeg", "compressionargs": {"level": 95}}
    path = write_pyramid(tmp_path / "slide.ome.tiff", RGB, **options)
    with openslide.OpenSlide(path) as slide:
        theirs = np.asarray(slide.read_region((0, 0), 0, (WIDTH, HEIGHT)))[..., :3]
    assert np.abs(read(path).astype(int) - theirs).max() <= 1


def test_levels_on_pages_that_are_not_marked_as_reduced(tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    with tifffile.TiffWriter(path) as tiff:
        for level in halves(RGB, 3):
            tiff.write(level, tile=(128, 128), photometric="rgb", compression="deflate", metadata=None)
    with Slide(path, mpp=0.5) as slide:
        assert [level.scale_x for level in slide.levels] == [1.0, 2.0, 4.0]
        assert "OpenSlide finds 1 of its 3 levels" in slide.read_with


@pytest.mark.parametrize("in_planes", [False, True], ids=["interleaved", "planes"])
def test_levels_of_ome_tiff_on_pages_that_its_xml_does_not_describe(tmp_path: Path, in_planes: bool) -> None:
    path = tmp_path / "slide.ome.tiff"
    options: dict[str, Any] = {"tile": (128, 128), "compression": "deflate", "metadata": None}
    levels = halves(RGB, 3)
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for index, level in enumerate([*levels, levels[2][:100, :100]]):  # what is no level ends them
            description = ome_of_one(in_planes) if index == 0 else None
            pages = [(level, "rgb")] if not in_planes else [(level[..., c], "minisblack") for c in range(3)]
            for place, (page, photometric) in enumerate(pages):
                text = description if place == 0 else None
                tiff.write(page, photometric=photometric, description=text, **options)
    with Slide(path) as slide:
        assert slide.mpp == (0.5, 0.5)
        assert [level.scale_x for level in slide.levels] == [1.0, 2.0, 4.0]
    for number, level in enumerate(levels):
        np.testing.assert_array_equal(read(path, Rect(0, 0, *level.shape[:2]), number), level)


def ome_of_one(in_planes: bool) -> str:
    """OME-XML that describes level 0 alone."""
    channels = 3 if in_planes else 1
    channel = f'<Channel ID="Channel:0" SamplesPerPixel="{3 // channels}"/>' * channels
    sizes = f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeC="3" SizeZ="1" SizeT="1"'
    um = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5"'
    data = f'<TiffData IFD="0" PlaneCount="{channels}"/>'
    pixels = (
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {sizes} {um}>{channel}{data}</Pixels>'
    )
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<?xml version="1.0"?><OME xmlns="{schema}"><Image ID="Image:0">{pixels}</Image></OME>'


def test_levels_marked_as_reduced_stay_openslides(tmp_path: Path) -> None:
    with Slide(write_tiff(tmp_path / "slide.tiff", RGB, levels=3)) as slide:
        assert slide.read_with.startswith("OpenSlide")


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("rows", [1, 7, 16, HEIGHT], ids=lambda rows: f"strips of {rows}")
def test_strips(tmp_path: Path, compression: str | None, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsi_seg.slides.readers.segments.CUT_BYTES", 40 * WIDTH * 3)
    options: dict[str, Any] = {"rowsperstrip": rows, "compression": compression, "photometric": "rgb"}
    path = write(tmp_path / "slide.tiff", RGB, tile="leave", **options)
    np.testing.assert_array_equal(read(path), RGB)
    for rect in (Rect(5, 7, 130, 131), Rect(250, 400, 300, 420)):
        np.testing.assert_array_equal(read(path, rect), RGB[rect.slices])


def test_a_strip_that_is_too_large_is_refused_unless_it_is_not_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_reader, "MAX_PIECE_BYTES", 100_000)
    monkeypatch.setattr("wsi_seg.slides.readers.segments.CUT_BYTES", 50_000)
    paths = tmp_path / "packed.tiff", tmp_path / "plain.tiff"
    for path, compression in zip(paths, ("deflate", None), strict=True):
        write(path, RGB, tile="leave", rowsperstrip=HEIGHT, compression=compression, photometric="rgb")
    with pytest.raises(
        SlideError, match=r"packed\.tiff: is stored in strips of 420 x 300 px, .*`vips tiffsave"
    ):
        open_reader(paths[0])
    np.testing.assert_array_equal(read(paths[1]), RGB)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_big_endian_tiffs_in_tiles_and_strips(tmp_path: Path, separate: bool, bits: int) -> None:
    pixels = (PLANES if separate else RGB).astype(f"uint{bits}") * (257 if bits == 16 else 1)
    options: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate" if separate else "contig"}
    for name, layout in (("tiles", {"tile": (128, 128)}), ("strips", {"rowsperstrip": 16})):
        path = tmp_path / f"{name}.tiff"
        tifffile.imwrite(path, pixels, byteorder=">", metadata=None, **layout, **options)
        np.testing.assert_array_equal(read(path), RGB)


def test_grey_strips_of_either_polarity(tmp_path: Path) -> None:
    for photometric, pixels in (("minisblack", GREY), ("miniswhite", 255 - GREY)):
        path = write(tmp_path / f"{photometric}.tiff", pixels, photometric=photometric, **STRIPS)
        np.testing.assert_array_equal(read(path), np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", ["UNASSALPHA", "ASSOCALPHA"])
def test_transparency_is_that_of_openslide(tmp_path: Path, kind: str) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:100], alpha[100:200] = 0, 128
    colours = RGB if kind == "UNASSALPHA" else (RGB.astype(int) * alpha[..., None] // 255).astype(np.uint8)
    options: dict[str, Any] = {"photometric": "rgb", "extrasamples": [kind]}
    pixels = np.dstack([colours, alpha])
    with openslide.OpenSlide(write(tmp_path / "tiles.tiff", pixels, **options)) as slide:
        theirs = np.asarray(slide.read_region((0, 0), 0, (WIDTH, HEIGHT)))
    reader = open_reader(write(tmp_path / "strips.tiff", pixels, **options, **STRIPS))
    ours, _ = reader.read(0, ALL)
    reader.close()
    np.testing.assert_array_equal(ours[..., 3], theirs[..., 3])
    assert np.abs(ours.astype(int) - theirs)[100:].max() <= 1


@pytest.mark.parametrize(("unit", "um"), [("micron", 1.0), ("um", 1.0), ("\\u00B5m", 1.0), ("mm", 1000.0)])
def test_the_resolution_that_imagej_states(tmp_path: Path, unit: str, um: float) -> None:
    path = tmp_path / "slide.tif"
    dots = um / 0.5, um / 0.5
    tifffile.imwrite(path, RGB, imagej=True, resolution=dots, metadata={"unit": unit, "axes": "YXS"})
    with Slide(path) as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5), rel=1e-4)
    np.testing.assert_array_equal(read(path), RGB)


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength", "RowsPerStrip", "TileWidth"])
def test_a_size_of_0_is_damage(tmp_path: Path, tag: str) -> None:
    options = {} if tag == "TileWidth" else STRIPS
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", compression="lzma", **options)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page_of(tiff, 0).tags[tag].overwrite(0)
    with pytest.raises(SlideError, match=r"slide\.tiff: .*damaged"):
        open_reader(path)


def test_damage_in_one_strip_costs_that_strip(tmp_path: Path) -> None:
    path = damage_tile(write(tmp_path / "slide.tiff", RGB, photometric="rgb", **STRIPS), 3)
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert unreadable == [Rect(48, 0, 64, WIDTH)]
    assert not rgba[48:64].any()
    np.testing.assert_array_equal(rgba[64:, :, :3], RGB[64:])


@pytest.mark.parametrize("make", [write_pyramid, write_tiff])
def test_levels_of_a_pixel(tmp_path: Path, make: Callable[..., Path]) -> None:
    with Slide(make(tmp_path / "slide.ome.tiff", RGB, levels=10)) as slide:
        assert (slide.levels[-1].width, slide.levels[-1].height) == (1, 1)
        assert slide.read(Rect(0, 0, 3, 4), slide.frames(200.0)).rgb.shape == (3, 4, 3)
        assert all(agreement.in_order for agreement in slide.agreements[:4])
        if make is write_pyramid:
            assert [level.scale_x for level in slide.levels[:9]] == [2.0**n for n in range(9)]
            assert all(level.scale_x == level.scale_y for level in slide.levels[:9])


def test_pieces_of_all_readers_share_one_cache() -> None:
    cache = PieceCache(limit=700)
    one, other = cache.new_owner(), cache.new_owner()
    made: list[tuple[int, int]] = []

    def piece(owner: int, place: int) -> np.ndarray:
        def decode() -> np.ndarray:
            made.append((owner, place))
            return np.full(40, place, np.uint8)

        kept = cache.get(owner, place, decode)
        assert kept is not None
        return kept

    for owner, place in ((one, 1), (other, 1), (one, 1), (one, 2), (other, 1)):
        assert np.array_equal(piece(owner, place), np.full(40, place))
    assert made == [(one, 1), (other, 1), (one, 2), (other, 1)]
    cache.forget(other)
    piece(other, 1)
    assert made[-1] == (other, 1)


def test_absent_pieces_count_for_their_entries() -> None:
    cache = PieceCache(limit=10_000)
    owner = cache.new_owner()
    for place in range(1000):
        assert cache.get(owner, place, lambda: None) is None
    assert len(cache) < 50


def test_a_jpeg_that_is_cut_is_damaged_though_imagecodecs_fills_it_up(tmp_path: Path) -> None:
    options: dict[str, Any] = {"compression": "jpeg", "compressionargs": {"level": 90}}
    path = write_pyramid(tmp_path / "slide.ome.tiff", RGB, **options)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        place, size = page.dataoffsets[5], page.databytecounts[5]
        tables = page.jpegtables
    content = bytearray(path.read_bytes())
    content[place + size // 3 : place + size] = bytes(size - size // 3)
    decoded = imagecodecs.jpeg8_decode(bytes(content[place : place + size]), tables=tables)
    assert decoded.shape == (128, 128, 3)
    path.write_bytes(content)
    reader = open_reader(path)
    assert isinstance(reader, TiffReader)
    rgba, unreadable = reader.read(0, Rect(0, 0, 300, 420))
    assert unreadable == [Rect(128, 128, 256, 256)]
    assert not rgba[128:256, 128:256].any()
    assert rgba[:128, :, 3].all()
    reader.close()
