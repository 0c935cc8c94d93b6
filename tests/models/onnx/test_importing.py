from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from helpers.onnx_files import UNIT, config_of, random_rgb, saved, schema, write_onnx

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.inference.network.choice import choose_form
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.bundle import ModelBundle
from wsi_seg.models.model_export import export_model
from wsi_seg.models.onnx.importing import import_onnx
from wsi_seg.models.onnx.onnx_config import OnnxConfig
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.onnx.ports import Stated
from wsi_seg.models.upstream import InputOverrides


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return saved(write_onnx(tmp_path_factory.mktemp("plain") / "net.onnx", kernel=1))


def test_a_model_file_holds_the_network_and_all_that_was_found_out(plain: ModelBundle) -> None:
    config = plain.network.config
    assert isinstance(config, OnnxConfig)
    assert (config.input, config.output, config.layout, config.output_layout) == (
        "image",
        "logits",
        "NCHW",
        "NCHW",
    )
    assert (config.values, config.stride, config.side, config.batch) == ("logits", 1, None, None)
    assert (config.reach, config.weights, config.opset) == (0, 9, 17)
    assert plain.training["file"] == "net.onnx"


def test_labels_are_the_channels_with_the_largest_number(plain: ModelBundle) -> None:
    segmenter = Segmenter(plain, torch.device("cpu"))
    pixels = random_rgb()
    found = segmenter(pixels, margin=32)
    expected = 10 + pixels.argmax(axis=3)[:, 32:-32, 32:-32]
    np.testing.assert_array_equal(found.labels, expected)
    np.testing.assert_array_equal(segmenter(pixels, margin=32, confidence=True).labels, found.labels)
    np.testing.assert_array_equal(segmenter.twin()(pixels, margin=32).labels, found.labels)
    assert str(segmenter.choice).startswith("plain: ONNX Runtime ")
    assert str(segmenter.choice).endswith(", CPU")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_labels_are_the_same_for_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    bundle = saved(write_onnx(tmp_path / "net.onnx", kernel=9, last=("Relu", "Sigmoid")))
    found = [Segmenter(bundle, torch.device("cpu"), threads=n).logits(random_rgb()) for n in (1, threads)]
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("options", "values"),
    [({}, "logits"), ({"last": ("Softmax",)}, "softmax"), ({"last": ("Sigmoid",)}, "sigmoid")],
)
def test_what_the_output_holds_is_found_out(tmp_path: Path, options: dict[str, Any], values: str) -> None:
    path = write_onnx(tmp_path / "net.onnx", **options)
    assert config_of(path).values == values
    assert config_of(path, stated=Stated(probabilities=False)).values == "logits"


def test_confidence_of_a_softmax_is_its_probability(tmp_path: Path) -> None:
    bundle = saved(write_onnx(tmp_path / "net.onnx", kernel=1, last=("Softmax",)))
    pixels = random_rgb(64, 64, 1)
    sure = Segmenter(bundle, torch.device("cpu"))(pixels, confidence=True).confidence
    numbers = np.exp(4.0 * pixels / 255.0)
    expected = (255 * numbers / numbers.sum(axis=3, keepdims=True)).max(axis=3)
    assert sure is not None
    np.testing.assert_allclose(sure, expected, atol=0.51)


def test_one_channel_is_two_classes_by_a_probability_of_a_half(tmp_path: Path) -> None:
    def shifted(model: Any) -> None:
        bias = onnx.numpy_helper.from_array(np.array([-2], np.float32), "bias")
        model.graph.initializer.append(bias)
        model.graph.node[0].input.append("bias")

    bundle = saved(
        write_onnx(tmp_path / "net.onnx", classes=1, kernel=1, last=("Sigmoid",), change=shifted), 2
    )
    pixels = random_rgb(64, 64, 1)
    labels = Segmenter(bundle, torch.device("cpu"))(pixels).labels
    np.testing.assert_array_equal(labels, 10 + (pixels[..., 0] > 127.5))


def test_axes_strides_and_fixed_sizes_are_found_out(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert config_of(write_onnx(path, layout="NHWC", kernel=1)).layout == "NHWC"
    strided = config_of(write_onnx(path, stride=4, kernel=4))
    assert (strided.stride, strided.output_stride, strided.reach) == (4, 4, 3)
    fixed = config_of(write_onnx(path, side=224, batch=1))
    assert (fixed.side, fixed.batch, fixed.multiple) == (224, 1, 32)


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    bundle = saved(write_onnx(tmp_path / "net.onnx", kernel=1, batch=2))
    pixels = random_rgb(64, 64, 3)
    labels = Segmenter(bundle, torch.device("cpu"))(pixels).labels
    np.testing.assert_array_equal(labels, 10 + pixels.argmax(axis=3))


def test_the_reach_is_measured_and_its_halo_taken(tmp_path: Path) -> None:
    config = config_of(write_onnx(tmp_path / "net.onnx", kernel=25))
    assert config.reach == 12
    pooled = config_of(
        write_onnx(tmp_path / "mean.onnx", kernel=1, last=("InstanceNormalization",), change=_norm)
    )
    assert pooled.reach is None


def _norm(model: Any) -> None:
    for name, value in (("scale", 1.0), ("shift", 0.0)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(3, value, np.float32), name))
        model.graph.node[1].input.append(name)


