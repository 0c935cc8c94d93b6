from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from PIL import Image

from wsi_seg.data.annotated_slides import LabelledSlide, open_labelled_slides
from wsi_seg.data.cut_tiles import Tiling, TilingSettings, read_about, write_tiles
from wsi_seg.data.dataset import read_dataset
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, OutputError
from wsi_seg.slides.lattice import Rect

HEIGHT, WIDTH = 300, 420
SMALL = TilingSettings(size=128)


def outline(x0: int, y0: int, x1: int, y1: int, name: str, color: list[int]) -> dict[str, Any]:
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    classification = {"name": name, "color": color}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": classification},
    }


SHAPES = [
    outline(20, 30, 200, 150, "Tumour", [200, 0, 0]),
    outline(300, 200, 420, 300, "Stroma", [0, 200, 0]),
    outline(262, 5, 266, 9, "Stroma", [0, 200, 0]),
]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_tiff(tmp_path / "slide.tiff", tissue_rgb(HEIGHT, WIDTH))
    (tmp_path / "drawn.geojson").write_text(json.dumps(SHAPES))
    return tmp_path / "slide.tiff", tmp_path / "drawn.geojson"


def cut(
    pairs: Sequence[tuple[Path, Path]],
    folder: Path,
    settings: TilingSettings = SMALL,
    truth: TruthSettings | None = None,
) -> tuple[Tiling, list[LabelledSlide]]:
    schema, slides = open_labelled_slides(pairs, None, 2.0, truth)
    return write_tiles(slides, schema, 2.0, folder, settings), slides


def test_tiles_hold_what_the_slide_holds(pair: tuple[Path, Path], tmp_path: Path) -> None:
    tiling, (slide,) = cut([pair], tmp_path / "tiles")
    dataset = read_dataset(tmp_path / "tiles", "train")
    assert [c.name for c in dataset.schema.classes] == ["Stroma", "Tumour"]
    assert dataset.schema.classes[1].color == (200, 0, 0)
    assert dataset.mpp == 2.0
    whole = slide.read(Rect(0, 0, HEIGHT, WIDTH))
    seen = np.full((384, 512), IGNORE, np.uint8)
    for source in dataset.sources:
        name, column, row = source.name.rsplit("_", 2)
        x, y = int(column[1:]), int(row[1:])
        assert (name, source.size) == ("slide", (128, 128))
        tile = source.read(Rect(0, 0, 128, 128))
        seen[y : y + 128, x : x + 128] = tile.classes
        part = whole.rgb[y : y + 128, x : x + 128]
        assert np.array_equal(tile.rgb[: part.shape[0], : part.shape[1]], part)
        assert (tile.rgb[part.shape[0] :] == 255).all()
        assert (tile.rgb[:, part.shape[1] :] == 255).all()
    assert (seen[HEIGHT:] == IGNORE).all()
    assert (seen[:, WIDTH:] == IGNORE).all()
    expected = whole.classes.copy()
    expected[:128, 256:384] = IGNORE  # known on 16 of 16384 pixels
    assert np.array_equal(seen[:HEIGHT, :WIDTH], expected)
    assert tiling.tiles == {"slide": len(dataset.sources)}
    assert tiling.pixels.tolist() == [(expected == 0).sum(), (expected == 1).sum()] == [12000, 21600]


def test_masks_show_the_colours_of_the_classes(pair: tuple[Path, Path], tmp_path: Path) -> None:
    cut([pair], tmp_path / "tiles")
    with Image.open(tmp_path / "tiles/masks/slide_x0_y0.png") as mask:
        assert mask.mode == "P"
        assert set(np.unique(np.asarray(mask)).tolist()) == {1, 255}
        colors = mask.convert("RGB").getcolors()
        assert colors is not None
    assert {color for _, color in colors} == {(200, 0, 0), (0, 0, 0)}


def test_how_much_must_be_known(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def names(share: float) -> set[str]:
        cut([pair], tmp_path / "tiles", TilingSettings(size=128, min_labelled=share))
        return {path.stem for path in (tmp_path / "tiles/images").iterdir()}

    assert len(names(0.0)) == 12
    some = names(5e-4)
    assert "slide_x256_y0" in some
    assert names(0.05) == some - {"slide_x256_y0"}
    assert names(0.6) == {"slide_x0_y0"}


def test_rest_is_known(pair: tuple[Path, Path], tmp_path: Path) -> None:
    tiling, _ = cut([pair], tmp_path / "tiles", truth=TruthSettings(rest="Other"))
    assert tiling.tiles["slide"] == 12
    assert tiling.pixels.sum() == HEIGHT * WIDTH


def test_a_second_run_leaves_the_same_as_the_first(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    folder = tmp_path / "tiles"
    cut([pair], folder)
    first = content()
    cut([pair], folder, TilingSettings(size=64))
    (folder / "images/.a.png.0123.partial").write_bytes(b"killed")
    assert content().keys() != first.keys()
    cut([pair], folder)
    assert content() == first


def test_what_was_broken_off_cannot_be_read(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tiles"
    cut([pair], folder)
    monkeypatch.setattr("wsi_seg.data.cut_tiles._finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cut([pair], folder)
    with pytest.raises(AnnotationError, match="its split 'train' holds no images"):
        read_dataset(folder, "train")


def test_slides_of_one_name_are_told_apart(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_tiff(tmp_path / "b" / "slide.tiff", tissue_rgb(HEIGHT, WIDTH, seed=1))
    tiling, _ = cut([pair, (tmp_path / "b/slide.tiff", pair[1])], tmp_path / "tiles")
    first = f"{pair[0].parent.name}__slide"
    assert tiling.tiles.keys() == {first, "b__slide"}
    about = read_about(tmp_path / "tiles")
    assert about is not None
    assert about.slides == {first: str(pair[0]), "b__slide": str(tmp_path / "b/slide.tiff")}


def test_refusals(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no tile of 128 px has a known share of 1"):
        cut([pair], tmp_path / "tiles", TilingSettings(size=128, min_labelled=1.0))
    with pytest.raises(OutputError, match="holds other files: name a new folder"):
        cut([pair], tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        cut([pair], tmp_path / "file")
    (tmp_path / "tiles/tiles.json").write_text("{}")
    with pytest.raises(
        OutputError, match=r"tiles\.json: damaged \(mpp: field required\): cut the tiles again"
    ):
        read_about(tmp_path / "tiles")


def test_a_real_slide(shared_data: Path, tmp_path: Path) -> None:
    slides = shared_data / "slides"
    pairs = [(slides / "breast_A03.tiff", slides / "breast_A03.geojson")]
    schema, (slide,) = open_labelled_slides(pairs, None, 7.5, TruthSettings(rest="Other tissue"))
    tiling = write_tiles([slide], schema, 7.5, tmp_path / "tiles", SMALL)
    width, height = slide.size
    classes = slide.read(Rect(0, 0, height, width)).classes
    counts = np.bincount(classes.ravel(), minlength=256)[: len(schema)]
    # Tiles of which almost nothing is known are left out, and nothing else.
    assert (tiling.pixels <= counts).all()
    assert tiling.pixels.sum() > 0.995 * counts.sum()
    dataset = read_dataset(tmp_path / "tiles", "train")
    assert len(dataset.sources) == sum(tiling.tiles.values()) > 20
