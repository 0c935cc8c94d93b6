"""How QuPath opens an image of a project: taken if it shows the file's own pixels in the file's own frame.

A project stores a "server builder" for each image: a file with options, or another builder inside one that
turns, crops, recolours or composes. Polygons and outlines are in the frame of the outermost one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsi_seg.errors import explain, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

MICROMETRES = frozenset({"µm", "μm", "um"})
"""QuPath writes the micro sign; the second is the Greek letter."""

FROM_A_FILE, PYRAMID, ROTATED, UNTURNED = "uri", "pyramidize", "rotated", "ROTATE_NONE"

WRITE = "write it as a file of its own (File > Export images > OME TIFF)"

CHANGES = {
    "rotated": "rotated",
    "affine": "transformed",
    "cropped": "cropped",
    "sparse": "composed of several images",
    "channels": "composed of channels of several images",
    "color": "changed in its channels",
    "color_deconvolved": "separated into stains",
    "swapRedBlue": "changed in the order of its channels",
}
"""What a builder does to an image, by its type."""

SAME_PIXELS: dict[str, frozenset[str] | None] = {
    "--rotate": frozenset({UNTURNED}),
    "--order": frozenset({"RGB"}),
    "--dims": frozenset({"XYCZT"}),
    "--classname": None,
}
"""Options with which QuPath shows an image as it is in its file, and their values; None: any value."""

SERIES = frozenset({"--series", "-s"})
COLOURS = frozenset({"--icc-profile"})
"""Options without a value that change colours on the screen, and no position."""


class _Stored(BaseModel):
    """A part of the project file; parts that are not needed are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Length(_Stored):
    value: float = 0.0
    unit: str = ""


class _Calibration(_Stored):
    width: _Length | None = Field(None, alias="pixelWidth")
    height: _Length | None = Field(None, alias="pixelHeight")


class _Metadata(_Stored):
    width: int | None = None
    height: int | None = None
    calibration: _Calibration | None = Field(None, alias="pixelCalibration")


class _Builder(_Stored):
    kind: str = Field(alias="builderType")
    uri: str | None = None
    args: tuple[str, ...] | None = None
    metadata: _Metadata | None = None
    builder: dict[str, Any] | None = None
    rotation: str | None = None


class NotTakenError(ValueError):
    """An image cannot be taken: the reason and the remedy, to follow the image's name."""


class Server(BaseModel):
    """An image as QuPath shows it, straight from a file.

    Attributes
    ----------
    uri : str
    size : (int, int) or None
        Width and height in px of the image that QuPath shows, if the project states them.
    mpp : (float, float) or None
        Micrometres per pixel in x and y, as QuPath read them from the file or as a person set them.
    series : int or None
        Which of the file's images it is, from 0 on; None if QuPath reads the file as one image.
    """

    model_config = ConfigDict(frozen=True)

    uri: str
    size: tuple[int, int] | None = None
    mpp: tuple[float, float] | None = None
    series: int | None = None

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """Make one from the builder that a project stores.

        Raises
        ------
        NotTakenError
            If it is damaged, or changes the file's pixels or their places.
        """
        metadata: _Metadata | None = None
        inner: dict[str, Any] | None = stored
        while inner is not None:
            builder = _read(inner)
            metadata = metadata or builder.metadata
            if builder.uri and builder.kind == FROM_A_FILE:
                series, size = _series(builder.args or ()), _size(metadata)
                if series and size is None:
                    raise NotTakenError(
                        f"is series {series} of its file, of a size that is not stated: {WRITE}"
                    )
                return cls(uri=builder.uri, size=size, mpp=_mpp(metadata), series=series)
            unturned = builder.kind == ROTATED and builder.rotation == UNTURNED
            if builder.kind not in (FROM_A_FILE, PYRAMID) and not unturned:
                unknown = f"opened in a way ({shortened(builder.kind)!r}) that is not known"
                raise NotTakenError(
                    f"is {CHANGES.get(builder.kind, unknown)} in QuPath, and its file alone is another "
                    f"image: {WRITE}, or add the original to the project"
                )
            inner = builder.builder
        raise NotTakenError("names no file: add the image to the project again")


def _read(stored: dict[str, Any]) -> _Builder:
    try:
        return _Builder.model_validate(stored)
    except ValidationError as error:
        raise NotTakenError(f"is damaged ({explain(error)}): add the image to the project again") from error


def _series(args: Sequence[str]) -> int | None:
    """Return which of a file's images is shown; refuse options that show it in another way."""
    series = None
    words = iter([part for arg in args for part in arg.split("=", 1)])
    for option in words:
        if option in COLOURS:
            continue
        value = next(words, "")
        if option in SERIES and value.removeprefix("-").isdecimal():
            series = int(value) if int(value) >= 0 else None
            continue
        allowed = SAME_PIXELS.get(option, frozenset())
        if allowed is not None and value not in allowed:
            raise NotTakenError(
                f"is opened by QuPath with {shortened(f'{option} {value}'.strip())}, which changes what it "
                f"shows: {WRITE}, or add it without"
            )
    return series


def _size(metadata: _Metadata | None) -> tuple[int, int] | None:
    if metadata is None or not metadata.width or not metadata.height:
        return None
    return metadata.width, metadata.height


def _mpp(metadata: _Metadata | None) -> tuple[float, float] | None:
    """Return the resolution; None if the project states pixels alone, which is QuPath's word for unknown."""
    calibration = metadata.calibration if metadata is not None else None
    if calibration is None or calibration.width is None or calibration.height is None:
        return None
    sides = calibration.width, calibration.height
    if any(side.unit not in MICROMETRES or not side.value > 0 for side in sides):
        return None
    return sides[0].value, sides[1].value
