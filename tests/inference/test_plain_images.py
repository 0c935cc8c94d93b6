"""Plain images: read right, resized as the weights expect, enlarged as logits, written whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from wsi_seg.errors import OutputError, SlideError
from wsi_seg.inference import plain_images as images
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.plain_images import label_image, overlaid, predict_image, resize_like_opencv
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import ModelBundle
from wsi_seg.models.classes import ClassSchema, TissueClass, load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.upstream import import_checkpoint
from wsi_seg.slides import picture
from wsi_seg.slides.picture import read_rgb

CPU = torch.device("cpu")
IDS = (3, 0, 200)
SCHEMA = ClassSchema(
    name="three",
    classes=tuple(TissueClass(id=i, name=f"class {i}", color=(i, 100, 255 - i)) for i in IDS),
    background="class 0",
)
RGB = np.random.default_rng(5).integers(0, 256, (21, 30, 3), dtype=np.uint8)


def bundle_of(size: tuple[int, int] | None = None, variant: str = "full") -> ModelBundle:
    torch.manual_seed(2)
    config = ESPNetConfig(3, p=1, q=1, variant=variant)  # type: ignore[arg-type]
    spec = InputSpec(channels="rgb", mean=(128.0,) * 3, std=(64.0,) * 3, size=size)
    header = ModelHeader(name="m", architecture=architecture_of(config), classes=SCHEMA, input=spec)
    return ModelBundle.of(ESPNet(config), header, "0" * 64, Path("m.safetensors"))


def seen_by(bundle: ModelBundle, rgb: np.ndarray) -> torch.Tensor:
    """Logits of an image with sides that are multiples of 8, normalised here by hand."""
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        logits: torch.Tensor = bundle.network((pixels - 128) / 64)
        return logits


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.fromarray(RGB).save(path)
    return path


def refused(path: Path) -> str:
    with pytest.raises(SlideError) as caught:
        read_rgb(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_the_authors_mask_is_reproduced(shared_data: Path, tmp_path: Path) -> None:
    street = shared_data / "cityscapes/leftImg8bit/val/frankfurt/frankfurt_000000_000576_leftImg8bit.png"
    golden = shared_data / "espnet/golden_frankfurt_000000_000576_trainIds_1024x512.png"
    checkpoint = shared_data / "espnet/decoder/espnet_p_2_q_8.pth"
    for path in (street, golden, checkpoint):
        if not path.is_file():
            pytest.skip(f"{path.name} is absent")
    network, header = import_checkpoint(checkpoint, load_schema("cityscapes"))
    result = predict_image(street, ModelBundle.of(network, header, "", checkpoint), tmp_path, CPU)
    with Image.open(result.index_path) as index:
        assert index.size == (2048, 1024)
    assert result.network_index_path.name == "frankfurt_000000_000576_leftImg8bit_index_1024x512.png"
    with Image.open(result.network_index_path) as index, Image.open(golden) as expected:
        assert (index.size, index.mode) == ((1024, 512), "L")
        assert (np.asarray(index) == np.asarray(expected)).mean() > 0.9999
    assert result.shares["road"] > 0.3


@pytest.mark.parametrize("variant", ["C", "full"])
@pytest.mark.parametrize("size", [None, (48, 32)])
def test_files_hold_what_the_network_says(
    image: Path, tmp_path: Path, size: tuple[int, int] | None, variant: str
) -> None:
    bundle = bundle_of(size, variant)
    result = predict_image(image, bundle, tmp_path / "out", CPU)

    if size is None:
        logits = seen_by(bundle, np.pad(RGB, [(0, 3), (0, 2), (0, 0)], mode="reflect"))
    else:
        logits = seen_by(bundle, resize_like_opencv(RGB, size))
    if variant == "C":
        logits = functional.interpolate(logits, scale_factor=8, mode="bilinear")
    on_grid = np.array(IDS, np.uint8)[logits[0].argmax(dim=0).numpy()]
    if size is None:
        logits = logits[:, :, :21, :30]
    else:
        with Image.open(result.network_index_path) as file:
            assert (np.asarray(file) == on_grid).mean() > 0.995
        logits = functional.interpolate(logits, size=(21, 30), mode="bilinear")
    expected = np.array(IDS, np.uint8)[logits[0].argmax(dim=0).numpy()]

    names = [path.name for path in (result.index_path, result.color_path, result.overlay_path)]
    assert names == ["street_index.png", "street_color.png", "street_overlay.png"]
    written = {result.network_index_path.name, *names}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written
    assert len(written) == (3 if size is None else 4)
    with Image.open(result.index_path) as file:
        index = np.asarray(file)
    assert index.dtype == np.uint8
    assert (index == expected).mean() > 0.995
    with Image.open(result.color_path) as file:
        assert file.mode == "RGB"
        assert (np.asarray(file) == np.stack([index, np.full_like(index, 100), 255 - index], axis=2)).all()
    with Image.open(result.overlay_path) as file:
        assert file.size == (30, 21)
    assert list(result.shares) == [c.name for c in SCHEMA.classes]
    assert sum(result.shares.values()) == pytest.approx(1)
    assert result.shares["class 200"] == pytest.approx((index == 200).mean())


def test_halving_averages_and_rounds_up() -> None:
    block = np.array([[[1], [2]], [[2], [1]]], np.uint8).repeat(3, axis=2)
    assert resize_like_opencv(block, (1, 1)).tolist() == [[[2, 2, 2]]]
    quarter = np.zeros((4, 4, 3), np.uint8)
    quarter[1:3, 1:3] = 200
    assert resize_like_opencv(quarter, (1, 1)).tolist() == [[[200] * 3]], "antialiasing would darken it"


def test_background_is_left_clear() -> None:
    labels = np.zeros((21, 30), np.uint8)
    labels[:, 15:] = 200
    overlay = np.asarray(overlaid(RGB, labels, SCHEMA)).astype(int)
    assert (overlay[:, :15] == RGB[:, :15]).all()
    halfway = (RGB[:, 15:] + np.array([200.0, 100.0, 55.0])) / 2
    assert np.abs(overlay[:, 15:] - halfway).max() <= 1


def test_formats_are_read_as_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(RGB)
    grey = np.asarray(picture.convert("L"))
    for suffix in ("png", "tif", "bmp"):
        picture.save(tmp_path / f"rgb.{suffix}")
        assert (read_rgb(tmp_path / f"rgb.{suffix}") == RGB).all()
    picture.convert("L").save(tmp_path / "grey.png")
    assert (read_rgb(tmp_path / "grey.png") == grey[:, :, None]).all()
    palette = picture.quantize(8)
    palette.save(tmp_path / "palette.png")
    assert (read_rgb(tmp_path / "palette.png") == np.asarray(palette.convert("RGB"))).all()
    smooth = Image.new("RGB", (30, 21), (200, 30, 60))
    for mode in ("RGB", "CMYK", "YCbCr"):
        smooth.convert(mode).save(tmp_path / f"{mode}.jpg", quality=100)
        assert np.abs(read_rgb(tmp_path / f"{mode}.jpg").astype(int) - (200, 30, 60)).max() <= 3


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 256 + 77
    tifffile.imwrite(tmp_path / "rgb.tif", deep, photometric="rgb")
    tifffile.imwrite(tmp_path / "grey.tif", deep[:, :, 0])
    Image.fromarray(deep[:, :, 0]).save(tmp_path / "grey.png")
    assert (read_rgb(tmp_path / "rgb.tif") == RGB).all()
    for name in ("grey.tif", "grey.png"):
        assert (read_rgb(tmp_path / name) == RGB[:, :, :1]).all()
    tifffile.imwrite(tmp_path / "float.tif", deep[:, :, 0].astype(np.float32))
    assert "convert it to an 8-bit PNG" in refused(tmp_path / "float.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), (0,) * len(mode)).save(tmp_path / "clear.png")
    assert (read_rgb(tmp_path / "clear.png") == 255).all()


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by a quarter turn, to the left
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert (read_rgb(tmp_path / "turned.png") == np.rot90(RGB, -1)).all()


def test_large_images_are_sent_to_slides(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in (11_000, 20_000):
        path = tmp_path / f"{side}.png"
        Image.new("1", (side, side)).save(path)
        assert "pyramidal TIFF" in refused(path)
    monkeypatch.setattr(picture, "MAX_PIXELS", 629)
    assert "30 x 21 pixels" in refused(image)
    assert "pyramidal TIFF" in refused(image)


def test_what_is_no_image_is_refused(image: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:-600])
    for name in ("text.png", "empty.png", "cut.png", "missing.png", "."):
        refused(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_in_one_line_or_read_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, data: st.DataObject
) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 10**6)
    path = tmp_path / f"damaged.{suffix}"
    Image.fromarray(RGB).save(path, compression="tiff_lzw" if suffix == "tif" else None)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, min(400, len(content) - 1)), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        shape = read_rgb(path).shape
    except SlideError as error:
        refusal = str(error)
        event("refused")
        assert "\n" not in refusal
    else:
        event("read")
        assert shape[2] == 3


def test_a_failed_write_leaves_no_half_file(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        predict_image(image, bundle_of(), tmp_path / "out", CPU)
    assert not list((tmp_path / "out").iterdir())


def test_a_single_pixel_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "pixel.png"
    Image.new("RGB", (1, 1)).save(path)
    assert sum(predict_image(path, bundle_of(), tmp_path, CPU).shares.values()) == 1


@pytest.mark.parametrize("size", [None, (40, 24)])
def test_labels_alone_are_those_of_predicting(
    image: Path, tmp_path: Path, size: tuple[int, int] | None
) -> None:
    bundle = bundle_of(size)
    predicted = Image.open(predict_image(image, bundle, tmp_path, CPU).index_path)
    np.testing.assert_array_equal(label_image(RGB, bundle, Segmenter(bundle, CPU)), np.array(predicted))


def test_very_large_images_are_segmented_patch_by_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS_AT_OWN_SIZE", 100)
    monkeypatch.setattr(images, "PATCH", 128)
    monkeypatch.setattr(images, "HALO", 32)
    rgb = np.random.default_rng(3).integers(0, 256, (70, 150, 3), dtype=np.uint8)
    bundle = bundle_of(variant="C")
    segmenter = Segmenter(bundle, CPU)
    wide = np.pad(rgb, [(32, 128), (32, 128), (0, 0)], mode="reflect")
    expected = np.zeros((128, 192), np.uint8)
    for y in (0, 64):
        for x in (0, 64, 128):
            whole = segmenter(wide[y : y + 128, x : x + 128][None]).labels[0]
            expected[y : y + 64, x : x + 64] = whole[32:96, 32:96]
    found = label_image(rgb, bundle, segmenter)
    np.testing.assert_array_equal(found, expected[:70, :150])
    assert len(np.unique(found)) > 1
    Image.fromarray(rgb).save(tmp_path / "large.png")
    predicted = predict_image(tmp_path / "large.png", bundle, tmp_path / "out", CPU)
    np.testing.assert_array_equal(np.array(Image.open(predicted.index_path)), found)
    assert predicted.network_index_path == predicted.index_path
