"""The classes that annotations name: those that a schema lacks, and a schema made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import REGION_CLASS, TruthSettings, is_region_class, rest_index
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.models.classes import MAX_CLASSES, ClassSchema, Rgb, TissueClass, name_key
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsi_seg.annotations.annotation_files import AnnotationFile

SCHEMA_NAME = "annotations"
REST_COLOR = (200, 200, 200)
PALETTE: tuple[Rgb, ...] = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (210, 245, 60), (0, 128, 128), (170, 110, 40), (128, 0, 0), (128, 128, 0),
)  # fmt: skip
"""Colours that are easy to distinguish, for classes without one."""

CLASSES_NAMED = 12
"""Number of the annotations' classes that a message names."""

DISTINCT = 40
"""Smallest difference, in at least one channel, between a palette colour and all colours in use."""

ALIKE = 8
"""Colours that differ by less in every channel are one to the eye."""


def schema_called(schema: ClassSchema, owner: str) -> str:
    """Return what a schema goes by in messages: one that was made of annotations has no name of its own.

    Parameters
    ----------
    schema : ClassSchema
    owner : str
        Whose it is.
    """
    return owner if schema.name == SCHEMA_NAME else repr(schema.name)


def is_ignored(class_name: str) -> bool:
    """Return whether shapes of a class are to be ignored: QuPath ends such names in an asterisk."""
    return class_name.endswith("*")


def refuse_unclassified(files: Sequence[AnnotationFile]) -> None:
    """Refuse annotations if none has a class.

    Raises
    ------
    AnnotationError
        If none has; it names the files.
    """
    if all(shape.class_name is None for file in files for shape in file.shapes):
        raise AnnotationError(
            f"{', '.join(str(file.path) for file in files)}: no shape has a class: give the shapes classes "
            "where they were drawn (in QuPath: Set class; in other tools: name their group or layer)"
        )


def check_classes(
    files: Sequence[AnnotationFile], schema: ClassSchema, settings: TruthSettings, owner: str = "the model"
) -> None:
    """Refuse classes that the schema lacks, and settings that name absent classes.

    Parameters
    ----------
    files : sequence of AnnotationFile
    schema : ClassSchema
    settings : TruthSettings
    owner : str
        What the error calls the owner of the schema.

    Raises
    ------
    AnnotationError
        If no shape has a class, or some have classes that the schema lacks: one line with all of them.
    UsageError
        If `settings` name a class that the schema lacks, or that no shape has.
    """
    refuse_unclassified(files)
    missing = missing_classes(files, schema, settings)
    known = ", ".join(c.name for c in schema.classes)
    called = schema_called(schema, owner)
    if missing:
        remedy = (
            "give --classes with these as aliases" if called == owner else "add them or aliases to the schema"
        )
        raise AnnotationError(
            f"classes that {called} lacks: {'; '.join(missing)}: it has {known}; rename them, or {remedy}"
        )
    if settings.rest is not None and schema.index_of(settings.rest) is None:
        raise UsageError(f"--rest {settings.rest!r}: {called} has no such class: it has {known}")
    if settings.roi_class is None:
        return
    if not any(settings.is_roi(shape.class_name) for file in files for shape in file.shapes):
        raise UsageError(
            f"--roi-class {settings.roi_class!r}: no shape has this class: name a class of the annotations, "
            f"which are {', '.join(_drawn_classes(files))}"
        )
    if rest_index(schema, settings) == IGNORE:
        raise UsageError(
            f"--roi-class {settings.roi_class!r}: {called} has no background class: "
            "give the class of all other tissue with --rest"
        )


def _drawn_classes(files: Sequence[AnnotationFile]) -> list[str]:
    """Return the names of classes in the order in which they are first drawn, each once, the first few."""
    shapes = (shape for file in files for shape in file.shapes)
    names = {name_key(shape.class_name): shape.class_name for shape in shapes if shape.class_name is not None}
    more = [f"and {len(names) - CLASSES_NAMED} more"] if len(names) > CLASSES_NAMED else []
    return [*list(names.values())[:CLASSES_NAMED], *more]


def regions_told(files: Sequence[AnnotationFile], settings: TruthSettings) -> Iterator[str]:
    """Yield a line for each file of a slide with `Region*` that has no effect, or one if regions are missing.

    `wsi-seg suggest` writes its windows as `Region*`.

    Parameters
    ----------
    files : sequence of AnnotationFile
        All that is drawn on one slide.
    settings : TruthSettings
    """
    if settings.roi_class is None:
        for file in files:
            yield from _without_effect(file, settings)
    elif not any(settings.is_roi(shape.class_name) for file in files for shape in file.shapes):
        yield (
            f"{', '.join(str(file.path) for file in files)}: no shape of class {settings.roi_class}, so what "
            "is not outlined on this slide is unknown: if everything is outlined, draw one around all of it"
        )


def _without_effect(file: AnnotationFile, settings: TruthSettings) -> Iterator[str]:
    count = sum(is_region_class(shape.class_name) for shape in file.shapes)
    if count:
        beside = "" if settings.rest is None else f"; as it is, all tissue beside outlines is {settings.rest}"
        yield (
            f"{file.path}: {counted(count, 'shapes')} of class {REGION_CLASS} without effect: if all within "
            f"them is outlined, give --roi-class '{REGION_CLASS}' and --rest CLASS{beside}"
        )


