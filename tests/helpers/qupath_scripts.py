"""The scripts for QuPath, run on stand-ins for QuPath's classes, one after another in one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from helpers.pages import ROOT
from helpers.results import features_of

SCRIPTS = ROOT / "qupath"
STAND_INS = ROOT / "tests" / "qupath"

Json = dict[str, Any]

OUTLINED = "5504697f-2788-52d5-b56d-279490d6209a"
UNCLASSIFIED = "5504697f-2788-52d5-b56d-279490d6209b"
OF_ANOTHER = "5504697f-2788-52d5-b56d-279490d6209c"

COMMAND = (
    *("predict", "project.qpproj", "--image", "1", "-o", "results"),
    *("--model", "my models/m.safetensors", "--min-area", "2000"),
)
"""What predict.groovy is to call, in the project's folder; here it is called for the results, too."""


def groovy() -> tuple[str, dict[str, str]]:
    """The program that runs the scripts and its environment; tests that need it skip where it is absent."""
    program, java = shutil.which("groovy"), shutil.which("java")
    if program is None or java is None:
        pytest.skip("no Groovy here: apt-get install groovy")
    # Debian's groovy asks for a default Java, which is not there where another one is installed.
    home = {"JAVA_HOME": str(Path(os.path.realpath(java)).parents[1])}
    return program, home | dict(os.environ)


@dataclass
class Steps:
    """Scripts to run one after another; `names` find their outcomes."""

    folder: Path
    project: Path
    images: list[Json]
    steps: list[Json] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(
        self, name: str, script: str, image: int | None = 1, settings: Json | None = None, **step: object
    ) -> None:
        """Add a run of a script, with settings at its top changed as a user would."""
        text = (SCRIPTS / f"{script}.groovy").read_text(encoding="utf-8")
        for setting, value in (settings or {}).items():
            lines = [line for line in text.splitlines() if line.startswith(f"def {setting} = ")]
            assert len(lines) == 1
            text = text.replace(lines[0], f"def {setting} = {value}")
        path = self.folder / f"{name}.groovy"
        path.write_text(text, encoding="utf-8")
        self.steps.append({"script": str(path), "image": image, **step})
        self.names.append(name)

    def run(self) -> dict[str, Json]:
        """Run them all in one process."""
        program, environment = groovy()
        plan, outcome = self.folder / "plan.json", self.folder / "outcome.json"
        plan.write_text(
            json.dumps({"project": str(self.project), "images": self.images, "steps": self.steps})
        )
        command = [
            program,
            "-cp",
            str(STAND_INS / "stand_ins"),
            str(STAND_INS / "run_steps.groovy"),
            str(plan),
            str(outcome),
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(zip(self.names, json.loads(outcome.read_text(encoding="utf-8")), strict=True))


@dataclass(frozen=True)
class Study:
    """A project with results, and what the scripts came to in it."""

    folder: Path
    outcomes: dict[str, Json]

    @property
    def result(self) -> Path:
        """The result of the first image."""
        return self.folder / "results" / "Case_ 1"

    @property
    def polygons(self) -> list[str]:
        """The ids of its polygons."""
        return [feature["id"] for feature in features_of(self.result)]

    def said(self, name: str) -> str:
        """What the script printed, on its one line."""
        (line,) = self.outcomes[name]["printed"]
        return str(line)
