"""The networks that `onnx_import.py` tries: fetched from the package index, not shipped, and run apart.

    python benchmarks/onnx_networks.py unet OUT.onnx STEPS
    python benchmarks/onnx_networks.py shell OUT.onnx
    python benchmarks/onnx_networks.py stained SLIDE NETWORK.onnx OUT.onnx

Each needs the packages of `fetch` on its path. "unet" trains a U-Net of segmentation_models_pytorch for a
number of steps on generated tissue, and exports it as its users do. "shell" copies the network that
lavlab-shell ships. "stained" puts the separation of one slide's stains, as lavlab-shell estimates it, in
front of that network, and its decision behind it: operators of ONNX, so that the file takes RGB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    import onnx
    import pyvips

PACKAGES = {
    "unet": [
        "segmentation_models_pytorch==0.6.0",
        *("timm==1.0.31", "torchvision==0.28.0", "huggingface_hub==2.4.0"),
        *("anyio==4.16.0", "h11==0.16.0", "hf-xet==1.8.0", "httpcore2==2.16.2", "httpx2==2.16.2"),
        "truststore==0.10.5",
    ],
    "shell": [
        "lavlab-shell==0.9.1",
        *("macenko-pca==1.0.4", "monai==1.6.1", "pyvips==3.2.0", "pyvips-binary==8.18.7"),
        *("cffi==2.1.1", "pycparser==3.12"),
    ],
}
"""Without what they depend on beside: PyTorch, ONNX Runtime and the like are those that are here."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, in pixels of 0 to 1, as the encoders of segmentation_models_pytorch expect it."""

CLASSES, FIELDS, FIELD, SIDE, BATCH = 8, 16, 320, 160, 4
FIRST_SEED = 700_000
"""Of the slides that the U-Net is trained on: neither the demo slide nor one that the demo model saw."""

THUMBNAIL, TILE = 2048, 1024
"""Its longest thumbnail, of which it estimates stains, and the side of its tiles."""


def fetch(name: str, folder: Path) -> Path:
    """Install a network's packages into a folder of its own, unless they are there."""
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, *PACKAGES[name]], check=True)
    return folder


def make_unet(out: Path, steps: int) -> None:
    """Train a U-Net with a ResNet-18, and export it for any number and size of images."""
    for name in ("nms", "qnms"):  # torchvision's from the index are built for CUDA, and are not used here
        torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
    import segmentation_models_pytorch as smp

    from wsi_seg.demo.fields import stream_fields

    torch.manual_seed(0)
    torch.set_num_threads(2)
    network = smp.Unet("resnet18", encoder_weights=None, classes=CLASSES)
    fields = list(stream_fields(FIRST_SEED, FIELDS, FIELD))
    rgb = torch.from_numpy(np.stack([field for field, _ in fields])).permute(0, 3, 1, 2)
    truth = torch.from_numpy(np.stack([labels for _, labels in fields])).long()
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    rng = np.random.default_rng(0)
    network.train()
    for step in range(steps):
        corners = [(rng.integers(FIELDS), *rng.integers(0, FIELD - SIDE + 1, 2)) for _ in range(BATCH)]
        crops = [(slice(y, y + SIDE), slice(x, x + SIDE), n) for n, y, x in corners]
        images = torch.stack([rgb[n, :, rows, columns] for rows, columns, n in crops])
        labels = torch.stack([truth[n, rows, columns] for rows, columns, n in crops])
        if step % 2:
            images, labels = images.flip(-1), labels.flip(-1)
        logits = network((images / 255 - mean) / std)
        loss = functional.cross_entropy(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 20 == 0:
            print(f"step {step}, loss {loss.item():.3f}", file=sys.stderr, flush=True)
    sizes = [torch.export.Dim(name, min=1, max=64) for name in ("batch", "rows", "columns")]
    torch.onnx.export(
        network.eval(),
        (torch.randn(2, 3, 256, 320),),
        str(out),
        dynamo=True,
        external_data=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: sizes[0], 2: 32 * sizes[1], 3: 32 * sizes[2]},),
    )


