"""Networks by name: ours, and those of other packages, which are found by their entry points."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models import registry
from wsi_seg.models.architecture import architecture_of, build_network
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.described import read_header
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.models.registry import find_network, name_of, network_names, register_network
from wsi_seg.training.recipe import Recipe, TrainingRecipe, override

SCHEMA = ClassSchema(
    name="two",
    classes=(
        TissueClass(id=0, name="Stroma", color=(255, 150, 255)),
        TissueClass(id=1, name="Tumour", color=(0, 0, 130)),
    ),
)
MODULE = """
from dataclasses import dataclass
from torch import nn
from wsi_seg.models.network import Network, NetworkConfig

@dataclass(frozen=True)
class FlatConfig(NetworkConfig):
    width: int = 4

class Flat(Network):
    config_type = FlatConfig

    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.Sequential(nn.Conv2d(3, config.width, 1), nn.Conv2d(config.width, config.classes, 1))

    def forward(self, image):
        self.check_sides(image)
        return self.layers(image)
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of what a test registers, or finds, to the next."""
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(registry, "_registered", {})


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, points: dict[str, str]) -> Path:
    """Install a package of one module, as pip leaves it: the module, and what says of it."""
    module = f"{package.replace('-', '_')}_of_{folder.name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(MODULE)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {module}:{attribute}" for name, attribute in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[wsi_seg.networks]", *lines, ""]))
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    return folder / f"{module}.py"


def header_of(config: NetworkConfig) -> ModelHeader:
    spec = InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0)
    return ModelHeader(name="flat", architecture=architecture_of(config), classes=SCHEMA, input=spec)


def test_a_packages_network_is_found_by_its_entry_point_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = install(tmp_path, monkeypatch, "flat-networks", {"flat": "Flat"})
    assert "flat" in network_names()
    find_network("espnet")
    assert module.stem not in sys.modules, "what is not named is not imported"

    recipe = override(
        Recipe(training=TrainingRecipe(epochs=1)), ["model.name=flat", "model.width=6", "training.seed=1"]
    )
    assert module.stem in sys.modules
    assert recipe.model_dump()["model"] == {"name": "flat", "width": 6}
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    with pytest.raises(UsageError, match=r"one of model\.name, model\.width"):
        override(recipe, ["model.depth=2"])

    architecture = recipe.model.architecture(2, "full")
    network = build_network(architecture).eval()
    assert (architecture.name, name_of(network.config)) == ("flat", "flat")
    path = tmp_path / "flat.safetensors"
    save_bundle(path, network, header_of(network.config))
    bundle = load_bundle(path)
    image = torch.randn(1, 3, 16, 8)
    assert torch.equal(bundle.network(image), network(image))
    assert bundle.architecture.config.shape == "width = 6"


def test_a_model_file_of_a_network_that_is_not_installed_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as installed:
        install(tmp_path, installed, "flat-networks", {"flat": "Flat"})
        config = find_network("flat").config_type(2)
        save_bundle(tmp_path / "flat.safetensors", build_network(architecture_of(config)), header_of(config))
    registry._found.clear()
    for read in (read_header, load_bundle):
        with pytest.raises(ModelError, match="install the package that has it") as error:
            read(tmp_path / "flat.safetensors")
        assert str(error.value).startswith(f"{tmp_path}/flat.safetensors: a network that this wsi-seg does")
        assert "(flat)" in str(error.value)


@pytest.mark.parametrize(("name", "other"), [("flat", "rival"), ("espnet", "wsi-seg")])
def test_two_packages_with_a_network_of_one_name_are_refused_by_both_names(
    name: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "flat-networks", {name: "Flat"})
    if other == "rival":
        install(tmp_path, monkeypatch, other, {name: "Flat"})
    with pytest.raises(ModelError, match=f"the network '{name}' is offered by .*: uninstall all") as error:
        find_network(name)
    assert {"flat-networks", other} <= set(str(error.value).replace(":", "").split())


@pytest.mark.parametrize(
    ("attribute", "added", "said"),
    [
        ("Missing", "", "cannot be loaded (AttributeError: "),
        ("Flat", "raise OSError('no\\nlicence')", "cannot be loaded (OSError: no licence)"),
        ("nn", "", "it is no class that derives from wsi_seg.models.network.Network"),
        ("FlatConfig", "", "it is no class that derives from"),
        ("Flat", "Flat.config_type = dict", "its config_type is no dataclass that derives from"),
        ("Flat", "class C(NetworkConfig): pass\nFlat.config_type = C", "C lacks the decorator @dataclass"),
        (
            "Flat",
            "@dataclass(frozen=True)\nclass C(NetworkConfig):\n  depth: int\nFlat.config_type = C",
            "C.depth has no default",
        ),
        (
            "Flat",
            "@dataclass(frozen=True)\nclass C(NetworkConfig):\n  name: str = ''\nFlat.config_type = C",
            "C has a field called name",
        ),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_in_one_line_that_names_its_package(
    attribute: str, added: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = install(tmp_path, monkeypatch, "flat-networks", {"flat": attribute})
    module.write_text(f"{MODULE}\n{added}\n")
    with pytest.raises(ModelError) as error:
        override(Recipe(training=TrainingRecipe(epochs=1)), ["model.name=flat"])
    assert str(error.value).startswith("the network 'flat' of flat-networks ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@dataclass(frozen=True)
class WideConfig(NetworkConfig):
    sides: int = 16

    @property
    def multiple(self) -> int:
        return self.sides


class Wide(Network):
    config_type = WideConfig

    def __init__(self, config: WideConfig) -> None:
        super().__init__(config)
        self.classify = nn.Conv2d(3, config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        self.check_sides(image)
        logits: Tensor = self.classify(image)
        return logits


def test_a_network_registered_in_this_process_is_one_like_others() -> None:
    register_network("wide", Wide)
    register_network("wide", Wide)  # a notebook's cell is run twice
    assert find_network("wide") is Wide
    assert name_of(WideConfig(2)) == "wide"
    with pytest.raises(ModelError, match="'espnet' is offered by wsi-seg and this process"):
        register_network("espnet", Wide)
    with pytest.raises(ModelError, match="'wide' and 'second' have one config_type"):
        register_network("second", Wide)


def test_a_config_of_no_registered_network_is_refused() -> None:
    with pytest.raises(ModelError, match="WideConfig is of no registered network: register its class"):
        architecture_of(WideConfig(2))


def test_settings_of_a_config_are_checked_and_none_is_passed_over() -> None:
    register_network("wide", Wide)
    document = header_of(WideConfig(2)).model_dump(mode="json")
    assert document["architecture"] == {"name": "wide", "config": {"classes": 2, "sides": 16}}
    for config, said in (
        ({"classes": 2, "side": 16}, "Unexpected keyword argument"),
        ({"classes": 2, "sides": "many"}, "valid integer"),
        ({"classes": 1}, "classes is 1: a segmentation needs 2 or more"),
        ({"classes": 2, "sides": 24}, "sides are multiples of 24, which does not divide 64"),
        ([], "architecture.config"),
    ):
        with pytest.raises(ValueError, match=said):
            ModelHeader.model_validate(document | {"architecture": {"name": "wide", "config": config}})
    with pytest.raises(ValueError, match="a dictionary or an instance of ESPNetConfig"):
        ModelHeader.model_validate(document | {"architecture": {"name": "espnet", "config": WideConfig(2)}})


def test_sizes_that_a_network_does_not_take_are_refused_before_a_training() -> None:
    register_network("wide", Wide)
    plain = Recipe(training=TrainingRecipe(epochs=1))
    settings = ["model.name=wide", "model.sides=64"]
    assert override(plain, settings).model.config(2).multiple == 64
    with pytest.raises(UsageError, match=r"data\.patch is 96: the Wide network takes multiples of 64"):
        override(plain, [*settings, "data.patch=96"])
    with pytest.raises(UsageError, match=r"data\.input_size is 96: the Wide network takes multiples of 64"):
        override(plain, [*settings, "data.input_size=[128, 96]"])
    with pytest.raises(
        UsageError, match=r"the Wide network has no encoder stage: training\.stages is \[full\]"
    ):
        override(plain, [*settings, "training.stages=[encoder, full]"])


def test_configs_that_derive_from_the_common_one_give_the_header_that_there_was() -> None:
    """Field for field, in the order that model files have had from the first."""
    config = replace(ESPNetConfig(3, p=1), variant="C")
    document = architecture_of(config).model_dump(mode="json")
    assert list(document["config"]) == [
        *("classes", "p", "q", "branches", "variant", "decoder_width", "decoder_skip", "block"),
        *("block_width", "down", "reduce", "hff", "residual", "reinforce", "activation"),
    ]
    assert document["name"] == "espnet"
    assert isinstance(build_network(architecture_of(config)), ESPNet)


def test_the_product_imports_nothing_that_only_the_paper_needs() -> None:
    code = (
        "import sys, wsi_seg.training.recipe as r; "
        "import wsi_seg.models.bundle as b, wsi_seg.models.lookup as l; "
        "b.load_bundle(l.resolve_model('breast-demo')); r.Recipe(training=r.TrainingRecipe(epochs=1)); "
        "print(*[m for m in sys.modules if m.startswith('wsi_seg.paper')])"
    )
    root = Path(registry.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
