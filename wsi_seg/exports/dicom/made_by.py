"""Who made a DICOM file: the software, the model as the algorithm, and with which settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from highdicom import AlgorithmIdentificationSequence
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from wsi_seg import __version__
from wsi_seg.exports.dicom.coded_classes import PRIVATE, labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsi_seg.exports.dicom.coded_classes import CodedClass
    from wsi_seg.models.classes import Code

SOFTWARE = "wsi-seg"
UTF_8 = "ISO_IR 192"
"""DICOM's name of the character set of all files: names of classes hold any characters."""

UNSTATED = frozenset({"slide", "frames", "schema"})
"""What of that has a place of its own in DICOM; and the name of a slide's file may be a person's."""

SERIES_NUMBERS = {"SEG": 701, "ANN": 702}


@dataclass(frozen=True)
class MadeBy:
    """What files of one export have in common.

    Attributes
    ----------
    stated : dict
        What exports state of a result: see `wsi_seg.exports.stated_of_run`.
    """

    stated: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The model's name, as far as DICOM takes it."""
        return labelled(str(self.stated["model"]))

    @property
    def algorithm(self) -> AlgorithmIdentificationSequence:
        """The model: its name, its fingerprint as its version, and all settings as JSON."""
        settings = {name: value for name, value in self.stated.items() if name not in UNSTATED}
        return AlgorithmIdentificationSequence(
            name=self.model,
            family=codes.DCM.ArtificialIntelligence,
            version=labelled(str(self.stated["model_fingerprint"])),
            source=SOFTWARE,
            parameters={"wsi_seg": json.dumps(settings, ensure_ascii=True)},
        )

    def of_series(self, modality: str, classes: Sequence[CodedClass]) -> dict[str, Any]:
        """Return what highdicom asks of the maker of every file of a new series."""
        private = any(PRIVATE in (one.code.scheme, one.category.scheme) for one in classes)
        scheme = CodingSchemeIdentificationItem(PRIVATE, name="wsi-seg: classes without a public code")
        return {
            "series_instance_uid": new_uid(),
            "series_number": SERIES_NUMBERS[modality],
            "series_description": labelled(f"{SOFTWARE}: {self.model}"),
            "manufacturer": SOFTWARE,
            "manufacturer_model_name": SOFTWARE,
            "software_versions": __version__,
            "device_serial_number": __version__,
            "content_label": "TISSUE",
            "content_description": labelled(f"Tissue classes by the model {self.model}"),
            "specific_character_set": UTF_8,
            "coding_schemes": [scheme] if private or modality == "ANN" else None,
        }


def new_uid() -> str:
    """Return a UID that nothing else has: every export is a new object."""
    return str(generate_uid(prefix=None))


def concept(code: Code) -> CodedConcept:
    """Return a code as highdicom has it."""
    return CodedConcept(code.value, code.scheme, code.meaning)