@pytest.mark.parametrize(
    ("options", "count", "says"),
    [
        ({"last": ("ArgMax",)}, 3, "without the argmax"),
        ({"last": ("Frob",), "domain": "com.example"}, 3, "com.example.Frob"),
        ({"classes": 4}, 3, "4 channels, and the schema 3"),
        ({"side": 225}, 3, "225 x 225 px alone"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, options: dict[str, Any], count: int, says: str
) -> None:
    path = write_onnx(tmp_path / "net.onnx", **options)
    with pytest.raises(ModelError, match=says) as caught:
        import_onnx(path, schema(count), UNIT)
    assert str(path) in str(caught.value)


def test_one_of_several_outputs_has_to_be_named(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", kernel=1, outputs=("logits", "again"))
    with pytest.raises(UsageError, match=r"--output-name.*logits.*again"):
        import_onnx(path, schema(), UNIT)
    assert config_of(path, stated=Stated(output="again")).output == "again"


def test_weights_beside_the_file_are_taken_in_and_others_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    assert config_of(path).weights == 81
    moved = onnx.load(str(path), load_external_data=False)
    for entry in moved.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../net.data"
    path.write_bytes(moved.SerializeToString())
    (tmp_path.parent / "net.data").write_bytes((tmp_path / "net.data").read_bytes())
    with pytest.raises(ModelError, match="only files beside"):
        import_onnx(path, schema(), UNIT)


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for content in (b"", b"\x80\x04junk", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not an ONNX file"):
            import_onnx(path, schema(), UNIT)


def test_negligible_weights_become_0_and_single_numbers_stay(tmp_path: Path) -> None:
    from wsi_seg.models.onnx.graph import read_graph

    def tiny(model: Any) -> None:
        weight = model.graph.initializer[0]
        numbers = np.frombuffer(weight.raw_data, np.float32).copy()
        numbers[1] = 1e-38
        weight.raw_data = numbers.tobytes()
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1e-30, np.float32), "eps"))

    graph = read_graph(write_onnx(tmp_path / "net.onnx", change=tiny))
    held = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in onnx.ModelProto.FromString(graph.data).graph.initializer
    }
    assert held["weight"].reshape(-1)[1] == 0
    assert held["eps"] == np.float32(1e-30)


def test_mean_and_std_have_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --mean and --std"):
        import_onnx(write_onnx(tmp_path / "net.onnx"), schema(), InputOverrides())


def test_forms_of_other_networks_are_refused(plain: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--compile no"):
        choose_form(plain.architecture.config, "cpu", "float32", "yes")
    with pytest.raises(UsageError, match="--precision bfloat16"):
        choose_form(plain.architecture.config, "cpu", "bfloat16", "auto")
    with pytest.raises(UsageError, match="came as an ONNX file"):
        export_model(plain, tmp_path / "again.onnx", "onnx", 512)


def test_without_onnx_runtime_the_remedy_is_named(
    plain: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'wsi-seg\[onnx\]'"):
        choose_form(plain.architecture.config, "cpu", "float32", "auto")


def test_a_network_that_was_run_can_be_copied(plain: ModelBundle) -> None:
    assert isinstance(plain.network, OnnxNet)
    image = torch.rand(1, 3, 64, 64)
    expected = plain.network(image)
    for again in (copy.deepcopy(plain.network), pickle.loads(pickle.dumps(plain.network))):
        assert torch.equal(again(image), expected)


def test_trial_runs_are_few_small_and_heard_of(tmp_path: Path) -> None:
    heard: list[tuple[int, int, float]] = []
    free, fixed = (
        write_onnx(tmp_path / f"{side}.onnx", kernel=1, side=side, batch=1) for side in (None, 224)
    )
    import_onnx(free, schema(), UNIT, report=lambda *run: heard.append(run))
    assert heard == [(done, 8, 512 * 256 / 1e6) for done in range(9)]
    heard.clear()
    import_onnx(fixed, schema(), UNIT, report=lambda *run: heard.append(run))
    assert heard == [(done, 8, 224 * 224 / 1e6) for done in range(9)]
