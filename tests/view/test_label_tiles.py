from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.written_results import in_memory
from PIL import Image

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.lattice import Rect
from wsi_seg.view.class_looks import STRIPE_GREY, UNSURE, VEIL, Drawn, Look, inks
from wsi_seg.view.label_tiles import LabelTiles

AREAS = Look(Drawn.AREAS, frozenset({0}))
OUTLINES = Look(Drawn.OUTLINES, frozenset({0}))


def blocks() -> np.ndarray:
    """Classes 0, 1 and 2 in blocks of 50 x 40 pixels, some outside and some unprocessed."""
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 3, (4, 5)), np.ones((40, 50))).astype(np.uint8)
    labels[:40, :50] = OUTSIDE_ID
    labels[-40:, -50:] = UNPROCESSED_ID
    return labels


def opened(tile: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tile)).convert("RGBA"))


def test_a_tile_has_each_pixels_color_and_nothing_between() -> None:
    labels = blocks()
    tiles = LabelTiles(in_memory(labels))
    rect = Rect(10, 20, 160, 230)
    drawn = opened(tiles.tile(AREAS, 0, rect))
    part = labels[rect.slices]
    for tissue_class in SCHEMA.classes[1:]:
        assert (drawn[part == tissue_class.id] == (*tissue_class.color, 255)).all()
    assert (drawn[part == 0][:, 3] == 0).all()
    assert (drawn[part == OUTSIDE_ID] == VEIL).all()
    unprocessed = {tuple(color) for color in drawn[part == UNPROCESSED_ID].tolist()}
    assert unprocessed == {STRIPE_GREY, VEIL}


def test_stripes_go_on_from_tile_to_tile() -> None:
    labels = np.full((64, 96), UNPROCESSED_ID, dtype=np.uint8)
    tiles = LabelTiles(in_memory(labels))
    whole = opened(tiles.tile(AREAS, 0, Rect(0, 0, 64, 96)))
    part = Rect(11, 29, 64, 96)
    np.testing.assert_array_equal(opened(tiles.tile(AREAS, 0, part)), whole[part.slices])


def test_a_class_that_is_hidden_is_not_drawn() -> None:
    labels = blocks()
    drawn = opened(
        LabelTiles(in_memory(labels)).tile(Look(hidden=frozenset({0, 2})), 0, Rect(0, 0, 160, 250))
    )
    assert (drawn[labels == 2][:, 3] == 0).all()
    assert (drawn[labels == 1][:, 3] == 255).all()


@pytest.mark.parametrize("level", [0, -1, -2])
def test_outlines_are_the_pixels_beside_another_class_at_every_level(level: int) -> None:
    labels = blocks()
    step = 1 << -level
    large = labels.repeat(step, axis=0).repeat(step, axis=1)
    around = np.pad(large, 1, mode="edge")
    inner = around[1:-1, 1:-1]
    border = np.zeros(large.shape, dtype=bool)
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        border |= around[dy : dy + large.shape[0], dx : dx + large.shape[1]] != inner
    tiles = LabelTiles(in_memory(labels))
    assert tiles.outline_grid.finest == -2  # two slide pixels along a label pixel
    for rect in (Rect(0, 0, *large.shape), Rect(37 * step + 1, 0, 120 * step, 101 * step - 1)):
        drawn = opened(tiles.tile(OUTLINES, level, rect))
        part, edge = large[rect.slices], border[rect.slices]
        for tissue_class in SCHEMA.classes[1:]:
            own = part == tissue_class.id
            assert (drawn[own & edge] == (*tissue_class.color, 255)).all()
            assert (drawn[own & ~edge][:, 3] == 0).all()
        assert (drawn[part == 0][:, 3] == 0).all()
        assert (drawn[part == OUTSIDE_ID][:, 3] == 0).all()
        if (part == UNPROCESSED_ID).any():
            assert 0.3 < (drawn[part == UNPROCESSED_ID][:, 3] == 255).mean() < 0.7


def test_a_hidden_class_has_no_border_with_what_is_outside() -> None:
    labels = np.full((20, 20), 2, dtype=np.uint8)
    labels[:, :10] = OUTSIDE_ID
    look = Look(Drawn.OUTLINES, frozenset({2}))
    assert not opened(LabelTiles(in_memory(labels)).tile(look, 0, Rect(0, 0, 20, 20)))[..., 3].any()


def test_confidence_is_the_denser_the_less_there_is() -> None:
    labels = blocks()
    confidence = np.random.default_rng(2).integers(1, 256, labels.shape).astype(np.uint8)
    confidence[labels == UNPROCESSED_ID] = 0
    pyramid = replace(in_memory(labels), confidence=(confidence,))  # type: ignore[arg-type]
    look = Look(Drawn.CONFIDENCE, frozenset({0}))
    drawn = opened(LabelTiles(pyramid).tile(look, 0, Rect(0, 0, 160, 250)))
    seen = np.isin(labels, (1, 2))
    assert (drawn[seen][:, 3] == 255 - confidence[seen]).all()
    assert (drawn[seen & (confidence < 255)][:, :3] == UNSURE).all()
    assert (drawn[np.isin(labels, (0, OUTSIDE_ID))][:, 3] == 0).all()
    assert {tuple(color) for color in drawn[labels == UNPROCESSED_ID].tolist()} == {STRIPE_GREY, (0, 0, 0, 0)}


def test_a_result_without_confidence_says_so() -> None:
    tiles = LabelTiles(in_memory(blocks()))
    with pytest.raises(UsageError, match="run `wsi-seg predict --confidence`"):
        tiles.tile(Look(Drawn.CONFIDENCE), 0, Rect(0, 0, 10, 10))


def test_a_look_is_read_from_an_address() -> None:
    assert Look.of("outlines", "0,7") == Look(Drawn.OUTLINES, frozenset({0, 7}))
    assert Look.of("areas", "") == Look()
    for drawn, hidden in (("wood", ""), ("areas", "x"), ("areas", "-1"), ("areas", "254")):
        with pytest.raises(UsageError, match="no such look"):
            Look.of(drawn, hidden)


def test_all_values_have_an_ink() -> None:
    assert inks(SCHEMA, Look()).shape == (256, 4)
