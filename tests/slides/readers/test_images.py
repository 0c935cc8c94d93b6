"""Which image of a TIFF is the slide."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import tissue_rgb
from helpers.drawn_tiffs import GREY, HEIGHT, RGB, WIDTH, write_pyramid, write_series

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import remarks_on_levels
from wsi_seg.slides.slide import Slide

LABEL, MACRO = tissue_rgb(700, 500, seed=1), tissue_rgb(200, 500, seed=2)
THUMBNAIL, SECOND = RGB[::6, ::6], tissue_rgb(280, 400, seed=3)


def pixels_of(path: Path, series: int | None = None) -> np.ndarray:
    with Slide(path, series=series) as slide:
        frames = Frames.at_mpp(slide.bounds, slide.mpp, slide.mpp[0])
        return slide.read(Rect(0, 0, slide.size[1], slide.size[0]), frames).rgb


@pytest.mark.parametrize(
    "names", [("Label", "macro image"), ("slide.svs [label]", "Macro"), ("a_thumbnail", "x - overview")]
)
def test_labels_and_overviews_are_not_the_slide(tmp_path: Path, names: tuple[str, str]) -> None:
    images = {names[0]: LABEL, "Tumour label-free": RGB, names[1]: MACRO}
    path = write_series(tmp_path / "slide.ome.tiff", images)
    np.testing.assert_array_equal(pixels_of(path), RGB)
    np.testing.assert_array_equal(pixels_of(path, 1), RGB)
    np.testing.assert_array_equal(pixels_of(path, 0), LABEL)
    np.testing.assert_array_equal(pixels_of(path, 2), MACRO)


def test_the_largest_in_colour_is_the_slide(tmp_path: Path) -> None:
    path = write_series(
        tmp_path / "slide.ome.tiff", {"a": THUMBNAIL, "b": SECOND, "c": RGB, "d": np.tile(GREY, (2, 1))}
    )
    np.testing.assert_array_equal(pixels_of(path), RGB)
    with Slide(path) as slide:
        assert "image 2 'c' (420 x 300) of 4" in slide.read_with


def test_a_small_picture_in_colour_beside_grey_channels_is_not_the_slide(tmp_path: Path) -> None:
    channels = np.stack([np.tile(GREY, (2, 2))] * 4)
    path = write_series(tmp_path / "slide.ome.tiff", {"scan": channels, "picture": RGB[:100, :100]})
    with pytest.raises(SlideError, match="4 grey channels"):
        Slide(path)
    np.testing.assert_array_equal(pixels_of(path, 1), RGB[:100, :100])


def test_a_line_says_which_of_several_likely_images_is_read(tmp_path: Path) -> None:
    path = write_series(tmp_path / "slide.ome.tiff", {"label": LABEL, "a": SECOND, "b": RGB, "c": THUMBNAIL})
    line = f"{path}: image 2 'b' (420 x 300) is read, the largest; --series names another: 1 'a' (400 x 280)"
    with Slide(path) as slide, Slide(path, series=1) as named:
        assert remarks_on_levels(slide) == (line,)
        assert remarks_on_levels(named) == ()


def test_the_first_image_stays_openslides(tmp_path: Path) -> None:
    path = write_series(tmp_path / "slide.ome.tiff", {"slide": RGB, "label": MACRO})
    with Slide(path) as slide:
        assert slide.read_with.startswith("OpenSlide")
        assert remarks_on_levels(slide) == ()


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    path = write_series(tmp_path / "slide.ome.tiff", {"slide": RGB, "label": MACRO})
    with pytest.raises(
        UsageError, match=r"has no image 2: give --series one of 0 'slide' \(420 x 300\), 1 'label'"
    ):
        Slide(path, series=2)


def test_images_are_other_slides(tmp_path: Path) -> None:
    path = write_series(tmp_path / "slide.ome.tiff", {"a": RGB, "b": RGB[:, ::-1]})
    with Slide(path) as one, Slide(path, series=0) as same, Slide(path, series=1) as other:
        assert one.fingerprint == same.fingerprint != other.fingerprint
        with pickle.loads(pickle.dumps(other)) as again:
            assert again.fingerprint == other.fingerprint
            assert again.mpp == (0.5, 0.5)


def test_each_image_has_its_own_resolution(tmp_path: Path) -> None:
    path = tmp_path / "slide.ome.tiff"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for pixels, size, unit in ((MACRO, 20.0, "µm"), (RGB, 250.0, "nm")):
            metadata = {"axes": "YXS"} | {f"PhysicalSize{axis}": size for axis in "XY"}
            metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
            tiff.write(pixels, tile=(128, 128), photometric="rgb", metadata=metadata)
    with Slide(path) as slide:
        assert slide.size == (WIDTH, HEIGHT)
        assert slide.mpp == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("series", [1, 5])
def test_a_scanners_own_format_has_no_other_image(shared_data: Path, series: int) -> None:
    with pytest.raises(UsageError, match=f"is read as one image: leave --series {series} out"):
        Slide(shared_data / "slides" / "test3-DAPI.ndpi", series=series)


def lie(path: Path, said: bytes, instead: bytes) -> Path:
    content = path.read_bytes()
    assert said in content
    assert len(said) == len(instead)
    path.write_bytes(content.replace(said, instead))
    return path


def test_ome_xml_that_lies_about_the_size(tmp_path: Path) -> None:
    """The pages are what is there. The resolution is of another image, and not taken."""
    path = lie(write_pyramid(tmp_path / "slide.ome.tiff", RGB), b'SizeX="420"', b'SizeX="210"')
    with Slide(path) as slide:
        assert slide.size == (WIDTH, HEIGHT)
        assert len(slide.levels) == 3
        with pytest.raises(SlideError, match=r"its OME-XML describes an image of 210 x 300 px"):
            slide.frames(2.0)
    two = write_series(tmp_path / "two.ome.tiff", {"slide": RGB, "small": RGB[:90, :90]})
    with pytest.raises(SlideError, match=r"OME-XML does not describe its largest image, of 420 x 300 px"):
        Slide(lie(two, b'SizeX="420"', b'SizeX="421"'))


IMAGE = (
    '<Image ID="Image:{i}" Name="{name}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" Type="uint8" '
    'SizeX="{width}" SizeY="{height}" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="0.{i}5" '
    'PhysicalSizeY="0.{i}5"><Channel ID="Channel:{i}:0" '
    'SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"><UUID FileName="{file}">{file}</UUID></TiffData>'
    "</Pixels></Image>"
)


def in_files(folder: Path, places: dict[str, np.ndarray]) -> list[Path]:
    """Write images to a file each, with OME-XML of all of them in every file."""
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    paths = [folder / f"{name}.ome.tiff" for name in places]
    for path in paths:
        described = "".join(
            IMAGE.format(i=i, name=name, width=p.shape[1], height=p.shape[0], file=f"{name}.ome.tiff")
            for i, (name, p) in enumerate(places.items())
        )
        text = f'<?xml version="1.0"?><OME xmlns="{schema}" UUID="{path.name}">{described}</OME>'
        pixels = places[path.name.removesuffix(".ome.tiff")]
        with tifffile.TiffWriter(path, ome=False) as tiff:
            tiff.write(pixels, tile=(128, 128), photometric="rgb", description=text, metadata=None)
    return paths


@pytest.mark.parametrize("all_there", [True, False])
def test_of_a_set_of_files_the_image_in_the_named_file_is_read(tmp_path: Path, all_there: bool) -> None:
    one, other = in_files(tmp_path, {"a": RGB, "b": LABEL})
    if not all_there:
        other.unlink()
    with Slide(one) as slide:
        assert slide.size == (WIDTH, HEIGHT)
        assert slide.mpp == (0.05, 0.05)
    if all_there:
        with Slide(other) as slide:
            assert slide.size == (500, 700)
            assert slide.mpp == (0.15, 0.15)
        with pytest.raises(SlideError, match=r"parts of the image lie in other files: export it as one file"):
            Slide(one, series=1)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"SizeX": 10**12, "SizeY": 10**12}, f"{10**12} x {10**12} px in 3 planes"),
        ({"SizeZ": 10**15}, f"420 x 300 px in {3 * 10**15} planes"),
        ({"SizeC": 10**7, "SizeT": 10**7}, f"420 x 300 px in {10**14} planes"),
    ],
)
def test_planes_that_no_file_holds_are_refused_before_memory_is_taken_for_them(
    tmp_path: Path, stated: dict[str, int], said: str
) -> None:
    sizes = {"SizeX": WIDTH, "SizeY": HEIGHT, "SizeC": 3, "SizeZ": 1, "SizeT": 1} | stated
    written = " ".join(f'{name}="{size}"' for name, size in sizes.items())
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        f'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {written}><TiffData IFD="0" PlaneCount="1"/>'
        "</Pixels></Image></OME>"
    )
    path = tmp_path / "slide.ome.tiff"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(128, 128), description=xml, metadata=None)
    with pytest.raises(SlideError, match=f"its OME-XML describes an image of {said}, which the file does"):
        Slide(path)
