"""How large patches, halos, regions and batches are: as asked for, as the network needs, or as measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.slides.lattice import ALIGNMENT, Lattice

if TYPE_CHECKING:
    from wsi_seg.inference.network.choice import Form
    from wsi_seg.models.described import DescribedModel
    from wsi_seg.models.network_config import NetworkConfig
    from wsi_seg.settings import LabelSettings

DEFAULT_PATCH = 1024
DEFAULT_HALO = 96
"""Of networks whose reach is not known, or not bounded."""

LARGEST_STREAMED = 1664
STREAMED_HALO = 128
PATCHES_ALONG = 3
"""By compiled kernels, memory does not grow with a patch's height, and glass costs next to nothing. So
patches are larger, but as many along the longer side of a slide as keep two networks busy."""

WIDEST_HALO = 256
"""By default: half of a patch's side is left to its core."""

STEP = 2 * ALIGNMENT

BATCH_PIXELS = {"cpu": 1 << 20, "cuda": 1 << 24}
"""Pixels of a batch, by kind of device."""

REGION_CORES = {"cpu": 2, "cuda": 4}
"""Cores along a region's side, by kind of device: a GPU needs more patches at a time."""

LARGEST_REGION = 1856
"""Of patches that are streamed a region holds one, or four that are smaller."""


def lay_out(
    label_size: tuple[int, int], labels: LabelSettings, bundle: DescribedModel, device: str, form: Form
) -> tuple[Lattice, int]:
    """Choose the lattice of a label frame, and how many patches go through the network together.

    Parameters
    ----------
    label_size : (int, int)
        Width and height in label pixels.
    labels : LabelSettings
    bundle : DescribedModel
        Its network may have a size of its own, and a reach that the halo has to cover.
    device : str
    form : {"plain", "compiled", "amx"}
        Which the network runs in.

    Raises
    ------
    UsageError
        If sizes do not fit together.
    """
    width, height = label_size
    config = bundle.architecture.config
    kind = device.partition(":")[0]
    cores, around_tissue = REGION_CORES[kind], None
    if kind == "cpu" and form != "plain" and labels.patch is None and labels.overlap is None:
        patch, halo = _streamed(max(width, height))
        around_tissue = halo
        cores = max(1, min(cores, LARGEST_REGION // (patch - 2 * halo)))
    else:
        patch, halo = patch_and_halo(labels, config, max(width, height))
    cores = labels.region_cores or cores
    lattice = Lattice(width, height, patch, halo, cores, around_tissue)
    return lattice, labels.batch_size or max(1, min(BATCH_PIXELS[kind] // patch**2, cores**2))


def patch_and_halo(labels: LabelSettings, config: NetworkConfig, longest: int) -> tuple[int, int]:
    """Decide the side of patches, and the context on each side of their cores, in label pixels.

    Parameters
    ----------
    labels : LabelSettings
    config : NetworkConfig
        Of the network, which may take patches of one size only.
    longest : int
        The longer side of the label frame.

    Raises
    ------
    UsageError
        If what is asked for does not fit.
    """
    if config.side is not None:
        return config.side, _halo_within(config.side, labels, config)
    for option, given in (("--patch", labels.patch), ("--overlap", labels.overlap)):
        if given is not None and (given % STEP or given < (option == "--patch")):
            raise UsageError(f"{option} {given}: does not fit: use a multiple of {STEP}")
    wanted = min(-(-_needed(config) // ALIGNMENT) * ALIGNMENT, WIDEST_HALO)
    overlap = 2 * wanted if labels.overlap is None else labels.overlap
    patch = labels.patch or min(DEFAULT_PATCH, -(-(longest + overlap) // STEP) * STEP)
    if overlap >= patch and labels.overlap is None:
        raise UsageError(
            f"--patch {patch}: leaves nothing beside an overlap of {overlap} px: use a larger one, or "
            "a smaller --overlap"
        )
    if overlap >= patch:
        raise UsageError(
            f"--overlap {overlap}: leaves nothing of patches of {patch} px: use a smaller one, or a larger "
            "--patch"
        )
    return patch, overlap // 2


def _streamed(longest: int) -> tuple[int, int]:
    """Decide the side of patches whose rows stream through compiled kernels, and their halo."""
    core = -(-longest // (PATCHES_ALONG * STEP)) * STEP
    smallest, largest = (side - 2 * STREAMED_HALO for side in (DEFAULT_PATCH, LARGEST_STREAMED))
    core = min(max(core, smallest), largest, -(-longest // STEP) * STEP)
    return core + 2 * STREAMED_HALO, STREAMED_HALO


def _needed(config: NetworkConfig) -> int:
    return DEFAULT_HALO if config.reach is None else config.reach


def _halo_within(side: int, labels: LabelSettings, config: NetworkConfig) -> int:
    """Return the halo in patches of the only side that a network takes."""
    if labels.patch not in (None, side):
        raise UsageError(
            f"--patch {labels.patch}: the network takes images of {side} x {side} px alone: leave it out"
        )
    fitting = [halo for halo in range(side // 2) if (side - 2 * halo) % STEP == 0]
    if labels.overlap is not None:
        if labels.overlap not in [2 * halo for halo in fitting]:
            known = ", ".join(str(2 * halo) for halo in fitting)
            raise UsageError(
                f"--overlap {labels.overlap}: does not fit patches of {side} px: use one of {known}"
            )
        return labels.overlap // 2
    # Half of the patch is left to its core, where that can be.
    kept = [halo for halo in fitting if 4 * halo <= side] or fitting[:1]
    return next((halo for halo in kept if halo >= _needed(config)), kept[-1])
