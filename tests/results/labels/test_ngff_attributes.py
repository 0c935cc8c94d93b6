"""The metadata, judged by the arithmetic of pixel centres and by the readers that others use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.results.labels.ngff_attributes import PyramidLayout, overview_attributes, tissue_attributes
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Lattice

MPP_X, MPP_Y = 0.5, 0.75
OVERVIEW_LEVEL = 2
SCHEMA = ClassSchema(
    name="toy",
    classes=(
        TissueClass(id=3, name="tumour", color=(200, 10, 20)),
        TissueClass(id=0, name="glass", color=(255, 255, 255)),
    ),
    background="glass",
)


def layout_of(width: int, height: int, region: int = 128, **options: Any) -> PyramidLayout:
    frames = Frames(
        bounds=Bounds(x=0, y=0, width=2 * width, height=3 * height),
        slide_mpp=(MPP_X / 2, MPP_Y / 3),
        downsample=(2.0, 3.0),
        label_size=(width, height),
    )
    return PyramidLayout(frames, SCHEMA, region, **{"overview_level": OVERVIEW_LEVEL} | options)


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished result of 1000 x 700 label pixels with confidence, in each NGFF version."""
    layout = layout_of(1000, 700, ngff=request.param, confidence=True)
    writer = PyramidWriter(tmp_path_factory.mktemp("ngff") / "slide.ome.zarr", layout)
    writer.create({})
    for region in Lattice(1000, 700, patch=64, halo=0, region_cores=2).regions():
        rect = region.label_rect
        values = np.full((rect.height, rect.width), 3 * (region.column % 2), dtype=np.uint8)
        writer.write_region(rect, values, values + np.uint8(100))
    writer.write_overview(np.full((175, 250, 3), (10, 20, 30), dtype=np.uint8))
    writer.build_levels(workers=2)
    return writer.path


@pytest.mark.parametrize(
    ("region", "chunk"), [(3584, 512), (4352, 256), (512, 512), (64, 64), (32, 32), (1664, 416), (1088, 64)]
)
def test_chunks_divide_regions(region: int, chunk: int) -> None:
    assert layout_of(1000, 700, region).chunk == chunk


@pytest.mark.parametrize(
    ("width", "height", "levels"), [(1, 1, 1), (256, 3, 1), (257, 3, 2), (512, 512, 2), (40, 513, 3)]
)
def test_levels_end_at_256_pixels(width: int, height: int, levels: int) -> None:
    layout = layout_of(width, height, overview_level=0)
    assert layout.levels == levels
    assert max(layout.label_shape(levels - 1)) <= 256


def test_layouts_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="region of 100 pixels"):
        layout_of(1000, 700, region=100)
    with pytest.raises(UsageError, match="levels 0 to 2"):
        layout_of(1000, 700, overview_level=3)


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
@pytest.mark.parametrize("kind", ["labels", "overview"])
def test_levels_are_aligned_by_the_centres_of_pixels(ngff: str, kind: str) -> None:
    layout = layout_of(1000, 700, ngff=ngff)
    if kind == "labels":
        attributes, finest = tissue_attributes(layout), 0
    else:
        attributes, finest = overview_attributes(layout, "slide"), OVERVIEW_LEVEL
    datasets = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
    assert [dataset["path"] for dataset in datasets] == ["0", "1", "2"]
    for level, dataset in enumerate(datasets, start=finest):
        scale, translation = (step[step["type"]][-2:] for step in dataset["coordinateTransformations"])
        for axis, mpp in enumerate((MPP_Y, MPP_X)):
            covered = np.arange(5 * 2**level, 6 * 2**level) * mpp
            assert 5 * scale[axis] + translation[axis] == pytest.approx(covered.mean())


