"""Cityscapes' scores in addition to IoU by class: categories, and IoU with instances weighted by size.

A few near cars have more pixels than many far ones. iIoU weights each pixel of an instance by ``mean size of
its class / size of the instance``, in true positives and in false negatives. False positives belong to no
instance and count once. Only classes whose single instances are annotated have an iIoU.

Definitions and mean sizes are those of ``cityscapesscripts`` (evalPixelLevelSemanticLabeling). As there,
means are over all classes that are in the truth or were found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from wsi_seg.data.masks import read_pixels
from wsi_seg.evaluation.metrics import mean, share
from wsi_seg.paper.streets.cityscapes import LABEL_IDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wsi_seg.data.dataset import Dataset
    from wsi_seg.data.masked_images import LabelledImage
    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.classes import ClassSchema

CLASSES = tuple(LABEL_IDS)

CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
"""The seven categories that are scored, and the names of their classes."""

MEAN_PIXELS = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""The classes whose single instances are annotated, and the mean size of one in the training set."""

INSTANCE_CATEGORIES = ("human", "vehicle")
"""The categories in which all classes have instances."""

LAST_PLAIN_ID = 1000
"""In cityscapesscripts, ids above this are instances."""

NOT_SCORED = -1

_category_of = {name: number for number, names in enumerate(CATEGORIES.values()) for name in names}
_number_of = {name: number for number, name in enumerate(MEAN_PIXELS)}
_number_of_label = {LABEL_IDS[name]: number for name, number in _number_of.items()}


