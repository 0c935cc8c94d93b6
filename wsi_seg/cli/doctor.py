"""`wsi-seg doctor`: the parts of this installation, those that are missing, and how to get them."""

from __future__ import annotations

import typer

from wsi_seg.cli.terminal import say


def doctor() -> None:
    """Report versions and devices, and test the main parts.

    Example: `wsi-seg doctor`
    """
    from wsi_seg.installation import examine

    findings = examine()
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'MISS'}  {finding.what:<12} {finding.says}")
        if finding.remedy:
            say(f"      {'':<12} {finding.remedy}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