def missing_classes(
    files: Sequence[AnnotationFile], schema: ClassSchema, settings: TruthSettings
) -> list[str]:
    """Return the classes that a schema lacks, each with the number of its shapes and their first file."""
    found: dict[str, tuple[int, AnnotationFile]] = {}
    for file in files:
        for name in (shape.class_name for shape in file.shapes):
            if name is None or settings.is_roi(name) or is_ignored(name) or schema.index_of(name) is not None:
                continue
            count, first = found.get(name, (0, file))
            found[name] = count + 1, first
    return [
        f"{name!r} ({count} shape{'s' * (count != 1)}, first in {file.path})"
        for name, (count, file) in sorted(found.items())
    ]


def schema_from_annotations(
    files: Sequence[AnnotationFile], rest: str | None = None, roi_class: str | None = None
) -> ClassSchema:
    """Make a class schema of the classes that annotations name.

    Names that differ only in case or white space are one class, in the first spelling. Ids count from 0:
    `rest` comes first, the others follow by name, so that the order of the files does not change the numbers.
    Colours are those of the annotations; classes without one get different colours, and so do classes whose
    colour another has already (`recoloured` tells).

    The schema has no background class. `rest` is tissue and does not include glass: its area counts as tissue
    in summaries, its polygons are written, and the tissue mask leaves glass out.

    Parameters
    ----------
    files : sequence of AnnotationFile
    rest : str, optional
        Class of tissue that is not outlined.
    roi_class : str, optional
        Class of regions of interest, which is not part of the schema.

    Raises
    ------
    AnnotationError
        If no shape has a class.
    UsageError
        If there are fewer than two classes, or more than labels can hold; or `rest` cannot be a class name.
    """
    refuse_unclassified(files)
    if rest is not None and (not name_key(rest).strip(":") or is_ignored(rest)):
        raise UsageError(
            f"--rest {rest!r}: not a name for a class: give a name for all other tissue, such as Other"
        )
    settings = TruthSettings(rest=rest, roi_class=roi_class)
    shapes = [shape for file in files for shape in file.shapes]
    names: dict[str, str] = {} if rest is None else {name_key(rest): rest}
    for name in (shape.class_name for shape in shapes):
        if name is not None and not settings.is_roi(name) and not is_ignored(name):
            names.setdefault(name_key(name), name)
    first = [] if rest is None else [name_key(rest)]
    keys = first + sorted(names.keys() - set(first))
    if len(keys) < 2:
        outlined = f"only one class, {names[keys[0]]!r}" if keys else "no class"
        raise UsageError(
            f"the annotations name {outlined}: outline and classify a second one, "
            "or give the class of all other tissue with --rest CLASS"
        )
    if len(keys) > MAX_CLASSES:
        raise UsageError(f"the annotations name {len(keys)} classes: labels can hold at most {MAX_CLASSES}")
    drawn = _drawn_colors(files)
    if rest is not None:
        drawn.setdefault(name_key(rest), REST_COLOR)
    colors: dict[str, Rgb] = {}
    for key in keys:
        if key in drawn and not any(_difference(drawn[key], other) < ALIKE for other in colors.values()):
            colors[key] = drawn[key]
    _fill_in(colors, keys)
    classes = tuple(TissueClass(id=i, name=names[key], color=colors[key]) for i, key in enumerate(keys))
    return ClassSchema(name=SCHEMA_NAME, classes=classes)


def recoloured(files: Sequence[AnnotationFile], schema: ClassSchema) -> Iterator[str]:
    """Yield a line if classes of a schema made of annotations have other colours than there.

    Some tools give all classes one colour; maps and legends could not tell these apart.
    """
    drawn = _drawn_colors(files)
    names = [c.name for c in schema.classes if drawn.get(name_key(c.name), c.color) != c.color]
    if names:
        yield f"drawn in the colour of another class, and shown in a colour of its own: {', '.join(names)}"


def _drawn_colors(files: Sequence[AnnotationFile]) -> dict[str, Rgb]:
    """Return the first colour of each class that has one, by `name_key`."""
    colors: dict[str, Rgb] = {}
    for shape in (shape for file in files for shape in file.shapes):
        if shape.class_name is not None and shape.color is not None:
            colors.setdefault(name_key(shape.class_name), shape.color)
    return colors


def schema_of_names(names: Sequence[str]) -> ClassSchema:
    """Make a class schema of names, in their order, with different colours; it has no background class."""
    colors: dict[str, Rgb] = {}
    _fill_in(colors, list(names))
    classes = tuple(TissueClass(id=i, name=name, color=colors[name]) for i, name in enumerate(names))
    return ClassSchema(name=SCHEMA_NAME, classes=classes)


def _fill_in(colors: dict[str, Rgb], keys: Sequence[str]) -> None:
    """Give colours to the classes without one, different from those in use as long as there are any."""
    for number, key in enumerate(key for key in keys if key not in colors):
        unlike = (
            color
            for color in PALETTE
            if all(_difference(color, other) >= DISTINCT for other in colors.values())
        )
        colors[key] = next(unlike, PALETTE[number % len(PALETTE)])


def _difference(one: Rgb, other: Rgb) -> int:
    """Return by how much two colours differ in the channel in which they differ most."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
