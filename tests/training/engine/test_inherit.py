"""What a network takes over from another."""

from __future__ import annotations

import pytest
import torch
from helpers.networks import layer
from helpers.trainings import SCHEMA
from torch import Tensor, nn

from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.paper.networks.segnet import SegNet, SegNetConfig
from wsi_seg.training.engine.inherit import take_over

OTHER = ClassSchema(
    name="other",
    classes=(
        TissueClass(id=4, name="Glass", color=(255, 255, 255)),
        TissueClass(id=5, name="nerve ", color=(1, 2, 3)),
        TissueClass(id=6, name="Fat", color=(4, 5, 6)),
        TissueClass(id=7, name="Cancer", color=(7, 8, 9), aliases=("Tumour",)),
    ),
)
PAIRS = ((1, 3), (2, 1))
"""Classes of `SCHEMA` and those of the same name in `OTHER`."""


def espnet(classes: int, seed: int, variant: str = "full", **shape: object) -> ESPNet:
    torch.manual_seed(seed)
    return ESPNet(ESPNetConfig(classes=classes, p=1, q=1, variant=variant, **shape))  # type: ignore[arg-type]


def copy_of(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_same_network_is_kept_whole() -> None:
    network, other = espnet(3, 0), espnet(3, 1)
    kept = take_over(network, other.state_dict(), SCHEMA, SCHEMA)
    assert all(torch.equal(a, other.state_dict()[n]) for n, a in network.state_dict().items())
    assert kept.new == ()
    assert kept.tensors + len(kept.rows) == kept.total
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(network.eval()(image), other.eval()(image))


@pytest.mark.parametrize("width", [None, 3, 4])
@pytest.mark.parametrize("variant", ["full", "C"])
def test_classes_of_the_same_name_keep_their_outputs(variant: str, width: int | None) -> None:
    """Also where the decoder is as wide as either has classes, and the axes look alike."""
    shape = {} if variant == "C" or width is None else {"decoder_width": width, "branches": 2}
    network, other = espnet(3, 0, variant, **shape), espnet(4, 1, variant, **shape)
    fresh = copy_of(network)
    kept = take_over(network, other.state_dict(), SCHEMA, OTHER)
    last, axis = ("encoder.head.weight", 0) if variant == "C" else ("decoder.level1_up.weight", 1)
    assert kept.rows == (last,)
    new = network.state_dict()[last]
    for mine, theirs in PAIRS:
        assert torch.equal(new.select(axis, mine), other.state_dict()[last].select(axis, theirs))
    assert torch.equal(new.select(axis, 0), fresh[last].select(axis, 0))
    for name, tensor in network.state_dict().items():
        if name != last:
            source = fresh if name in kept.new else other.state_dict()
            assert torch.equal(tensor, source[name])
    assert "classes of the same name in " + last in str(kept)


def test_reordered_classes_keep_their_meaning() -> None:
    """As many classes as the decoder is wide: an output is found where its name is, not where it was."""
    schema = ClassSchema(name="reversed", classes=SCHEMA.classes[::-1])
    network, other = (espnet(3, seed, decoder_width=3, branches=2).eval() for seed in (0, 1))
    take_over(network, other.state_dict(), schema, SCHEMA)
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(network(image), other(image).flip(1))


def test_a_last_layers_bias_goes_with_its_weight() -> None:
    schema = ClassSchema(name="reversed", classes=SCHEMA.classes[::-1])
    network, other = SegNet(SegNetConfig(3, width=2)).eval(), SegNet(SegNetConfig(3, width=2)).eval()
    assert other.classify.bias is not None
    torch.nn.init.normal_(other.classify.bias)
    kept = take_over(network, other.state_dict(), schema, SCHEMA)
    assert kept.rows == ("classify.weight", "classify.bias")
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(network(image), other(image).flip(1))


def test_the_encoder_goes_over_into_the_full_network() -> None:
    encoder, full = espnet(3, 0, "C"), espnet(3, 1)
    fresh = copy_of(full)
    kept = take_over(full, encoder.state_dict(), SCHEMA, SCHEMA)
    for name, tensor in full.state_dict().items():
        if name.startswith("encoder.") and name != "encoder.head.weight":
            assert torch.equal(tensor, encoder.state_dict()[name])
        else:
            assert torch.equal(tensor, fresh[name])
            assert name in kept.new
    narrow = espnet(3, 1, decoder_width=3, branches=2)
    take_over(narrow, encoder.state_dict(), SCHEMA, SCHEMA)
    head = "encoder.head.weight"
    assert torch.equal(narrow.state_dict()[head], encoder.state_dict()[head])


def test_nothing_fits_another_kind_of_network() -> None:
    network = BiopsyNet(BiopsyConfig(classes=3))
    fresh = copy_of(network)
    kept = take_over(network, espnet(3, 0).state_dict(), SCHEMA, SCHEMA)
    assert kept.tensors == 0
    assert kept.rows == ()
    assert len(kept.new) == kept.total
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in network.state_dict().items())
    assert str(kept).startswith(f"0 of {kept.total} tensors kept, new: ")
    assert str(kept).endswith(" ...")


def test_no_class_in_common_leaves_the_outputs_new() -> None:
    strangers = ClassSchema(
        name="strangers",
        classes=tuple(TissueClass(id=i, name=f"class {i}", color=(i, i, i)) for i in range(3)),
    )
    network, other = espnet(3, 0), espnet(3, 1)
    fresh = copy_of(network)
    kept = take_over(network, other.state_dict(), SCHEMA, strangers)
    last = "decoder.level1_up.weight"
    assert kept.new == (last,)
    assert torch.equal(network.state_dict()[last], fresh[last])


def test_the_last_layer_of_a_network_that_diagnoses_is_its_segmentation_s() -> None:
    torch.manual_seed(0)
    network, other = (BiopsyNet(BiopsyConfig(classes, diagnoses=3)) for classes in (3, 4))
    kept = take_over(network, other.state_dict(), SCHEMA, OTHER)
    assert kept.rows == ("head1.2.weight",)
    assert any(name.startswith("diagnosis.classify") for name in network.state_dict())
    for mine, theirs in PAIRS:
        weight, earlier = (layer(each, "head1.2", nn.Conv2d).weight for each in (network, other))
        assert torch.equal(weight[mine], earlier[theirs])
