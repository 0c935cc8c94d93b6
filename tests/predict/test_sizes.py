from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from wsi_seg.errors import UsageError
from wsi_seg.inference.network.choice import Form
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.network import NetworkConfig
from wsi_seg.predict.sizes import lay_out, patch_and_halo
from wsi_seg.settings import LabelSettings


@dataclass(frozen=True)
class Stated(NetworkConfig):
    """A network that states what it takes and how far it sees."""

    reach: int | None = None
    side: int | None = None


DEFAULT = LabelSettings()


@pytest.mark.parametrize(
    ("reach", "halo"), [(None, 96), (0, 0), (1, 32), (96, 96), (103, 128), (256, 256), (400, 256)]
)
def test_the_halo_is_what_the_reach_asks_for(reach: int | None, halo: int) -> None:
    assert patch_and_halo(DEFAULT, Stated(2, reach=reach), 5000) == (1024, halo)


@pytest.mark.parametrize(
    ("longest", "patch", "cores"), [(300, 576, 2), (1000, 1024, 2), (3500, 1472, 1), (90_000, 1664, 1)]
)
def test_compiled_networks_take_larger_patches(
    longest: int, patch: int, cores: int, model_path: Path
) -> None:
    bundle = load_bundle(model_path)
    lattice, batch = lay_out((longest, 200), DEFAULT, bundle, "cpu", "compiled")
    assert (lattice.patch, lattice.halo, lattice.around_tissue) == (patch, 128, 128)
    assert (lattice.region_cores, batch >= 1) == (cores, True)


@pytest.mark.parametrize(
    ("asked", "device", "form"),
    [
        (LabelSettings(patch=1024), "cpu", "compiled"),
        (LabelSettings(overlap=192), "cpu", "compiled"),
        (DEFAULT, "cpu", "plain"),
        (DEFAULT, "cuda", "compiled"),
    ],
)
def test_all_others_see_whole_patches(
    asked: LabelSettings, device: str, form: Form, model_path: Path
) -> None:
    lattice, _ = lay_out((90_000, 200), asked, load_bundle(model_path), device, form)
    assert (lattice.patch, lattice.halo, lattice.around_tissue) == (1024, 96, None)


def test_what_is_asked_for_comes_first() -> None:
    asked = LabelSettings(patch=512, overlap=64)
    assert patch_and_halo(asked, Stated(2, reach=200), 5000) == (512, 32)


@pytest.mark.parametrize(
    ("side", "reach", "halo"),
    [
        (512, None, 96),
        (512, 100, 128),
        (512, 500, 128),
        (224, 10, 16),
        (224, None, 48),
        (500, 60, 90),
        (64, 9, 0),
    ],
)
def test_patches_of_one_size_keep_half_of_it_for_their_cores(side: int, reach: int | None, halo: int) -> None:
    assert patch_and_halo(DEFAULT, Stated(2, reach=reach, side=side), 5000) == (side, halo)
    assert (side - 2 * halo) % 64 == 0


def test_what_does_not_fit_the_only_size_is_refused() -> None:
    only = Stated(2, side=512)
    with pytest.raises(UsageError, match=r"--patch 256: .* 512 x 512 px alone"):
        patch_and_halo(LabelSettings(patch=256), only, 5000)
    with pytest.raises(UsageError, match=r"--overlap 100: .* one of 0, 64, 128"):
        patch_and_halo(LabelSettings(overlap=100), only, 5000)
    assert patch_and_halo(LabelSettings(patch=512, overlap=256), only, 5000) == (512, 128)
