"""How fast ESPNet runs in the engines that others would take, beside our kernels.

    pip install openvino==2026.4.1
    python benchmarks/engines.py [--threads 1 2] [--rounds 9] [--network FILE]

The built-in demo model, exported to ONNX, on 1024 x 1024 pixels; engines take turns in one process, which is
another one for each number of threads. Ours starts from 8-bit pixels, the engines from normalised float32
planes, so their normalisation is not counted; all end at float32 logits at full size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from machine import keep
from numpy.typing import NDArray

from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.inference.fast.fast_espnet import FastESPNet
from wsi_seg.inference.fast.library import has_amx
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.slides.lattice import Rect

SIDE = 1024
OURS = "wsi-seg, compiled kernels"
Engine = Callable[[], NDArray[np.float32]]


def tissue() -> NDArray[np.uint8]:
    """A field of generated tissue at 2 um per px, as the model learned it."""
    field = Tissue(seed=3, width_um=2 * SIDE, height_um=2 * SIDE, tissue_everywhere=True)
    return field.render(Rect(0, 0, SIDE, SIDE), 2.0)[0]


def planes(bundle: ModelBundle, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalise pixels as the exported network wants them, shape (1, 3, height, width)."""
    spec = bundle.input
    mean, std = (np.array(values, np.float32) for values in (spec.mean, spec.std))
    pixels = rgb.astype(np.float32)
    if spec.channels == "bgr":  # the exported network takes RGB
        mean, std = mean[::-1], std[::-1]
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1)[None])


def ours(bundle: ModelBundle, rgb: NDArray[np.uint8], threads: int, by_amx: bool = False) -> Engine:
    """Return our compiled form."""
    network = FastESPNet(*bundle.published, bundle.input, by_amx=by_amx)
    return lambda: network.logits(rgb, threads)


def onnx_runtime(path: Path, pixels: NDArray[np.float32], threads: int) -> Engine:
    """Return ONNX Runtime with all of its optimisations, which are its default."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda: session.run(None, {given.name: pixels})[0]


def openvino(path: Path, pixels: NDArray[np.float32], threads: int, precision: str | None) -> Engine:
    """Return OpenVINO, compiled for latency and this size; without a precision it takes its own choice."""
    core = import_module("openvino").Core()
    model = core.read_model(path)
    model.reshape(pixels.shape)
    asked = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        asked["INFERENCE_PRECISION_HINT"] = precision
    request = core.compile_model(model, "CPU", asked).create_infer_request()

    def run() -> NDArray[np.float32]:
        request.infer({0: pixels}, share_inputs=True)
        return np.asarray(request.get_output_tensor(0).data)

    return run


def measure(path: Path, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Run all engines in turn; return milliseconds, and the share of pixels with our class."""
    bundle = load_bundle(resolve_model("breast-demo"))
    rgb = tissue()
    pixels = planes(bundle, rgb)
    engines: dict[str, Engine] = {
        OURS: ours(bundle, rgb, threads),
        **({"ours, by AMX": ours(bundle, rgb, threads, by_amx=True)} if has_amx() else {}),
        "OpenVINO, float32": openvino(path, pixels, threads, "f32"),
        "OpenVINO, as it is": openvino(path, pixels, threads, None),
        "ONNX Runtime": onnx_runtime(path, pixels, threads),
    }
    classes = {name: run().argmax(-3).squeeze() for name, run in engines.items()}  # also warms up
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, run in engines.items():
            start = time.perf_counter()
            run()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {
        name: {
            "ms": statistics.median(times),
            "least": min(times),
            "most": max(times),
            "alike": float((classes[name] == classes[OURS]).mean()),
        }
        for name, times in taken.items()
    }


def row(name: str, found: dict[str, float], base: float) -> str:
    alike = "" if name == OURS else f"{100 * found['alike']:.4f} %"
    return (
        f"| {name} | {found['ms']:.0f} | {found['least']:.0f} to {found['most']:.0f} "
        f"| {found['ms'] / base:.2f} | {alike} |"
    )


def table(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = []
    for threads, found in rows.items():
        lines += [f"\n## {threads} thread(s)\n", "| engine | ms | least to most | times ours | same class |"]
        lines += ["|--|--|--|--|--|", *(row(name, one, found[OURS]["ms"]) for name, one in found.items())]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--network", type=Path, help="An exported demo model; else it is exported first.")
    parser.add_argument("--measure", type=int, help="Used by this script itself: measure, print JSON.")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.network, arguments.measure, arguments.rounds)))
        return
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.network or exported(Path(folder) / "net.onnx")
        for threads in arguments.threads:
            command = [sys.executable, __file__, "--network", str(path), "--measure", str(threads)]
            done = subprocess.run(
                [*command, "--rounds", str(arguments.rounds)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
            rows[str(threads)] = json.loads(done.stdout.splitlines()[-1])
    keep(
        "engines",
        f"The demo model on {SIDE} x {SIDE} px of generated tissue: OpenVINO {version('openvino')}, ONNX "
        f"Runtime {onnxruntime.__version__}. Medians of {arguments.rounds} rounds, engines in turn in one "
        "process for each number of threads. Ours starts from 8-bit pixels, the others from normalised "
        'float32 planes; all end at float32 logits at full size. "As it is": OpenVINO chooses bfloat16 by '
        f"itself where the processor has AMX.\n{table(rows)}",
    )


def exported(path: Path) -> Path:
    """Export the demo model."""
    command = [sys.executable, "-m", "wsi_seg", "models", "export", "breast-demo", "--format", "onnx"]
    subprocess.run([*command, "-o", str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


if __name__ == "__main__":
    main()
