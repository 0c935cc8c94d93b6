"""Plain images: segment one PNG, JPEG or TIFF, and write a class map and two pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from wsi_seg.errors import DeviceError
from wsi_seg.files.files import check_folder, replacing
from wsi_seg.inference.network.diagnosis import Diagnoser
from wsi_seg.inference.network.pixels import best_channel_at, decide
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.region import mirrored
from wsi_seg.slides.lattice import Lattice
from wsi_seg.slides.picture import read_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.inference.network.diagnosis import Diagnosis
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema

MAX_PIXELS_AT_OWN_SIZE = 2**24
"""Pixels of the largest image that is segmented in one piece, which needs some 300 bytes for each pixel."""

PATCH, HALO = 1024, 96
"""Patch and halo for larger images: as for slides."""

OVERLAY_STRENGTH = 0.5


@dataclass(frozen=True)
class ImagePrediction:
    """The result for one image.

    Attributes
    ----------
    index_path : Path
        ``NAME_index.png``: class ids, 8-bit grey.
    network_index_path : Path
        ``NAME_index_WIDTHxHEIGHT.png``: class ids at the network's own size, if that differs from the
        image's; else the same as `index_path`.
    color_path : Path
        ``NAME_color.png``: the classes in their colours.
    overlay_path : Path
        ``NAME_overlay.png``: the colours over the image, at the image's size; background is transparent.
    shares : mapping of str to float
        Share of the class map's pixels, for each class in the schema's order.
    diagnosis : Diagnosis or None
        Of the whole image, if the model makes diagnoses, and segments the image in one piece.
    network : str
        The form in which the network ran, and why.
    seconds : float
        From opening the image to the last file written.
    """

    index_path: Path
    network_index_path: Path
    color_path: Path
    overlay_path: Path
    shares: Mapping[str, float]
    diagnosis: Diagnosis | None
    network: str
    seconds: float


def predict_image(
    path: Path,
    bundle: ModelBundle,
    out_dir: Path,
    device: torch.device,
    precision: Precision = "float32",
    compiled: Compile = "auto",
) -> ImagePrediction:
    """Segment a plain image, and write its class map and pictures.

    The class map has the image's size: logits are enlarged before the class is decided. If the model states
    no input size, very large images are segmented patch by patch.

    Parameters
    ----------
    path : Path
        A PNG, JPEG or TIFF that fits in memory.
    bundle : ModelBundle
        The model.
    out_dir : Path
        Folder for the files; it is made if necessary.
    device : torch.device
    precision, compiled
        As `Segmenter` takes them.

    Raises
    ------
    SlideError
        If the image can't be read, or does not fit in memory.
    DeviceError
        If the device runs out of memory.
    OutputError
        If a file can't be written.
    """
    start = time.perf_counter()
    check_folder(out_dir)
    rgb = read_rgb(path)
    try:
        segmenter = Segmenter(bundle, device, precision, compiled)
        labels, labels_seen = _labelled(rgb, bundle, segmenter)
        diagnosis = diagnose_image(rgb, bundle, Diagnoser.of(bundle, device))
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"{path}: too large for {device}: use --device cpu or a smaller image") from error

    pictures = {
        "index": Image.fromarray(labels),
        "color": colored(labels, bundle.schema),
        "overlay": overlaid(rgb, labels, bundle.schema),
    }
    network_index = "index"
    if labels_seen.shape != labels.shape:
        network_index = f"index_{labels_seen.shape[1]}x{labels_seen.shape[0]}"
        pictures[network_index] = Image.fromarray(labels_seen)
    files = {kind: out_dir / f"{path.stem}_{kind}.png" for kind in pictures}
    for kind, picture in pictures.items():
        write_png(files[kind], picture)
    counts = np.bincount(labels.ravel(), minlength=256)
    shares = {c.name: float(counts[c.id] / labels.size) for c in bundle.schema.classes}
    return ImagePrediction(
        index_path=files["index"],
        network_index_path=files[network_index],
        color_path=files["color"],
        overlay_path=files["overlay"],
        shares=shares,
        diagnosis=diagnosis,
        network=str(segmenter.choice),
        seconds=time.perf_counter() - start,
    )


def label_image(rgb: NDArray[np.uint8], bundle: ModelBundle, segmenter: Segmenter) -> NDArray[np.uint8]:
    """Segment a (height, width, 3) image as `predict_image` does, without writing anything.

    Returns
    -------
    uint8 array, shape (height, width)
        Class ids.

    Raises
    ------
    DeviceError
        If the device runs out of memory.
    """
    try:
        return _labelled(rgb, bundle, segmenter)[0]
    except torch.OutOfMemoryError as error:
        height, width = rgb.shape[:2]
        raise DeviceError(
            f"{segmenter.device}: out of memory at {width} x {height} px: use --device cpu"
        ) from error


def diagnose_image(
    rgb: NDArray[np.uint8], bundle: ModelBundle, diagnoser: Diagnoser | None
) -> Diagnosis | None:
    """Diagnose a (height, width, 3) image; None without a diagnoser, or if the image is too large."""
    if diagnoser is None or (bundle.input.size is None and rgb[..., 0].size > MAX_PIXELS_AT_OWN_SIZE):
        return None
    return diagnoser(rgb if bundle.input.size is None else resize_like_opencv(rgb, bundle.input.size))


def _labelled(
    rgb: NDArray[np.uint8], bundle: ModelBundle, segmenter: Segmenter
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the class ids at the image's size, and at the size that the network saw."""
    height, width = rgb.shape[:2]
    size = bundle.input.size
    if size is None and height * width > MAX_PIXELS_AT_OWN_SIZE:
        labels = _label_by_patches(rgb, segmenter)
        return labels, labels
    logits = segment(rgb if size is None else resize_like_opencv(rgb, size), segmenter)
    ids = np.array(bundle.schema.ids, dtype=np.uint8)
    seen, _ = decide(logits[None])
    return ids[best_channel_at(logits, (width, height)).numpy()], ids[seen[0].cpu().numpy()]


