"""Augmentation: classes stay with their pixels, and nothing is drawn but from the generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from torch import Tensor

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import UsageError
from wsi_seg.training.augment_recipe import AugmentSettings
from wsi_seg.training.data.augment import Augmentation

NONE = AugmentSettings.none()
CODE = torch.tensor([[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0]])
"""Mixtures of two of these colours have a channel that is neither 0 nor 250."""

GEOMETRY = NONE.model_copy(
    update={
        "flip_horizontal": True,
        "flip_vertical": True,
        "quarter_turns": True,
        "scale": (0.6, 1.7),
        "scaled": 0.7,
    }
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**changes: object) -> AugmentSettings:
    return AugmentSettings.model_validate(NONE.model_dump() | changes)


def noise_batch(count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Pixels and classes at random."""
    draw = generator(99)
    rgb = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=draw)
    classes = torch.randint(0, 4, (count, height, width), dtype=torch.uint8, generator=draw)
    classes[:, :3] = IGNORE
    return rgb, classes


def coded_batch(count: int, height: int, width: int, block: int = 16) -> tuple[Tensor, Tensor]:
    """Blocks of a colour that tells their class; the last of `CODE` stands for unknown."""
    cells = torch.randint(0, 5, (count, -(-height // block), -(-width // block)), generator=generator(7))
    code = cells.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :height, :width]
    rgb = CODE[code].permute(0, 3, 1, 2)
    return rgb.to(torch.uint8), torch.where(code == 4, IGNORE, code).to(torch.uint8)


def test_nothing_changes_when_all_is_off() -> None:
    rgb, classes = noise_batch(3, 40, 56)
    pixels, out = Augmentation(NONE, (40, 56))(rgb, classes, generator())
    assert pixels.dtype == torch.float32
    assert out.dtype == torch.uint8
    torch.testing.assert_close(pixels, rgb.float(), rtol=0, atol=0.01)
    assert torch.equal(out, classes)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    side=st.sampled_from([48, 65]),
    height=st.integers(40, 130),
    width=st.integers(40, 130),
    rotation=st.sampled_from([0.0, 30.0, 180.0]),
)
def test_classes_stay_with_their_pixels(
    seed: int, side: int, height: int, width: int, rotation: float
) -> None:
    rgb, classes = coded_batch(6, height, width)
    changes = GEOMETRY.model_copy(update={"rotation": rotation})
    pixels, out = Augmentation(changes, (side, side))(rgb, classes, generator(seed))

    pure = ((pixels < 0.1) | (pixels > 249.9)).all(1)
    assert pure.float().mean() > 0.6
    known = pure & (out != IGNORE)
    assert known.any()
    told = CODE[out[known].long()].float()
    torch.testing.assert_close(pixels.permute(0, 2, 3, 1)[known], told, rtol=0, atol=0.1)
    assert set(out.flatten().tolist()) <= {0, 1, 2, 3, IGNORE}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rotation=st.sampled_from([0.0, 10.0, 45.0, 180.0]),
    low=st.floats(0.5, 1.5),
    width=st.integers(30, 90),
)
def test_nothing_lies_outside_of_the_input_size_that_is_asked_for(
    seed: int, rotation: float, low: float, width: int
) -> None:
    changes = only(rotation=rotation, scale=(low, 1.6), flip_vertical=True)
    augmentation = Augmentation(changes, (50, width))
    rgb, classes = coded_batch(4, *augmentation.input_size)
    classes[classes == IGNORE] = 0
    _, out = augmentation(rgb, classes, generator(seed))
    assert not (out == IGNORE).any()


def test_the_input_size_is_no_larger_than_needed() -> None:
    assert Augmentation(NONE, (50, 70)).input_size == (50, 70)
    assert Augmentation(only(scale=(0.8, 1.25)), (256, 512)).input_size == (320, 640)
    assert Augmentation(only(rotation=180), (100, 100)).input_size == (142, 142)