def copy_shell(out: Path) -> None:
    """Copy the network that lavlab-shell ships, with its weights inside."""
    import onnx
    import shell

    onnx.save(onnx.load(Path(shell.__file__).parent / "weights" / "model_v1.onnx"), str(out))


def make_stained(slide: Path, network_path: Path, out: Path) -> None:
    """Put the separation of a slide's stains in front of lavlab-shell's network, its decision behind it."""
    import onnx
    from onnx import compose

    theirs = onnx.load(network_path)
    before = separation(slide, theirs.opset_import[0].version, theirs.ir_version)
    network = compose.add_prefix(theirs, "net/")
    joined = compose.merge_models(before, network, [("scaled", network.graph.input[0].name)])
    after = decision(theirs.opset_import[0].version, theirs.ir_version)
    onnx.save(compose.merge_models(joined, after, [(network.graph.output[0].name, "found")]), str(out))
    out.with_suffix(".same").write_text(json.dumps(same_on_tiles(slide, network_path, out)))


def same_on_tiles(slide: Path, network: Path, stained: Path) -> dict[str, float]:
    """Compare classes on tiles that cover the slide.

    Returns
    -------
    dict
        The number of "tiles"; "alike", the share of pixels that get the class that lavlab-shell's own
        functions give for the same tile; "moved", the share that keeps its class, by these functions alone,
        where the tile lies a quarter of its side further down and right.
    """
    import onnxruntime
    from shell.inference import run_inference
    from shell.model import build_model
    from shell.transforms import apply_eho_chunked, detect_background, estimate_stain_params

    small, rgb = thumbnail(slide), pixels(working(slide))
    found = estimate_stain_params(small, bg_mask=detect_background(small))
    model = build_model(str(network))
    session = onnxruntime.InferenceSession(stained, providers=["CPUExecutionProvider"])
    quarter = TILE // 4
    alike, moved = [], []

    def theirs(y: int, x: int) -> np.ndarray:
        tile = np.ascontiguousarray(rgb[y : y + TILE, x : x + TILE])
        classes: np.ndarray = run_inference(apply_eho_chunked(tile, **found), model, roi_size=(TILE, TILE))
        return classes

    for y in range(0, rgb.shape[0] - TILE - quarter, TILE):
        for x in range(0, rgb.shape[1] - TILE - quarter, TILE):
            own = theirs(y, x)
            image = rgb[y : y + TILE, x : x + TILE].transpose(2, 0, 1)[None].astype(np.float32)
            scores = session.run(None, {"image": image})[0]
            alike.append((np.array([1, 2, 0])[scores[0].argmax(axis=0)] == own).mean())
            moved.append(
                (own[quarter:, quarter:] == theirs(y + quarter, x + quarter)[:-quarter, :-quarter]).mean()
            )
    return {"tiles": len(alike), "alike": float(np.mean(alike)), "moved": float(np.mean(moved))}


