"""Recipes: those shipped are sound, every value can be changed, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.networks import espnet_config
from helpers.trainings import tiny_recipe

from wsi_seg.errors import UsageError
from wsi_seg.files.shipped import shipped_folder
from wsi_seg.models.architecture import Architecture, build_network
from wsi_seg.models.cost import count_parameters
from wsi_seg.pipelines import load_pipeline
from wsi_seg.training.recipe import Recipe, TrainingRecipe, override

SHIPPED = sorted(path.stem for path in shipped_folder("pipelines").glob("*.yaml"))
PLAIN = Recipe(training=TrainingRecipe(epochs=3))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_make_the_networks_they_name(name: str) -> None:
    recipe = load_pipeline(name).train
    assert recipe is not None
    for stage in recipe.training.stages:
        network = build_network(recipe.model.architecture(3, stage))
        side = 64
        logits = network(torch.zeros(2, 3, side, side))
        assert logits.shape == (2, 3, side // network.output_stride, side // network.output_stride)
        assert network.output_stride == (8 if stage == "encoder" else 1)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_is_the_same_after_a_round_through_json(name: str) -> None:
    recipe = load_pipeline(name).train
    assert recipe is not None
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_one_stain_is_quick_but_for_its_augmentation() -> None:
    quick, one_stain = (load_pipeline(name).train for name in ("quick", "one-stain"))
    assert quick is not None
    assert one_stain is not None
    assert one_stain != quick
    assert one_stain.model_copy(update={"augment": quick.augment}) == quick


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("training.epochs=20", "training.epochs", 20),
        (" training.seed = 7 ", "training.seed", 7),
        ("data.sizes=[[512, 256], [64, 32]]", "data.sizes", ((512, 256), (64, 32))),
        ("optimiser.learning_rate=1.0e-4", "optimiser.learning_rate", 1e-4),
        ("optimiser.clip_norm=null", "optimiser.clip_norm", None),
        ("training.stages=[encoder, full]", "training.stages", ("encoder", "full")),
        ("augment.scale=[1, 2]", "augment.scale", (1, 2)),
        ("data.classes=voc", "data.classes", "voc"),
        ("model.hff=false", "model.hff", False),
        ("model.reinforce=false", "model.reinforce", False),
        ("model.reduce=3", "model.reduce", 3),
        ("model.block=mobilenet", "model.block", "mobilenet"),
    ],
)
def test_any_value_can_be_changed(setting: str, path: str, value: object) -> None:
    found: object = override(PLAIN, [setting])
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_later_settings_go_over_earlier_ones_and_the_original_stays() -> None:
    changed = override(PLAIN, ["training.seed=1", "training.seed=2"])
    assert changed.training.seed == 2
    assert PLAIN.training.seed == 0
    assert override(PLAIN, []) == PLAIN


@pytest.mark.parametrize(
    ("name", "changes", "parameters"), [("camvid-quick", [], 201_021), ("camvid", ["model.q=3"], 202_469)]
)
def test_the_wider_decoder_of_camvid_quick_costs_no_parameters(
    name: str, changes: list[str], parameters: int
) -> None:
    recipe = load_pipeline(name).train
    assert recipe is not None
    model = override(recipe, changes).model
    network = build_network(Architecture(name=model.name, config=model.config(11)))
    assert count_parameters(network) == parameters


def test_minutes_and_epochs_take_each_others_place() -> None:
    timed = override(PLAIN, ["training.minutes=2.5"])
    assert (timed.training.minutes, timed.training.epochs) == (2.5, None)
    counted = override(timed, ["training.epochs=4"])
    assert (counted.training.minutes, counted.training.epochs) == (None, 4)


def test_the_network_can_be_exchanged_with_values_of_its_own() -> None:
    changed = override(PLAIN, ["model.name=biopsy", "model.block=residual"])
    assert changed.model.name == "biopsy"
    assert changed.model.model_dump()["block"] == "residual"
    assert override(changed, ["model.name=espnet", "model.q=5"]).model.model_dump()["q"] == 5


def test_ablations_and_blocks_reach_the_network_of_every_stage() -> None:
    changed = override(PLAIN, ["model.block=resnext", "model.block_width=40", "model.activation=relu"])
    for stage in ("encoder", "full"):
        config = espnet_config(changed.model.architecture(4, stage).config)
        assert (config.block, config.block_width, config.activation) == ("resnext", 40, "relu")
    plain = override(PLAIN, ["model.hff=false", "model.residual=false", "model.reduce=3", "model.down=conv"])
    config = espnet_config(plain.model.architecture(4, "full").config)
    assert (config.hff, config.residual, config.reduce, config.down) == (False, False, 3, "conv")
    with pytest.raises(UsageError, match="hff is False: resnext blocks have no such setting"):
        override(changed, ["model.hff=false"])


@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_variants_without_a_decoder_are_trained_alone(variant: str) -> None:
    settings = [f"model.variant={variant}", "training.stages=[encoder]"]
    config = override(PLAIN, settings).model.architecture(4, "encoder").config
    assert config.title == f"ESPNet-{variant}"
    with pytest.raises(
        UsageError, match=rf"the ESPNet-{variant} network has no full stage: training.stages is \[encoder\]"
    ):
        override(PLAIN, [f"model.variant={variant}", "training.stages=[encoder, full]"])


@pytest.mark.parametrize(
    ("settings", "width"),
    [
        (["model.max_parameters=187529"], 133),
        (["model.max_parameters=187529", "model.max_macs=1000000000"], 55),
    ],
)
def test_a_budget_settles_how_wide_blocks_are(settings: list[str], width: int) -> None:
    changed = override(PLAIN, ["model.block=mobilenet", *settings])
    for stage in ("encoder", "full"):
        assert espnet_config(changed.model.architecture(20, stage).config).block_width == width
    with pytest.raises(UsageError, match="max_parameters and max_macs determine block_width"):
        override(changed, ["model.block_width=9"])
    with pytest.raises(
        UsageError, match=r"model.max_macs: the budget is too small for ESPNet-C .* larger one"
    ):
        override(changed, ["model.max_parameters=1000"])


@pytest.mark.parametrize("name", ["enet", "erfnet", "segnet", "pspnet"])
def test_the_networks_of_the_comparison_are_as_published(name: str) -> None:
    architecture = override(PLAIN, [f"model.name={name}"]).model.architecture(19, "full")
    assert architecture.name == name
    assert architecture.config == type(architecture.config)(19)
    with pytest.raises(UsageError, match=f"the {architecture.config.title} network has no encoder stage"):
        override(PLAIN, [f"model.name={name}", "training.stages=[encoder, full]"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "training.epoch=3",
            r"use NAME=VALUE with one of training\.minutes, training\.epochs",
        ),
        ("training.epochs", "no such setting: use NAME=VALUE"),
        ("training=3", r"one of training\.minutes"),
        ("nonsense.x=3", r"one of model\. \.\.\., data\. \.\.\."),
        ("=3", "no such setting"),
        ("model.blocks=esp", r"one of model\.name, model\.max_parameters, model\.max_macs, model\.p"),
        ("model.block=vgg", r"recipe: model\.block: input should be 'esp'"),
        ("model.block_width=3", r"recipe: model: block_width is 3: an ESP module has branches"),
        ("model.reduce=5", r"recipe: model\.reduce: input should be 1 or 3"),
        ("model.q=[1", "'\\[1' is not a value: write it as in YAML"),
        ("model.name=resnet", "recipe: model.name: 'resnet' is not one of 'espnet', 'biopsy'"),
        ("training.epochs=abc", r"recipe: training\.epochs: input should be a valid integer"),
        ("training.epochs=0", r"recipe: training\.epochs: input should be greater than or equal to 1"),
        ("training.minutes=0", r"recipe: training\.minutes: input should be greater than 0"),
        ("training.minutes=nan", r"recipe: training\.minutes: input should be a finite number"),
        ("training.minutes=null", "recipe: training: give either minutes or epochs"),
        ("training.stages=[]", r"recipe: training\.stages: tuple should have at least 1 item"),
        ("training.stages=[decoder]", r"recipe: training\.stages\.0: input should be 'encoder' or 'full'"),
        ("data.patch=100", r"recipe: data\.patch: input should be a multiple of 8"),
        (
            "data.sampling=whole",
            r"recipe: data: sampling whole images needs sizes, such as \[\[1024",
        ),
        ("loss.dice=.nan", r"recipe: loss\.dice: input should be a finite number"),
        ("augment.scale=[2, 1]", "recipe: augment: scale goes from 2 down to 1: swap them"),
        ("data.classes=3", r"recipe: data\.classes: input should be a valid string"),
    ],
)
def test_mistakes_are_named_in_one_line(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        override(PLAIN, [setting])
    assert "\n" not in str(error.value)
    assert "value error" not in str(error.value).lower()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["training.minutes=1", "optimiser.schedule=step"],
            "its learning rate falls by epochs, so minutes cannot be its length: give training.epochs=N "
            "without --minutes, or optimiser.schedule=cosine beside --minutes: change it with --set",
        ),
        (
            ["model.name=biopsy", "training.stages=[encoder, full]"],
            "has no encoder stage: training.stages is",
        ),
        (
            ["data.sampling=whole", "data.sizes=[[64, 64]]", "training.epochs=2", "training.epoch_steps=5"],
            "training.epoch_steps is for patches that are drawn",
        ),
        (["data.sampling=whole", "data.sizes=[[64, 32]]"], "oblong images cannot be turned by quarters"),
    ],
)
def test_values_that_do_not_go_together(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        override(PLAIN, settings)


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "voc"])
def test_a_recipe_by_epochs_takes_minutes_with_another_schedule(name: str) -> None:
    recipe = load_pipeline(name).train
    assert recipe is not None
    for minutes in ({"training.minutes": 1}, ["training.minutes=1"]):
        with pytest.raises(UsageError, match=r"optimiser\.schedule=cosine beside --minutes"):
            override(recipe, minutes)
        assert override(recipe, minutes, ["optimiser.schedule=cosine"]).training.minutes == 1
    shorter = override(recipe, ["training.epochs=3"])
    assert (shorter.training.epochs, shorter.optimiser.schedule) == (3, "step")


def test_a_pipeline_with_a_typo_names_file_and_value(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("description: mine\ntrain:\n  training: {epochs: 3, epoch_step: 5}\n")
    with pytest.raises(UsageError, match=r"mine\.yaml: train\.training\.epoch_step: extra inputs"):
        load_pipeline(str(path))
    path.write_text("description: mine\ntrain:\n  training: {epochs: 3\n")
    with pytest.raises(UsageError, match=r"mine\.yaml: not YAML"):
        load_pipeline(str(path))
    with pytest.raises(UsageError, match="no pipeline named 'quik': use one of "):
        load_pipeline("quik")


def test_the_tests_own_recipe_is_sound() -> None:
    assert tiny_recipe("training.epochs=2").training.epochs == 2