def test_what_lies_outside_is_unknown_and_mirrored() -> None:
    rgb, classes = noise_batch(1, 32, 32)
    classes[:] = 1
    pixels, out = Augmentation(NONE, (48, 48))(rgb, classes, generator())
    inside = torch.zeros(48, 48, dtype=torch.bool)
    inside[8:40, 8:40] = True
    assert torch.equal(out[0] == 1, inside)
    assert torch.equal(out[0] == IGNORE, ~inside)
    mirrored = np.pad(rgb[0].numpy(), ((0, 0), (8, 8), (8, 8)), mode="symmetric")
    np.testing.assert_allclose(pixels[0], mirrored, atol=0.02)


@pytest.mark.parametrize(("name", "axis"), [("flip_horizontal", -1), ("flip_vertical", -2)])
def test_horizontal_is_left_to_right(name: str, axis: int) -> None:
    rgb, classes = noise_batch(64, 12, 20)
    pixels, out = Augmentation(only(**{name: True}), (12, 20))(rgb, classes, generator())
    flipped = 0
    for i in range(64):
        if torch.equal(out[i], classes[i]):
            expected = rgb[i]
        else:
            expected, flipped = rgb[i].flip(axis), flipped + 1
            assert torch.equal(out[i], classes[i].flip(axis))
        torch.testing.assert_close(pixels[i], expected.float(), rtol=0, atol=0.01)
    assert 16 < flipped < 48


def test_quarter_turns_are_exact_and_all_four_occur() -> None:
    rgb, classes = noise_batch(64, 24, 24)
    pixels, out = Augmentation(only(quarter_turns=True), (24, 24))(rgb, classes, generator())
    turns = []
    for i in range(64):
        turn = next(k for k in range(4) if torch.equal(out[i], classes[i].rot90(k)))
        torch.testing.assert_close(pixels[i], rgb[i].rot90(turn, (1, 2)).float(), rtol=0, atol=0.02)
        turns.append(turn)
    assert set(turns) == {0, 1, 2, 3}


def test_what_is_not_scaled_is_cut_out_as_it_is_at_any_place() -> None:
    rgb, classes = noise_batch(200, 12, 13)
    pixels, out = Augmentation(NONE, (10, 10))(rgb, classes, generator())
    places = set()
    for i in range(200):
        y, x = next(
            (y, x)
            for y in range(3)
            for x in range(4)
            if torch.allclose(pixels[i], rgb[i, :, y : y + 10, x : x + 10].float(), rtol=0, atol=0.01)
        )
        assert torch.equal(out[i], classes[i, y : y + 10, x : x + 10])
        places.add((y, x))
    assert len(places) == 12


def test_scale_makes_things_larger() -> None:
    rgb = torch.zeros(1, 3, 101, 101, dtype=torch.uint8)
    rgb[..., 40:61, 40:61] = 200
    classes = (rgb[:, 0] > 0).to(torch.uint8)
    for factor in (0.5, 1.0, 2.0):
        pixels, out = Augmentation(only(scale=(factor, factor), scaled=1), (101, 101))(
            rgb, classes, generator()
        )
        assert (out == 1).sum().sqrt() == pytest.approx(21 * factor, abs=1)
        assert ((pixels[0, 0] > 100) & (out[0] != IGNORE)).sum().sqrt() == pytest.approx(21 * factor, abs=1)


def test_the_generator_decides_everything() -> None:
    batch = noise_batch(5, 40, 40)
    augmentation = Augmentation(AugmentSettings(rotation=20), (32, 32))
    draw = generator(3)
    torch.manual_seed(1)
    first = augmentation(*batch, draw)
    state = draw.get_state()
    second = augmentation(*batch, draw)

    torch.manual_seed(2)
    again = augmentation(*batch, generator(3))
    resumed = generator()
    resumed.set_state(state)
    continued = augmentation(*batch, resumed)
    for a, b in ((first, again), (second, continued)):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
    assert not torch.equal(first[0], second[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5))
def test_ranges_and_input_left_alone(seed: int, count: int) -> None:
    rgb, classes = noise_batch(count, 32, 40)
    before = rgb.clone(), classes.clone()
    strong = AugmentSettings(
        quarter_turns=False,
        stain=0.9,
        stain_shift=0.5,
        brightness=0.9,
        contrast=0.9,
        hue=180,
        noisy=1,
        noise=50,
        blurred=1,
        blur=1.5,
    )
    pixels, out = Augmentation(strong, (24, 36))(rgb, classes, generator(seed))
    assert pixels.shape == (count, 3, 24, 36)
    assert out.shape == (count, 24, 36)
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    assert torch.isfinite(pixels).all()
    assert torch.equal(rgb, before[0])
    assert torch.equal(classes, before[1])
    assert not pixels.requires_grad