def separation(slide: Path, opset: int, ir: int) -> onnx.ModelProto:
    """Return RGB to eosin, haematoxylin and optical density, as lavlab-shell makes them of a slide.

    Stains and percentiles are those of the slide's thumbnail, estimated by its own functions; each tile is
    scaled by its own extremes in the end.
    """
    from onnx import TensorProto, helper, numpy_helper
    from shell.transforms import detect_background, estimate_stain_params

    rgb = thumbnail(slide)
    found = estimate_stain_params(rgb, bg_mask=detect_background(rgb))
    inverse = np.linalg.pinv(found["w_est"])
    rows = np.stack([inverse[found["e_idx"]], inverse[found["h_idx"]], np.full(3, 1 / 3)])
    low = np.array([found[f"{name}_lo"] for name in ("e", "h", "od")])
    span = np.array([found[f"{name}_hi"] for name in ("e", "h", "od")]) - low + 1e-8
    light = float(found["Io"])
    numbers = {
        "one": 1.0,
        "zero": 0.0,
        "light": light,
        "minus": -1 / np.log(10),
        "white": 255.0,
        "tiny": 1e-8,
        "mix": (rows / span[:, None])[:, :, None, None],
        "shift": -low / span,
        "sides": np.array([2, 3]),
    }
    steps = [
        ("Clip", ["image", "one", "light"], "clipped"),
        ("Div", ["clipped", "light"], "passed"),
        ("Log", ["passed"], "logarithm"),
        ("Mul", ["logarithm", "minus"], "density"),
        ("Conv", ["density", "mix", "shift"], "stains"),
        ("Clip", ["stains", "zero", "one"], "within"),
        ("Mul", ["within", "white"], "bytes"),
        ("Floor", ["bytes"], "whole"),
        ("ReduceMin", ["whole", "sides"], "least"),
        ("ReduceMax", ["whole", "sides"], "most"),
        ("Sub", ["whole", "least"], "above"),
        ("Sub", ["most", "least"], "range"),
        ("Max", ["range", "tiny"], "divisor"),
        ("Div", ["above", "divisor"], "scaled"),
    ]
    held = [
        numpy_helper.from_array(np.asarray(value, np.int64 if name == "sides" else np.float32), name)
        for name, value in numbers.items()
    ]
    port = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in
            ("image", "scaled")}  # fmt: skip
    nodes = [helper.make_node(kind, given, [gives]) for kind, given, gives in steps]
    graph = helper.make_graph(nodes, "stains", [port["image"]], [port["scaled"]], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def decision(opset: int, ir: int) -> onnx.ModelProto:
    """Return its decision as scores of which the largest is the class.

    Epithelium, wherever its probability is above a half and above the background's; else stroma, likewise;
    else background.
    """
    from onnx import TensorProto, helper, numpy_helper

    held = [
        numpy_helper.from_array(np.array(0, np.float32), "half"),  # the logit of a half
        numpy_helper.from_array(np.array(1, np.float32), "less"),
    ]
    nodes = [
        helper.make_node("Split", ["found"], ["epithelium", "stroma", "glass"], axis=1, num_outputs=3),
        helper.make_node("Max", ["glass", "half"], ["bound"]),
        helper.make_node("Greater", ["epithelium", "bound"], ["sure"]),
        helper.make_node("Sub", ["epithelium", "less"], ["below"]),
        helper.make_node("Where", ["sure", "below", "stroma"], ["second"]),
        helper.make_node("Concat", ["epithelium", "second", "bound"], ["scores"], axis=1),
    ]
    found, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])
        for name in ("found", "scores")
    )
    graph = helper.make_graph(nodes, "decision", [found], [scores], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def thumbnail(slide: Path) -> np.ndarray:
    """Return a slide as lavlab-shell estimates stains of it: no side is longer than `THUMBNAIL`."""
    image = working(slide)
    return pixels(image.resize(min(1.0, THUMBNAIL / max(image.height, image.width))))


def working(slide: Path) -> pyvips.Image:
    """Return a slide at lavlab-shell's working resolution, 2 um per pixel, as it reads it."""
    import pyvips
    from shell.infer_wsi import _read_mpp_from_openslide

    mpp = _read_mpp_from_openslide(str(slide))
    image = pyvips.Image.new_from_file(str(slide), access="random")
    image = image.extract_band(0, n=3) if image.bands > 3 else image
    return image.resize(mpp[0] / 2, vscale=mpp[1] / 2)


def pixels(image: pyvips.Image) -> np.ndarray:
    return np.ascontiguousarray(image.numpy()[:, :, :3])


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "unet":
        make_unet(Path(given[0]), int(given[1]))
    elif what == "shell":
        copy_shell(Path(given[0]))
    else:
        make_stained(*map(Path, given))
