"""The shell completes commands."""

import pytest
from typer.testing import CliRunner

from wsi_seg.cli.commands import app


@pytest.mark.parametrize(
    ("typed", "completed"), [("pre", "predict"), ("eval", "evaluate"), ("doc", "doctor")]
)
def test_bash_completes_a_command(typed: str, completed: str) -> None:
    asked = {
        "_WSI_SEG_COMPLETE": "complete_bash",
        "COMP_WORDS": f"wsi-seg {typed}",
        "COMP_CWORD": "1",
    }
    answer = CliRunner().invoke(app, [], prog_name="wsi-seg", env=asked)
    assert answer.exit_code == 0
    assert answer.stdout.split() == [completed]
