"""A model file describes itself without contradiction."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader

SCHEMA = ClassSchema(
    name="three", classes=tuple(TissueClass(id=i, name=f"class {i}", color=(i, 0, 0)) for i in range(3))
)


def test_a_header_has_as_many_classes_as_the_network() -> None:
    with pytest.raises(
        ValidationError, match="4 output channels, but the class schema 'three' has 3 classes"
    ):
        ModelHeader(
            name="x",
            architecture=architecture_of(ESPNetConfig(4, p=1, q=1)),
            classes=SCHEMA,
            input=InputSpec(channels="rgb", mean=(200, 150, 190), std=(30, 40, 35)),
        )