def _label_by_patches(rgb: NDArray[np.uint8], segmenter: Segmenter) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    labels = np.empty((height, width), np.uint8)
    for region in Lattice(width, height, PATCH, HALO, 1).regions():
        for patch in region.patches():
            rows = mirrored(patch.rect.y0, patch.rect.y1, height)
            columns = mirrored(patch.rect.x0, patch.rect.x1, width)
            found = segmenter(rgb[rows[:, None], columns][None], margin=HALO).labels[0]
            labels[patch.core.slices] = found[: patch.core.height, : patch.core.width]
    return labels


def resize_like_opencv(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize to (width, height), bilinearly, without antialiasing, halves rounded up.

    This is OpenCV's default, with which the authors' weights were trained; other resizing costs accuracy.
    """
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    resized = functional.interpolate(pixels, size=size[::-1], mode="bilinear", align_corners=False)
    return (resized[0] + 0.5).floor().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


@torch.inference_mode()
def segment(rgb: NDArray[np.uint8], segmenter: Segmenter) -> Tensor:
    """Segment a (height, width, 3) image in one piece; logits are (classes, height, width).

    Sides that the network does not take are padded at their ends with the mirrored image.
    """
    height, width = rgb.shape[:2]
    fill = [(0, -side % segmenter.multiple) for side in (height, width)]
    padded = np.pad(rgb, [*fill, (0, 0)], mode="reflect")
    return segmenter.logits(padded[None])[0, :, :height, :width]


def colored(labels: NDArray[np.uint8], schema: ClassSchema) -> Image.Image:
    """Paint a (height, width) label array in the classes' colours, as RGB."""
    palette = np.zeros((256, 3), dtype=np.uint8)
    for c in schema.classes:
        palette[c.id] = c.color
    return Image.fromarray(palette[labels])


def overlaid(rgb: NDArray[np.uint8], labels: NDArray[np.uint8], schema: ClassSchema) -> Image.Image:
    """Paint the classes' colours over a (height, width, 3) image; background is transparent.

    Labels of another size are scaled to the image's size.
    """
    image = Image.fromarray(rgb)
    stretched = Image.fromarray(labels).resize(image.size, Image.Resampling.NEAREST)
    painted = np.asarray(stretched)
    blended = Image.blend(image, colored(painted, schema), OVERLAY_STRENGTH)
    if schema.background_id is None:
        return blended
    return Image.composite(image, blended, Image.fromarray(painted == schema.background_id))


def write_png(path: Path, picture: Image.Image) -> None:
    """Write a PNG, completely or not at all.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    with replacing(path) as partial:
        picture.save(partial, "PNG")
