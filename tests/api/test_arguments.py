from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import wsi_seg as ws

NETWORK = {"classes": ["a", "b", "c"], "mpp": 2.0, "mean": [0.5] * 3, "std": [0.2] * 3}
ROOT = Path(__file__).parent
RGB = np.zeros((64, 64, 3), np.uint8)


WS: Any = ws
"""The same, called with values of a wrong type on purpose."""


def network(**changed: object) -> Any:
    given = {**NETWORK, **changed}
    return WS.Model.from_torch(nn.Conv2d(3, 3, 3, padding=1), **given)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: WS.load_model(3), "3: not a path: give a string or a Path"),
        (lambda: WS.open_slide(None), "None: not a path"),
        (lambda: WS.open_slide("s.tiff", mpp="a"), "mpp='a': not a number"),
        (lambda: WS.load_model("breast-demo").segment(RGB, mpp="2"), "mpp='2': not a number"),
        (lambda: WS.load_model("breast-demo").segment(RGB, precision="x"), "precision='x': "),
        (lambda: WS.load_model("breast-demo").segment(RGB, compile=True), "compile=True: "),
        (lambda: network(classes=3), "classes=3: give their names"),
        (lambda: network(mean=0.5), "mean=0.5: give three numbers"),
        (lambda: network(name=5), "name=5: give a string"),
        (lambda: WS.train([("s", "a")], out="t", rest=5), "rest=5: "),
        (lambda: WS.train([("s", "a")], out="t", minutes="1"), "minutes='1': not a number"),
        (lambda: WS.train([("s", "a")], out="t", mpp="1"), "mpp='1': not a number"),
        (lambda: WS.train([("s", "a")], out="t", overwrite="no"), "overwrite='no': give True or False"),
        (
            lambda: WS.train([("s", "a")], out="t", settings=[5]),
            "settings: 5: give part.name=value, or a dict",
        ),
        (lambda: WS.Runner(confidence="yes"), "confidence='yes': give True or False"),
        (lambda: WS.Runner(gzip=0), "gzip=0: give True or False"),
        (lambda: WS.Runner(overwrite="no"), "overwrite='no': give True or False"),
        (lambda: WS.Runner(workers=True), "workers=True: give a number"),
        (lambda: WS.open_slide("s.tiff", from_level_0=1), "from_level_0=1: give True or False"),
        (lambda: WS.check_geojson("a", coverage="no"), "coverage='no': give True or False"),
        (
            lambda: WS.evaluate("breast-demo", [], from_level_0="no"),
            "from_level_0='no': give True or False",
        ),
        (lambda: WS.evaluate("breast-demo", None), "None: not data"),
        (lambda: WS.evaluate("breast-demo", [5]), "5 is not a pair"),
        (lambda: WS.load_model("breast-demo", network=5), "network=5: give a torch.nn.Module"),
        (lambda: network(mean=[]), "mean=[]: give three numbers"),
        (lambda: network(std="abc"), "std='abc': give three numbers"),
        (lambda: network(std=[0.2, 0.2, "0.2"]), "std=[0.2, 0.2, '0.2']: give three numbers"),
        (lambda: network(std=[0.2, 0.2, -1]), "std=(0.2, 0.2, -1.0): input should be"),
        (lambda: network(mpp="2"), "mpp='2': not a number"),
        (lambda: network(mpp=0), "mpp=0: input should be"),
        (lambda: network(channels="x"), "channels='x': input should be 'rgb' or 'bgr'"),
        (lambda: network(classes=ROOT / "none.yaml"), "none.yaml: cannot be read"),
        (lambda: WS.open_slide("s.tiff", mpp=10**400), "mpp=1000"),
        (lambda: WS.Runner(workers="2"), "workers='2': give a number"),
        (lambda: WS.Runner(scheduler=5), "scheduler=5: give a string or a Path"),
        (lambda: WS.Runner(progress="bar"), "progress='bar': give a wsi_seg.progress.Progress"),
        (lambda: WS.load_model("breast-demo").segment(RGB, device=5), "device=5: input should be"),
        (lambda: WS.evaluate("breast-demo", [], device=5), "device=5: input should be"),
        (lambda: WS.evaluate("breast-demo", [], classes=5), "classes=5: give a string or a Path"),
        (
            lambda: WS.evaluate("breast-demo", [], progress=5),
            "progress=5: give a wsi_seg.progress.Progress",
        ),
        (
            lambda: WS.train([("s", "a")], out="t", pipeline=None),
            "pipeline=None: give a string or a Path",
        ),
        (lambda: WS.train([("s", "a")], out="t", classes=5), "classes=5: give a string or a Path"),
        (lambda: WS.train([("s", "a")], out="t", init=5), "init=5: give a string or a Path"),
        (lambda: WS.train([("s", "a")], out="t", device=5), "device=5: input should be"),
        (lambda: WS.train([("s", "a")], out="t", settings=5), "settings: 5: give part.name=value"),
        (
            lambda: WS.train([("s", "a")], out="t", progress="bar"),
            "progress='bar': give a wsi_seg.progress.TrainingProgress",
        ),
    ],
)
def test_values_of_a_wrong_type_are_named(call: Callable[[], object], line: str) -> None:
    with pytest.raises(ws.WsiSegError) as refused:
        call()
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("", "a\0b", "a" * 256, "腫" * 100, "a/" * 2100, "\ud800"):
        for call in (ws.load_model, ws.open_slide, ws.open_result, ws.check_geojson):
            with pytest.raises(ws.WsiSegError, match="no file can have that name: give a path"):
                call(name)
        with pytest.raises(ws.WsiSegError, match="no file can have that name"):
            ws.segment("s.tiff", out=name)
        with pytest.raises(ws.WsiSegError, match=r"^classes='.*no file can have that name"):
            ws.evaluate("breast-demo", [("s", "a")], classes=name)


def test_an_error_is_one_printable_line() -> None:
    with pytest.raises(ws.WsiSegError) as refused:
        ws.open_slide("a\nb\x1b[2J")
    assert str(refused.value).startswith("a\\x0ab\\x1b[2J: no such file")


def test_a_file_to_check_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "5", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(ws.WsiSegError) as refused:
            ws.check_geojson(path)
        assert str(refused.value) == f"{path}: {what}: give a GeoJSON file"


def test_a_path_that_holds_no_result_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("{}")
    for path, what in ((tmp_path / "none", "no such folder"), (tmp_path / "a.geojson", "not a folder")):
        with pytest.raises(ws.WsiSegError) as refused:
            ws.open_result(path)
        assert str(refused.value).startswith(f"{path}: {what}: ")


def test_a_network_that_does_not_pad_hears_the_sizes() -> None:
    with pytest.raises(
        ws.WsiSegError, match=r"logits of 190 x 318 for 192 x 320 pixels.*pad its convolutions"
    ):
        WS.Model.from_torch(nn.Conv2d(3, 3, 3), **NETWORK)


def test_schemas_may_be_named_by_paths(tmp_path: Path) -> None:
    schema = tmp_path / "schema.yaml"
    lines = [f"  - {{id: {i}, name: {name}, color: [{i}, 0, 0]}}" for i, name in enumerate("abc")]
    schema.write_text("\n".join(["name: mine", "classes:", *lines, ""]))
    assert [c.name for c in network(classes=schema).classes] == ["a", "b", "c"]
