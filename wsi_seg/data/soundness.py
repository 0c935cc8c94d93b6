"""Check every file of a data set before anything starts, at a fraction of the cost of decoding everything.

Masks are decoded to find their values. For PNG images the checksums are verified. JPEG images are decoded at
an eighth of their size, which reads all of their code.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from wsi_seg.data.masked_images import LabelledImage
from wsi_seg.data.masks import MaskContent, read_content
from wsi_seg.errors import AnnotationError, SlideError
from wsi_seg.slides.picture import of_any_size, verified_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.data.dataset_layout import Faults, Layout, Pair
    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

VALUES_NAMED = 5


def sound_sources(
    pairs: Sequence[Pair], schema: ClassSchema, layout: Layout, faults: Faults
) -> list[LabelledImage]:
    """Check images and masks.

    Parameters
    ----------
    pairs : sequence of Pair
    schema : ClassSchema
    layout : Layout
        Gives the coding of the masks.
    faults : Faults
        The faults are added to it.

    Returns
    -------
    list of LabelledImage
        Those without a fault, in the pairs' order.
    """
    with of_any_size(), ThreadPoolExecutor(os.cpu_count(), "soundness") as pool:
        looked_into = list(pool.map(_look_into, pairs))
    contents = [found[1] for found in looked_into if not isinstance(found, str)]
    painted = any(content is not None and content.painted for content in contents)
    of_no_class = f"masks with {'colours' if painted else 'values'} that are not a class of {schema.name!r}"

    same: dict[MaskCoding, MaskCoding] = {}
    sources = []
    for pair, found in zip(pairs, looked_into, strict=True):
        if isinstance(found, str):
            faults.add("files that cannot be used", found)
            continue
        size, content = found
        coding = replace(layout.coding(schema, pair), painted=painted)
        coding = same.setdefault(coding, coding)
        if content is not None and content.size != size:
            faults.add("masks with another size than their image", _name(pair))
        elif content is not None and (undefined := coding.undefined(content)):
            faults.add(of_no_class, f"{_name(pair)} ({', '.join(undefined[:VALUES_NAMED])})")
        else:
            name, image, mask = pair.image.stem, pair.image, pair.mask
            sources.append(LabelledImage(name, size, image, mask, coding, pair.instances, pair.diagnosis))
    return sources


def _look_into(pair: Pair) -> tuple[tuple[int, int], MaskContent | None] | str:
    """Return the image's size and the mask's content, or the fault of one of them."""
    path = pair.image
    try:
        size = verified_size(path)
        if pair.mask is None:
            return size, None
        path = pair.mask
        return size, read_content(path)
    except (SlideError, AnnotationError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return f"{path.name} ({reason})"


def _name(pair: Pair) -> str:
    return pair.mask.name if pair.mask else pair.image.name