def test_validators_accept_every_group(result: Path) -> None:
    from ome_zarr_models import v04, v05

    root = zarr.open_group(result, mode="r")
    version = v05 if root.metadata.zarr_format == 3 else v04
    version.Image.from_zarr(root)
    listed = version.Labels.from_zarr(root["labels"]).attributes.model_dump()
    assert listed.get("ome", listed)["labels"] == ["tissue", "confidence"]
    for name in ("tissue", "confidence"):
        version.ImageLabel.from_zarr(root[f"labels/{name}"])


def test_arrays_are_sharded_by_region_or_chunked_in_folders(result: Path) -> None:
    array = zarr.open_array(result / "labels/tissue/0", mode="r")
    assert array.chunks == (128, 128)
    if array.metadata.zarr_format == 3:
        assert array.shards == (128, 128)
        assert array.metadata.dimension_names == ("y", "x")
        assert (result / "labels/tissue/0/c/5/7").is_file()
    else:
        assert array.shards is None
        assert (result / "labels/tissue/0/5/7").is_file()


def test_the_reference_reader_finds_image_labels_and_colours(result: Path) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    nodes = {Path(str(node.zarr.path)).name: node for node in Reader(parse_url(result))()}
    image, tissue, confidence = (nodes[name] for name in ("slide.ome.zarr", "tissue", "confidence"))
    assert [level.shape for level in image.data] == [(3, 175, 250), (3, 88, 125), (3, 44, 63)]
    assert [level.shape for level in tissue.data] == [(700, 1000), (350, 500), (175, 250)]
    assert image.data[1][:, 5, 5].compute(scheduler="synchronous").tolist() == [10, 20, 30]
    assert np.unique(tissue.data[0].compute(scheduler="synchronous")).tolist() == [0, 3]

    assert tissue.metadata["color"][3] == pytest.approx([200 / 255, 10 / 255, 20 / 255, 1])
    assert tissue.metadata["color"][0][3] == 0
    assert tissue.metadata["properties"][3] == {"name": "tumour"}
    assert tissue.metadata["properties"][255] == {"name": "unprocessed"}
    assert confidence.metadata["color"][255][3] == 0
    assert confidence.metadata["color"][1][3] > 0.99

    np.testing.assert_allclose(extent(image), extent(tissue), atol=1e-9)
    np.testing.assert_allclose(extent(tissue), [[-MPP_Y / 2, -MPP_X / 2], [699.5 * MPP_Y, 999.5 * MPP_X]])


def extent(node: Any) -> np.ndarray:
    """Outer edges of an image in micrometres, (y, x) of its first and last corner."""
    scale, translation = (
        np.array(step[step["type"]][-2:]) for step in node.metadata["coordinateTransformations"][0]
    )
    return np.stack(
        [translation - scale / 2, translation + (np.array(node.data[0].shape[-2:]) - 0.5) * scale]
    )


@pytest.mark.filterwarnings("ignore:`json_encoders` is deprecated:DeprecationWarning")
def test_napari_lays_the_labels_over_the_overview(result: Path) -> None:
    """The plugin reads scales but, as of 0.10, no translations: right to half a pixel of the overview."""
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(str(result))(str(result))
    assert [kind for _, _, kind in layers] == ["image", "labels", "labels"]
    extents = []
    for levels, settings, _ in layers:
        affine = settings["affine"]
        lengths = np.array(levels[0].shape[-2:]) * settings["scale"]
        extents.append(np.stack([affine.translate, affine.translate + lengths]))
        assert settings["units"] == ("micrometer", "micrometer")
    overview_pixel = np.array([MPP_Y, MPP_X]) * 2**OVERVIEW_LEVEL
    assert (np.abs(extents[0] - extents[1]) <= overview_pixel / 2).all()
    np.testing.assert_array_equal(extents[1], extents[2])
    assert layers[0][1]["contrast_limits"] == [[0, 255]] * 3
    assert layers[1][1]["colormap"][3] == pytest.approx([200 / 255, 10 / 255, 20 / 255, 1])
    assert layers[1][1]["properties"]["name"] == ["glass", "tumour", "outside", "unprocessed"]