def test_stain_keeps_white_and_black() -> None:
    changes = only(stain=0.5, stain_residual=0.5)
    rgb = torch.full((50, 3, 8, 8), 255, dtype=torch.uint8)
    classes = torch.zeros(50, 8, 8, dtype=torch.uint8)
    white, _ = Augmentation(changes, (8, 8))(rgb, classes, generator())
    assert white.min() > 254.9
    white, _ = Augmentation(only(stain_shift=0.02), (8, 8))(rgb, classes, generator())
    assert 245 < white.min() < 252


def test_stain_changes_the_amount_of_each_dye() -> None:
    dyes = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
    dyes /= np.linalg.norm(dyes, axis=1, keepdims=True)
    amounts = np.random.default_rng(0).uniform(0.1, 0.7, (30, 30, 2))
    # uint8 rounds: what is to be compared is the mean over the patch.
    rgb = torch.from_numpy(256 * np.exp(-amounts @ dyes) - 1).round().to(torch.uint8)
    batch = rgb.permute(2, 0, 1).repeat(40, 1, 1, 1)
    pixels, _ = Augmentation(only(stain=0.3), (30, 30))(
        batch, torch.zeros(40, 30, 30, dtype=torch.uint8), generator()
    )
    density = -np.log((pixels.permute(0, 2, 3, 1).double().numpy() + 1) / 256)
    found = density @ np.linalg.pinv(dyes)
    np.testing.assert_allclose(found @ dyes, density, atol=0.05)
    factors = found.mean((1, 2)) / amounts.mean((0, 1))
    assert factors.min() > 1 / 1.32
    assert factors.max() < 1.32
    assert (factors.std(0) > 0.1).all()
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.5
    ratio = found / amounts
    assert np.abs(ratio - factors[:, None, None]).mean() < 0.02


def test_colours_change_as_named() -> None:
    rgb, classes = noise_batch(20, 16, 16)
    rgb = 64 + rgb // 2
    source = rgb.double().numpy()
    luma = np.array([0.299, 0.587, 0.114])

    def varied(**changes: float) -> np.ndarray:
        return Augmentation(only(**changes), (16, 16))(rgb, classes, generator())[0].double().numpy()

    light = varied(brightness=0.2) / source
    assert np.ptp(light.reshape(20, -1), 1).max() < 0.001
    assert light.std() > 0.05
    assert 1 / 1.21 < light.min() < light.max() < 1.21

    contrast = varied(contrast=0.2)
    grey = np.einsum("bchw,c->bhw", source, luma).mean((1, 2))[:, None, None, None]
    factor = (contrast - grey).std((1, 2, 3)) / (source - grey).std((1, 2, 3))
    np.testing.assert_allclose(contrast, grey + factor[:, None, None, None] * (source - grey), atol=0.1)
    assert factor.std() > 0.05

    for turned in (varied(saturation=0.2), varied(hue=20)):
        np.testing.assert_allclose(
            np.einsum("bchw,c->bhw", turned, luma), np.einsum("bchw,c->bhw", source, luma), atol=0.3
        )
        assert np.abs(turned - source).mean() > 1
    greys = torch.full((20, 3, 16, 16), 130, dtype=torch.uint8)
    kept, _ = Augmentation(only(saturation=0.5, hue=90), (16, 16))(greys, classes, generator())
    assert (kept - 130).abs().max() < 0.2


def test_blur_is_gaussian_and_does_not_mix_patches() -> None:
    rgb, classes = noise_batch(12, 40, 40)
    pixels, _ = Augmentation(only(blurred=0.5, blur=1.2), (40, 40))(rgb, classes, generator())
    blurred = 0
    for i in range(12):
        source = rgb[i].double().numpy()
        candidates = [0.0, *np.linspace(0.05, 1.2, 60)]
        errors = [
            np.abs(gaussian_filter(source, (0, s, s), mode="nearest", truncate=8) - pixels[i].numpy()).max()
            for s in candidates
        ]
        assert min(errors) < 2
        blurred += candidates[int(np.argmin(errors))] > 0.3
    assert 2 <= blurred <= 10


