"""What a model file says of itself, read without its network: without PyTorch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from wsi_seg.errors import ModelError, shortened
from wsi_seg.files.document import DocumentError, refuse_newer
from wsi_seg.files.plain_files import read_plain
from wsi_seg.models.container import MAX_BYTES, Document, damaged, read_document, unreadable
from wsi_seg.models.header import TRAINED_ON, TRUTH, ModelHeader
from wsi_seg.models.remembered import RememberedTissue, tissue_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from wsi_seg.models.architecture import Architecture
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.header import InputSpec


@dataclass(frozen=True)
class DescribedModel:
    """A model, as its file describes it.

    Attributes
    ----------
    header : ModelHeader
        How the file describes itself; its parts are properties of the model, too.
    fingerprint : str
        SHA-256 of the file, in hexadecimal.
    path : Path
        Where the file was read.
    beside : RememberedTissue or None
        What lies beside a file that remembers no tissue itself.
    """

    header: ModelHeader
    fingerprint: str
    path: Path
    beside: RememberedTissue | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.header.name

    @property
    def architecture(self) -> Architecture:
        """The network's kind and shape."""
        return self.header.architecture

    @property
    def schema(self) -> ClassSchema:
        """The classes of the network's output channels."""
        return self.header.classes

    @property
    def input(self) -> InputSpec:
        """The input that the network was trained on."""
        return self.header.input

    @property
    def notice(self) -> str | None:
        """The notice that users must see before they trust the results."""
        return self.header.notice

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Where the weights come from."""
        return self.header.training

    @property
    def tissue(self) -> RememberedTissue | None:
        """What its training tissue looked like, as far as it remembers."""
        return self.header.tissue or self.beside

    @property
    def rest(self) -> str | None:
        """The class that it learned for tissue that nobody outlined, if its file states one."""
        truth = self.training.get(TRUTH)
        rest = truth.get("rest") if isinstance(truth, dict) else None
        return rest if isinstance(rest, str) else None

    @property
    def rest_is_tissue(self) -> bool:
        """Whether it learned that class for all tissue that nobody outlined, not in some regions alone."""
        truth = self.training.get(TRUTH)
        return self.rest is not None and isinstance(truth, dict) and truth.get("roi_class") is None

    @property
    def trained_on(self) -> frozenset[str]:
        """Fingerprints of the slides that it was trained on, as far as its file names them."""
        slides = self.training.get(TRAINED_ON)
        return frozenset(str(slide) for slide in slides) if isinstance(slides, list) else frozenset()


def describe(path: Path) -> DescribedModel:
    """Read what a model file says of itself; its weights are not looked at.

    Raises
    ------
    ModelError
        If the file is missing, is not a model file, or has a newer format.
    """
    header = read_header(path)
    try:
        fingerprint = hashlib.sha256(read_plain(path, MAX_BYTES)).hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
    return DescribedModel(
        header, fingerprint, path, None if header.tissue else tissue_beside(path, fingerprint)
    )


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file, without its weights (and so without checking them).

    Raises
    ------
    ModelError
        If the file is missing, is not a model file, or has a newer format.
    """
    return parse_header(path, read_document(path))


def parse_header(path: Path, document: Document) -> ModelHeader:
    """Make sense of a file's document.

    Raises
    ------
    ModelError
        If it is damaged, or has a newer format.
    """
    try:
        refuse_newer(document, ModelHeader.newest(), path, "get or train it again")
        if isinstance(tissue := document.get("tissue"), dict):
            refuse_newer(tissue, RememberedTissue.newest(), path, "get or train it again")
        # Stricter than `Document.of`: ignoring an unknown field of the network or its input would be wrong.
        return ModelHeader.model_validate(document)
    except DocumentError as error:
        raise ModelError(str(error)) from error
    except ModelError as error:  # of its network
        raise ModelError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = f"holds a field that this wsi-seg does not know ({shortened(str(first['loc'][-1]))})"
            raise ModelError(f"{path}: {what}: upgrade wsi-seg") from error
        where = ".".join(shortened(str(part)) for part in first["loc"]) or "header"
        raise damaged(path, f"{where}: {shortened(first['msg'])}") from error
