"""Networks given in Python: what is found out about them, and that they go all the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.bundle import held, load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.given import is_given, load_given, model_of
from wsi_seg.models.header import InputSpec

SCHEMA = ClassSchema(
    name="two",
    classes=(
        TissueClass(id=0, name="Stroma", color=(225, 150, 200)),
        TissueClass(id=1, name="Tumour", color=(110, 60, 150)),
    ),
)
SPEC = InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0)


class Skips(nn.Module):
    """A U-Net's way: maps are halved, and put beside those they come from, whose sides they must have."""

    def __init__(self, halvings: int = 2, stride: int = 1, classes: int = 2, tied: bool = False) -> None:
        super().__init__()
        self.halvings, self.stride = halvings, stride
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(16, classes, 1)
        if tied:
            self.also = self.deep

    def forward(self, image: Tensor) -> Tensor:
        fine = self.first(image)
        coarse = fine
        for _ in range(self.halvings):
            coarse = functional.max_pool2d(self.deep(coarse), 2)
        coarse = functional.interpolate(coarse, scale_factor=2.0**self.halvings)
        logits: Tensor = self.last(torch.cat([fine, coarse], dim=1))
        return functional.avg_pool2d(logits, self.stride) if self.stride > 1 else logits


class Pooled(nn.Module):
    """Sees all of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.last(image + 5 * image.mean(dim=(2, 3), keepdim=True))
        return logits


class Returning(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.last = kind, nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> object:
        logits = self.last(image)
        return {
            "dict": {"out": logits},
            "vector": logits.mean(dim=(2, 3)),
            "labels": logits.argmax(1, keepdim=True),
            "cut": logits[..., 1:],
        }[self.kind]


@pytest.mark.parametrize(
    ("module", "sides", "stride"),
    [(Skips(0), 1, 1), (Skips(2), 4, 1), (Skips(5), 32, 1), (Skips(1, stride=4), 4, 4), (Pooled(), 1, 1)],
)
def test_stride_and_sides_are_found_out(module: nn.Module, sides: int, stride: int) -> None:
    bundle = model_of(module, SCHEMA, SPEC)
    config = bundle.network.config
    assert (config.multiple, config.output_stride) == (sides, stride)
    image = torch.randn(1, 3, 2 * sides, 4 * sides)
    with torch.no_grad():
        assert torch.equal(bundle.network(image), module(image))
    assert not bundle.network.training
    assert is_given(bundle.network)


def test_how_far_it_sees_is_measured_and_said() -> None:
    near, all_over = (model_of(m, SCHEMA, SPEC).network.config for m in (Skips(0), Pooled()))
    assert near.reach is not None
    assert near.reach <= 2
    assert f"depends on {near.reach} pixels around it" in near.shape
    assert all_over.reach is None
    assert "so classes depend on the patch" in all_over.shape


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Skips(classes=5), "gives 5 channels, but 2 classes are named"),
        (Skips(7), "sides of multiples of 1 to 64"),
        (Returning("dict"), "returns a dict: wrap it in one that returns the logits"),
        (Returning("vector"), r"returns \(1, 2\) torch.float32: give float logits"),
        (Returning("labels"), "torch.int64: give float logits"),
        (Returning("cut"), "sides of multiples of 1 to 64"),
    ],
)
def test_what_is_no_segmentation_of_these_classes_is_refused_in_one_line(
    module: nn.Module, said: str
) -> None:
    with pytest.raises(ModelError, match=said) as error:
        model_of(module, SCHEMA, SPEC)
    assert "\n" not in str(error.value)
    assert type(module).__name__ in str(error.value)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(UsageError, match=r"network=<function .*: give a torch\.nn\.Module"):
        model_of(lambda image: image, SCHEMA, SPEC)  # type: ignore[arg-type]


def test_the_fingerprint_is_that_of_weights_and_configuration() -> None:
    torch.manual_seed(0)
    module = Skips()
    first = model_of(module, SCHEMA, SPEC)
    assert model_of(module, SCHEMA, SPEC) is first
    assert held(first.fingerprint) is first
    with torch.no_grad():
        next(module.parameters()).add_(1)
    assert model_of(module, SCHEMA, SPEC).fingerprint != first.fingerprint
    other = SPEC.model_copy(update={"mpp": 1.0})
    assert model_of(module, SCHEMA, other).fingerprint != first.fingerprint


@pytest.mark.parametrize("tied", [False, True])
def test_a_file_is_read_again_with_the_network_alone(tied: bool, tmp_path: Path) -> None:
    bundle = model_of(Skips(tied=tied), SCHEMA, SPEC)
    path = tmp_path / "given.safetensors"
    assert save_bundle(path, bundle.network, bundle.header) == bundle.fingerprint
    again = load_given(path, Skips(tied=tied))
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again.network(image), bundle.network(image))
    with pytest.raises(ModelError, match=r"was given in Python .*load_model\(PATH, network=") as error:
        load_bundle(path)
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(ModelError, match=r"Skips with other layers or settings than the .*Pooled given"):
        load_given(path, Pooled())


def test_a_model_is_kept_for_as_long_as_somebody_has_it() -> None:
    fingerprint = model_of(Skips(), SCHEMA, SPEC).fingerprint
    assert held(fingerprint) is None