def test_noise_is_grey_and_as_strong_as_told() -> None:
    rgb = torch.full((40, 3, 64, 64), 128, dtype=torch.uint8)
    classes = torch.zeros(40, 64, 64, dtype=torch.uint8)
    pixels, _ = Augmentation(only(noisy=0.5, noise=8), (64, 64))(rgb, classes, generator())
    added = pixels - 128
    torch.testing.assert_close(added[:, 0], added[:, 2])
    spread = added[:, 0].std((1, 2))
    assert 0.25 < (spread > 0.01).float().mean() < 0.75
    assert 5 < spread.max() < 8.3


@pytest.mark.parametrize("beyond", [IGNORE, 0])
def test_fields_end_on_any_one_side_in_one_light_grey(beyond: int) -> None:
    rgb = torch.full((80, 3, 64, 96), 100, dtype=torch.uint8)
    classes = torch.ones(80, 64, 96, dtype=torch.uint8)
    pixels, out = Augmentation(only(cut_off=0.5), (64, 96), beyond)(rgb, classes, generator())
    cut = out == beyond
    assert 0.3 < cut.flatten(1).any(1).float().mean() < 0.7
    assert (out[~cut] == 1).all()
    torch.testing.assert_close(pixels.movedim(1, 3)[~cut], torch.full((int((~cut).sum()), 3), 100.0))
    sides = set()
    for patch, where in zip(pixels, cut, strict=True):
        if where.any():
            grey = patch[:, where].unique()
            assert len(grey) == 1
            assert 225 <= grey <= 255
            rows, columns = where.all(1), where.all(0)
            assert torch.equal(where, rows[:, None].expand_as(where) | columns)
            assert rows.sum() <= 32
            assert columns.sum() <= 48
            sides.add((bool(rows[0]), bool(rows[-1]), bool(columns[0]), bool(columns[-1])))
    assert {sum(side) for side in sides} == {1}
    assert len(sides) == 4


@pytest.mark.parametrize("beyond", [IGNORE, 0])
def test_ink_is_dark_and_no_tissue(beyond: int) -> None:
    rgb = torch.full((80, 3, 64, 96), 200, dtype=torch.uint8)
    classes = torch.ones(80, 64, 96, dtype=torch.uint8)
    pixels, out = Augmentation(only(inked=0.5), (64, 96), beyond)(rgb, classes, generator())
    ink = out == beyond
    assert 0.3 < ink.flatten(1).any(1).float().mean() < 0.7
    assert 0.01 < ink.float().mean() < 0.2  # most of a patch stays
    assert (out[~ink] == 1).all()
    by_pixel = pixels.movedim(1, 3)
    torch.testing.assert_close(by_pixel[~ink], torch.full((int((~ink).sum()), 3), 200.0))
    assert by_pixel[ink].max() < 150
    assert by_pixel[ink].mean() < 70


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match="square"):
        Augmentation(AugmentSettings(), (64, 128))
    with pytest.raises(ValidationError, match="swap"):
        AugmentSettings(scale=(1.2, 0.8))
    with pytest.raises(ValidationError):
        AugmentSettings.model_validate({"flip": True})


def test_the_batch_may_lie_on_another_device_than_the_generator() -> None:
    # PyTorch's "meta" device holds no values, but refuses to be mixed with another as a GPU does.
    rgb, truth = (tensor.to("meta") for tensor in noise_batch(4, 40, 40))
    everything = AugmentSettings(rotation=10, blurred=1, noisy=1, cut_off=1, inked=1)
    pixels, classes = Augmentation(everything, (32, 32))(rgb, truth, generator())
    assert pixels.device.type == classes.device.type == "meta"
    assert pixels.shape == (4, 3, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same() -> None:
    batch = noise_batch(6, 40, 40)
    augmentation = Augmentation(AugmentSettings(rotation=20), (32, 32))
    here = augmentation(*batch, generator())
    there = augmentation(batch[0].cuda(), batch[1].cuda(), generator())
    torch.testing.assert_close(there[0].cpu(), here[0], rtol=0, atol=0.5)
    assert (there[1].cpu() != here[1]).float().mean() < 0.001
