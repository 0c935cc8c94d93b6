"""OME-Zarr images as slides: the same pixels whatever the store's make, and one line where there are none."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.zarrs import CHUNK, HEIGHT, RGB, WIDTH, attributes, write_attributes, write_zarr
from numcodecs import Delta

from wsi_seg.errors import MppError, SlideError, UsageError
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.opening import open_reader
from wsi_seg.slides.readers.zarr_reader import ZarrReader
from wsi_seg.slides.slide import Slide

ALL = Rect(0, 0, HEIGHT, WIDTH)
GREY = np.repeat(RGB[..., 1:2], 3, axis=2)


def pixels(path: Path, rect: Rect = ALL, level: int = 0) -> np.ndarray:
    reader = open_reader(path)
    rgba, unreadable = reader.read(level, rect)
    reader.close()
    assert unreadable == []
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "yxc", "tczyx", "yx"])
def test_pixels_are_those_that_were_written(tmp_path: Path, axes: str, ngff: str) -> None:
    rgb = RGB[..., 1:2] if axes == "yx" else RGB
    path = write_zarr(tmp_path / "s.ome.zarr", rgb, axes=axes, ngff=ngff)
    np.testing.assert_array_equal(pixels(path), GREY if axes == "yx" else RGB)
    with Slide(path) as slide:
        assert (slide.format, slide.size, slide.mpp) == ("ome-zarr", (WIDTH, HEIGHT), (2.0, 2.0))


@pytest.mark.parametrize(
    "options",
    [
        {"shard": True},
        {"chunks": (3, 100, 70)},
        {"chunks": (2, 300, 1000)},
        {"compressors": None},
        {"compressors": zarr.codecs.GzipCodec()},
        {"compressors": zarr.codecs.BloscCodec()},
        {
            "ngff": "0.4",
            "compressors": {"id": "zlib", "level": 1},
            "filters": [Delta(dtype="u1")],
        },
        {"ngff": "0.4", "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"order": "F", "ngff": "0.4"},
    ],
    ids=str,
)
def test_however_its_chunks_are_stored(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "s.zarr", **options)
    for rect in (ALL, Rect(5, 7, 130, 131), Rect(127, 255, 129, 257), Rect(250, 400, 300, 420)):
        np.testing.assert_array_equal(pixels(path, rect), RGB[rect.slices])


def test_threads_and_copies_read_the_same(tmp_path: Path) -> None:
    with Slide(write_zarr(tmp_path / "s.zarr", shard=True)) as slide:
        frames = slide.frames(2.0)
        rects = [Rect(y, x, y + 90, x + 120) for y in (0, 77, 200) for x in (0, 130, 290)] * 3
        with ThreadPoolExecutor(4) as pool, pickle.loads(pickle.dumps(slide)) as copy:
            for rect, read in zip(rects, pool.map(lambda r: copy.read(r, frames).rgb, rects), strict=True):
                np.testing.assert_array_equal(read, RGB[rect.slices])


def test_beyond_the_slide_there_is_nothing(tmp_path: Path) -> None:
    reader = open_reader(write_zarr(tmp_path / "s.zarr"))
    rgba, _ = reader.read(0, Rect(290, 410, 320, 450))
    np.testing.assert_array_equal(rgba[:10, :10, :3], RGB[290:, 410:])
    assert not rgba[10:].any()
    assert not rgba[:, 10:].any()


def damaged(path: Path, key: str) -> Path:
    file = path / "0" / key
    file.write_bytes(b"\x5a" * file.stat().st_size)
    return path


@pytest.mark.parametrize(
    ("make", "key", "lost"),
    [
        ({}, "c/1/1/2", Rect(128, 256, 256, 384)),
        ({"ngff": "0.4"}, "2.2.3", Rect(256, 384, HEIGHT, WIDTH)),
        ({"shard": True}, "c/0/0/0", Rect(0, 0, 256, 256)),
    ],
)
def test_damage_costs_the_chunk_it_is_in(tmp_path: Path, make: dict[str, Any], key: str, lost: Rect) -> None:
    reader = open_reader(damaged(write_zarr(tmp_path / "s.zarr", **make), key))
    for rect in (ALL, Rect(lost.y0 + 3, lost.x0 + 3, lost.y0 + 20, lost.x0 + 20)):
        rgba, unreadable = reader.read(0, rect)
        area = sum(bad.area for bad in unreadable)
        assert all(bad.intersection(lost) == bad for bad in unreadable)
        assert area == lost.area or rect != ALL
        assert not rgba[lost.intersection(rect).relative_to(rect).slices].any()
    rgba = reader.read(0, ALL)[0]
    rgba[lost.slices] = np.dstack([RGB, np.full((HEIGHT, WIDTH), 255, np.uint8)])[lost.slices]
    np.testing.assert_array_equal(rgba[..., :3], RGB)
    assert (rgba[..., 3] == 255).all()
    assert reader.read(0, Rect(0, 390, 100, 400))[1] == []


@pytest.mark.parametrize("fill", [0, 255])
def test_an_omitted_chunk_has_its_fill_value_and_black_is_not_recorded(tmp_path: Path, fill: int) -> None:
    rgb = RGB.copy()
    rgb[CHUNK : 2 * CHUNK, CHUNK : 2 * CHUNK] = fill
    path = write_zarr(tmp_path / "s.zarr", rgb, fill_value=fill)
    assert not (path / "0/c/0/1/1").exists()
    with Slide(path) as slide:
        read = slide.read(ALL, slide.frames(2.0))
    np.testing.assert_array_equal(read.rgb, rgb)
    assert read.present[CHUNK : 2 * CHUNK, CHUNK : 2 * CHUNK].all() == (fill == 255)
    assert read.present.sum() == ALL.area - (CHUNK**2 if fill == 0 else 0)


@pytest.mark.parametrize("options", [{}, {"ngff": "0.4"}, {"shard": True}, {"fill_value": 255}], ids=str)
def test_a_chunk_that_lacks_the_file_of_one_channel_is_damaged(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    rgb = RGB.copy()
    rgb[:CHUNK, :CHUNK, 0] = 0  # dark, but there
    path = write_zarr(tmp_path / "s.zarr", rgb, config={"write_empty_chunks": True}, **options)
    assert open_reader(path).read(0, ALL)[1] == []
    name = "0/1.0.0" if options.get("ngff") == "0.4" else "0/c/1/0/0"
    (path / name).unlink()
    rgba, unreadable = open_reader(path).read(0, ALL)
    side = 2 * CHUNK if options.get("shard") else CHUNK
    assert sum(tile.area for tile in unreadable) == side**2
    assert not rgba[:side, :side].any()
    assert rgba[side:, side:, 3].all()


def test_a_black_chunk_counts_the_same_whether_it_is_stored_or_omitted(tmp_path: Path) -> None:
    rgb = RGB.copy()
    rgb[:CHUNK, :CHUNK] = 0
    stored = write_zarr(tmp_path / "s.zarr", rgb, config={"write_empty_chunks": True})
    assert (stored / "0/c/0/0/0").exists()
    omitted = write_zarr(tmp_path / "o.zarr", rgb)
    for path in (stored, omitted):
        np.testing.assert_array_equal(open_reader(path).read(0, ALL)[0][..., 3] > 0, rgb.any(axis=2))


def restated(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = attributes(path)
    change(content)
    write_attributes(path, content)
    return path


def levels_of(path: Path) -> list[tuple[int, float]]:
    reader = open_reader(path)
    return [(level.width, level.scale_x) for level in reader.levels]


def test_levels_have_the_scale_that_is_stated_and_lie_where_it_is_stated(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", levels=3)
    assert levels_of(path) == [(420, 1.0), (210, 2.0), (105, 4.0)]
    np.testing.assert_array_equal(pixels(path, Rect(0, 0, 75, 105), 2), RGB[::4, ::4])

    def place(shifts: list[float]) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            for dataset, shift in zip(content["multiscales"][0]["datasets"], shifts, strict=True):
                dataset["coordinateTransformations"][1:] = [
                    {"type": "translation", "translation": [0.0, shift, shift]}
                ]

        return change

    centred, cornered, elsewhere = [0.0, 1.0, 3.0], [7.0, 7.0, 7.0], [0.0, 1.0, 40.0]
    assert len(levels_of(restated(path, place(centred)))) == 3
    assert len(levels_of(restated(path, place(cornered)))) == 3
    assert levels_of(restated(path, place(elsewhere))) == [(420, 1.0), (210, 2.0)]
    assert "1 misplaced level" in open_reader(path).how


def test_a_level_of_another_extent_is_left_out_and_equal_scales_state_nothing(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", levels=2)

    def stating(*scales: float) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            for dataset, scale in zip(content["multiscales"][0]["datasets"], scales, strict=True):
                dataset["coordinateTransformations"] = [{"type": "scale", "scale": [1, scale, scale]}]

        return change

    assert levels_of(restated(path, stating(0.5, 2.0))) == [(420, 1.0)]
    assert levels_of(restated(path, stating(0.5, 0.5))) == [(420, 1.0), (210, 2.0)]


@pytest.mark.parametrize(
    ("mpp", "unit", "found"),
    [(0.5, "micrometer", 0.5), (500, "nanometer", 0.5), (0.0005, "millimeter", 0.5), (5000, "angstrom", 0.5)],
)
def test_any_unit_of_length_is_known(tmp_path: Path, mpp: float, unit: str, found: float) -> None:
    with Slide(write_zarr(tmp_path / "s.zarr", mpp=mpp, unit=unit)) as slide:
        assert slide.mpp == pytest.approx((found, found))


@pytest.mark.parametrize("unit", [None, "pixel"])
def test_without_a_unit_no_resolution_is_stated(tmp_path: Path, unit: str | None) -> None:
    path = write_zarr(tmp_path / "s.zarr", mpp=1, unit=unit)
    with (
        Slide(path) as slide,
        pytest.raises(MppError, match=r"s\.zarr: .*does not state its resolution.*--mpp"),
    ):
        _ = slide.mpp
    with Slide(path, mpp=0.5) as slide:
        assert slide.mpp == (0.5, 0.5)


def test_a_scale_without_a_unit_is_quoted(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", mpp=0.467, unit=None)
    said = r"its scale is 0\.467, without a unit of length: give --mpp 0\.467 if that"
    with Slide(path) as slide, pytest.raises(MppError, match=said):
        _ = slide.mpp


def test_a_scale_of_the_whole_pyramid_counts_too(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["multiscales"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [1, 0.5, 0.25]}]

    with Slide(restated(write_zarr(tmp_path / "s.zarr", levels=2), change)) as slide:
        assert slide.mpp == (0.5, 1.0)
        assert slide.levels[1].scale_x == 2.0


RED, GREEN, BLUE = ({"label": "x", "color": c} for c in ("FF0000", "00FF00", "0000FF"))


@pytest.mark.parametrize(
    ("omero", "order"),
    [
        ({"channels": [{"label": name} for name in ("Blue", "Green", "Red")]}, [2, 1, 0]),
        (
            {
                "channels": [
                    {"label": f"Channel {i}", "color": c}
                    for i, c in enumerate(("00FF00", "FF0000", "0000FF"))
                ]
            },
            [1, 0, 2],
        ),
        ({"channels": [{"label": str(i)} for i in range(3)]}, [0, 1, 2]),
        ({}, [0, 1, 2]),
    ],
)
def test_channels_are_taken_as_they_are_described(
    tmp_path: Path, omero: dict[str, Any], order: list[int]
) -> None:
    path = write_zarr(tmp_path / "s.zarr", omero=omero)
    np.testing.assert_array_equal(pixels(path), RGB[..., order])


@pytest.mark.parametrize("listed", [None, ["1", "0"]])
def in_range(greatest: float | None) -> dict[str, Any]:
    """Return three channels, red, green and blue, that state a range from 0 on."""
    window = {} if greatest is None else {"window": {"min": 0, "max": greatest, "start": 3, "end": 77}}
    return {"channels": [{"label": name, "color": "FFFFFF", **window} for name in ("Red", "Green", "Blue")]}


WIDE = RGB.astype(np.uint16)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("samples", "greatest"), [(WIDE * 257, None), (WIDE * 257, 65535), (WIDE * 16, 4095), (WIDE, 255.0)]
)
def test_samples_of_16_bits_are_read_by_those_that_count(
    tmp_path: Path, samples: np.ndarray, greatest: float | None, ngff: str
) -> None:
    path = write_zarr(tmp_path / "s.zarr", samples, ngff=ngff, omero=in_range(greatest), levels=2)
    np.testing.assert_array_equal(pixels(path), RGB)
    np.testing.assert_array_equal(pixels(path, Rect(0, 0, 150, 210), 1), RGB[::2, ::2])


@pytest.mark.parametrize(
    ("samples", "omero", "said"),
    [
        (WIDE * 16, in_range(None), "holds 16 bits per sample, uses 12 of them, and does not state how many"),
        (WIDE * 16, in_range(65535), "uses 12 of them, and does not state how many count: state their range"),
        (WIDE * 16, in_range(4080), "uses 12 of them, and does not state how many count"),
        (WIDE * 16, in_range(16383), "states 14 significant bits in 16, but uses only 12"),
        (WIDE * 257, in_range(4095), "states 12 significant bits in 16, but holds the value 6"),
        (WIDE * 257, None, "holds 3 channels, and does not state that they are red, green and blue"),
    ],
)
def test_samples_of_16_bits_are_refused_where_it_is_not_clear_how_many_count(
    tmp_path: Path, samples: np.ndarray, omero: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(SlideError, match=said):
        open_reader(write_zarr(tmp_path / "s.zarr", samples, omero=omero))


def test_a_sample_outside_of_the_stated_range_damages_its_chunk(tmp_path: Path) -> None:
    samples = WIDE * 16
    path = write_zarr(tmp_path / "s.zarr", samples, omero=in_range(4095), levels=2)
    array = zarr.open_array(path / "0", mode="r+")
    array[0, 3, 5] = 4096
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert unreadable == [Rect(0, 0, CHUNK, CHUNK)]
    np.testing.assert_array_equal(rgba[:CHUNK, CHUNK:, :3], RGB[:CHUNK, CHUNK:])


def test_the_largest_image_of_a_converted_file_is_read_or_the_one_named(
    tmp_path: Path, listed: list[str] | None
) -> None:
    root = tmp_path / "s.zarr"
    write_attributes(root, {"bioformats2raw.layout": 3}, "0.4")
    write_zarr(root / "0", ngff="0.4", axes="tczyx")
    write_zarr(root / "1", RGB[:50, :60], ngff="0.4", axes="tczyx")
    if listed is None:
        (root / "OME").mkdir()
    else:
        write_attributes(root / "OME", {"series": listed}, "0.4")
    np.testing.assert_array_equal(pixels(root), RGB)
    small = 1 if listed is None else 0
    with Slide(root, 2.0, None, small) as slide, Slide(root) as largest:
        assert f"image {small} of 2" in slide.read_with
        assert slide.fingerprint != largest.fingerprint
        read = slide.read(Rect(0, 0, 50, 60), slide.frames(2.0))
    np.testing.assert_array_equal(read.rgb, RGB[:50, :60])
    with pytest.raises(UsageError, match=r"s\.zarr: has no image 2: give --series 0 to 1"):
        ZarrReader(root, 2)


def stack(path: Path) -> None:
    deep = np.repeat(RGB[None, None].transpose(0, 4, 1, 2, 3), 2, axis=2)
    zarr.create_array(path / "0", data=deep, overwrite=True)


def other_type(kind: str) -> Callable[[Path], object]:
    return lambda path: zarr.create_array(path / "0", shape=(3, 64, 64), dtype=kind, overwrite=True)


def change_array(path: Path, **values: object) -> None:
    file = path / "0" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_image(path: Path, **values: object) -> None:
    restated(path, lambda content: content["multiscales"][0].update(values))


FLUORESCENCE = {"channels": [{"label": name} for name in ("DAPI", "FITC", "Cy3")]}

REFUSED: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "stack": ({"axes": "tczyx"}, stack, "is a stack of 2 along z: export one plane"),
    "32 bits": ({}, other_type("uint32"), "its samples are uint32, not uint8 or uint16"),
    "floats": ({}, other_type("float32"), "its samples are float32, not uint8 or uint16"),
    "fluorescence": ({"omero": FLUORESCENCE}, str, "3 channels (DAPI, FITC, Cy3), and does not state that"),
    "four channels": (
        {},
        lambda p: zarr.create_array(p / "0", data=np.zeros((4, 9, 9), "u1"), overwrite=True),
        "holds 4 channels, and does not state",
    ),
    "no pixels": (
        {},
        lambda p: zarr.create_array(p / "0", shape=(3, 0, 9), dtype="u1", overwrite=True),
        "holds no pixels",
    ),
    "tiny chunks": (
        {},
        lambda p: zarr.create_array(
            p / "0", shape=(3, 2000, 2000), chunks=(3, 1, 1), dtype="u1", overwrite=True
        ),
        "its chunks of 1 pixels are too small",
    ),
    "huge chunks": (
        {},
        lambda p: zarr.create_array(
            p / "0", shape=(3, 99, 99), chunks=(3, 1 << 15, 1 << 15), dtype="u1", overwrite=True
        ),
        "too large to be read",
    ),
    "fewer axes": (
        {},
        lambda p: change_image(p, axes=[{"name": a} for a in "yx"]),
        "a scale of 3 numbers for 2",
    ),
    "other axes": ({}, lambda p: change_image(p, axes=[{"name": a} for a in "abc"]), "x and y are needed"),
    "old axes": ({}, lambda p: change_image(p, axes=list("cyx")), "those of an OME-Zarr before 0.4"),
    "no levels": ({}, lambda p: change_image(p, datasets=[]), "damaged or incomplete (0 levels)"),
    "no datasets": (
        {},
        lambda p: restated(p, lambda c: c["multiscales"][0].pop("datasets")),
        "'datasets' is missing",
    ),
    "no multiscales": ({}, lambda p: write_attributes(p, {}), "no OME-Zarr image (it has no multiscales)"),
    "plate": ({}, lambda p: write_attributes(p, {"plate": {}}), "is an OME-Zarr plate of several images"),
    "label": (
        {},
        lambda p: restated(p, lambda c: c.update({"image-label": {}})),
        "is a label image, not a slide",
    ),
    "another version": (
        {},
        lambda p: write_attributes(p, attributes(p), "0.6"),
        "is OME-Zarr 0.6, which is not",
    ),
    "path outside": (
        {},
        lambda p: change_image(p, datasets=[{"path": "../x"}]),
        "points to '../x', outside of it",
    ),
    "negative scale": (
        {},
        lambda p: change_image(p, coordinateTransformations=[{"type": "scale", "scale": [1, -1, 1]}]),
        "a scale that is not positive",
    ),
    "array missing": ({}, lambda p: shutil.rmtree(p / "0"), "holds no Zarr metadata"),
    "metadata cut": ({}, lambda p: (p / "zarr.json").write_text('{"attri'), "zarr.json: is no JSON"),
    "metadata gone": ({}, lambda p: (p / "zarr.json").unlink(), "holds no Zarr metadata"),
    "array damaged": ({}, lambda p: change_array(p, shape="many"), "its metadata is damaged"),
    "unknown codec": (
        {},
        lambda p: change_array(p, codecs=[{"name": "bytes"}, {"name": "numcodecs.jpeg"}]),
        "is stored with numcodecs.jpeg, which is not read",
    ),
    "levels that grow": (
        {"levels": 2},
        lambda p: restated(p, lambda c: c["multiscales"][0]["datasets"].reverse()),
        "sizes of its levels contradict",
    ),
}


@pytest.mark.parametrize(("make", "spoil", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_image_that_can_be_read_is_refused_by_name(
    tmp_path: Path, make: dict[str, Any], spoil: Callable[[Path], object], said: str
) -> None:
    path = write_zarr(tmp_path / "s.zarr", **make)
    spoil(path)
    with pytest.raises(SlideError) as caught:
        open_reader(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stated", [{"dtype": "|O"}, {"filters": [{"id": "pickle"}]}, {"compressor": {"id": "pickle"}}]
)
def test_nothing_is_opened_whose_chunks_would_be_unpickled(tmp_path: Path, stated: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4", compressors=None)
    file = path / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | stated))
    with pytest.raises(SlideError, match=r"s\.zarr/0: (its samples are \|O|is stored with pickle)"):
        open_reader(path)


@pytest.mark.parametrize("inside", ["slide.ome.zarr", "slide.ome.zarr/labels/tissue"])
def test_results_of_our_own_are_refused_as_what_they_are(tmp_path: Path, inside: str) -> None:
    root = write_zarr(tmp_path / "slide.ome.zarr")
    write_attributes(root / "labels" / "tissue", {"multiscales": []})
    file = root / "labels" / "tissue" / "zarr.json"
    stated = json.loads(file.read_text())
    stated["attributes"]["wsi_seg"] = {}
    file.write_text(json.dumps(stated))
    with pytest.raises(SlideError, match="is a result of wsi-seg, not a slide: name the slide"):
        open_reader(tmp_path / inside)


def test_packed_zarrs_and_single_arrays_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "s.zarr.zip").write_bytes(b"PK")
    with pytest.raises(SlideError, match=r"s\.zarr\.zip: is a packed Zarr: unpack it"):
        open_reader(tmp_path / "s.zarr.zip")
    with pytest.raises(SlideError, match="is a Zarr array, not an OME-Zarr image: name the folder"):
        open_reader(write_zarr(tmp_path / "s.zarr") / "0")


def test_levels_may_be_of_one_pixel(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", RGB[:2, :3], levels=3)
    with Slide(path) as slide:
        assert [(level.width, level.height) for level in slide.levels] == [(3, 2), (2, 1), (1, 1)]
        frames = Frames.at_mpp(slide.bounds, slide.mpp, 2.0)
        np.testing.assert_array_equal(slide.read(Rect(0, 0, 2, 3), frames).rgb, RGB[:2, :3])


def test_an_absurd_size_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4")
    stated = json.loads((path / "0/.zarray").read_text())
    (path / "0/.zarray").write_text(json.dumps({**stated, "shape": [3, 10**9, 10**9]}))
    with pytest.raises(
        SlideError, match=r"absurd size of 1000000000 x 1000000000: damaged: copy or export it again"
    ):
        Slide(path)


def test_chunks_of_no_pixel_are_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4")
    stated = json.loads((path / "0/.zarray").read_text())
    (path / "0/.zarray").write_text(json.dumps({**stated, "chunks": [0, 0, 0]}))
    with pytest.raises(SlideError, match=r"s\.zarr/0: .*: copy or export it again"):
        Slide(path)