@dataclass(eq=False)
class InstanceTally:
    """Pixels of instances, weighted by their size: all of them, and those in which the right class was found.

    Attributes
    ----------
    total, found, category_found : float64 array, shape (8,)
        For each class of `MEAN_PIXELS`. In the last one, any class of the right category counts as right.
    """

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(MEAN_PIXELS)))
    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(MEAN_PIXELS)))
    category_found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(MEAN_PIXELS)))

    def add(
        self, instance_ids: NDArray[np.integer], predicted: NDArray[np.uint8], names: Sequence[str]
    ) -> None:
        """Count the instances of one more picture.

        Parameters
        ----------
        instance_ids : integer array, shape (height, width)
            As in ``*_gtFine_instanceIds.png``: the label id, or 1000 times that and the instance's number.
        predicted : uint8 array of the same shape
            Class indices, or `wsi_seg.evaluation.metrics.NONE_FOUND`.
        names : sequence of str
            Name of each class index.
        """
        of_instance = instance_ids > LAST_PLAIN_ID
        ids, which, sizes = np.unique(instance_ids[of_instance], return_inverse=True, return_counts=True)
        number = np.array([_number_of_label.get(i // 1000, NOT_SCORED) for i in ids.tolist()], np.intp)
        category = np.array([_category_of[name] for name in MEAN_PIXELS])[number]

        found = predicted[of_instance]
        right = _by_index(names, _number_of)[found] == number[which]
        right_category = _by_index(names, _category_of)[found] == category[which]

        scored = number != NOT_SCORED
        weight = np.array(list(MEAN_PIXELS.values()))[number] / sizes
        for sums, pixels in (
            (self.total, sizes),
            (self.found, np.bincount(which, right, len(ids))),
            (self.category_found, np.bincount(which, right_category, len(ids))),
        ):
            np.add.at(sums, number[scored], (weight * pixels)[scored])


@dataclass(frozen=True)
class CityscapesFigures:
    """The four scores of the benchmark, by name; NaN for classes neither in the truth nor found.

    `wsi_seg.evaluation.benchmarks.Figures`.

    Attributes
    ----------
    class_iou : dict
        For the 19 classes.
    category_iou : dict
        For the seven categories.
    class_iiou : dict
        For the eight classes with instances; empty if instances are not known.
    category_iiou : dict
        For the two categories of such classes; empty if instances are not known.
    """

    class_iou: dict[str, float]
    category_iou: dict[str, float]
    class_iiou: dict[str, float]
    category_iiou: dict[str, float]

    key: ClassVar = "cityscapes"
    heading: ClassVar = ("Cityscapes", "IoU", "iIoU")
    note: ClassVar = "these means, as the benchmark's, are over all that is in the truth or found"

    def rows(self) -> list[tuple[str, tuple[float | None, ...]]]:
        """Return table rows: the classes with instances, all categories, and the means."""
        return [
            *((name, (self.class_iou[name], score)) for name, score in self.class_iiou.items()),
            ("mean of classes", (average(self.class_iou), average(self.class_iiou))),
            *((name, (score, self.category_iiou.get(name))) for name, score in self.category_iou.items()),
            ("mean of categories", (average(self.category_iou), average(self.category_iiou))),
        ]

    def scores(self) -> dict[str, float | dict[str, float]]:
        """Return the four scores, and the mean of each."""
        named = {
            "class_iou": self.class_iou,
            "class_iiou": self.class_iiou,
            "category_iou": self.category_iou,
            "category_iiou": self.category_iiou,
        }
        return {**named, **{f"mean_{key}": average(score) for key, score in named.items()}}


@dataclass(frozen=True)
class StreetScores:
    """Cityscapes' additional scores, counted image by image: `wsi_seg.evaluation.benchmarks.Scores`.

    Attributes
    ----------
    names : tuple of str
        Name of each class index; Cityscapes' names instead of aliases.
    instances : InstanceTally or None
        None if the single objects in the images are not known.
    """

    names: tuple[str, ...]
    instances: InstanceTally | None

    @classmethod
    def of(cls, dataset: Dataset) -> Self | None:
        """Begin with no images; None if the schema merges classes, so that the scores do not apply."""
        names = _street_names(dataset.schema)
        if set(CLASSES) - set(names):
            return None
        known = [source for source in dataset.sources if source.mask is not None]
        return cls(names, InstanceTally() if all(source.instances for source in known) else None)

    def add(self, source: LabelledImage, predicted: NDArray[np.uint8]) -> None:
        """Count the instances of one more image."""
        if self.instances is not None and source.instances is not None:
            self.instances.add(read_pixels(source.instances), predicted, self.names)

    def figures(self, confusion: Confusion) -> CityscapesFigures:
        """Compute the scores of the whole set."""
        return cityscapes_figures(confusion, self.names, self.instances)


def cityscapes_figures(
    confusion: Confusion, names: Sequence[str], instances: InstanceTally | None
) -> CityscapesFigures:
    """Compute the scores of a whole set.

    Parameters
    ----------
    confusion : Confusion
    names : sequence of str
        Name of each of its classes: all of `CLASSES`, and possibly others.
    instances : InstanceTally or None
        None if instances are not known.
    """
    classes = confusion.merged([[names.index(name)] for name in CLASSES])
    categories = confusion.merged([[names.index(name) for name in group] for group in CATEGORIES.values()])
    class_iiou, category_iiou = {}, {}
    if instances is not None:
        false = classes.found_pixels - classes.hits
        for number, name in enumerate(MEAN_PIXELS):
            hit, total = instances.found[number], instances.total[number]
            class_iiou[name] = float(share(hit, total + false[CLASSES.index(name)]))
        false = categories.found_pixels - categories.hits
        for category in INSTANCE_CATEGORIES:
            own = [_number_of[name] for name in CATEGORIES[category]]
            hit, total = instances.category_found[own].sum(), instances.total[own].sum()
            category_iiou[category] = float(share(hit, total + false[list(CATEGORIES).index(category)]))
    return CityscapesFigures(
        class_iou=dict(zip(CLASSES, classes.iou.tolist(), strict=True)),
        category_iou=dict(zip(CATEGORIES, categories.iou.tolist(), strict=True)),
        class_iiou=class_iiou,
        category_iiou=category_iiou,
    )


def average(scores: Mapping[str, float]) -> float:
    """Return the benchmark's mean of a score, over all classes or categories where it is a number."""
    values = np.array(list(scores.values()))
    return mean(values[~np.isnan(values)])


def _by_index(names: Sequence[str], number_of: Mapping[str, int]) -> NDArray[np.intp]:
    """Return the number for each predicted class index, shape (256,)."""
    table = np.full(256, NOT_SCORED, np.intp)
    for index, name in enumerate(names):
        table[index] = number_of.get(name, NOT_SCORED)
    return table


def _street_names(schema: ClassSchema) -> tuple[str, ...]:
    names = [c.name for c in schema.classes]
    for name in CLASSES:
        index = schema.index_of(name)
        if index is not None:
            names[index] = name
    return tuple(names)
