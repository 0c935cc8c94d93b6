"""`wsi-seg doctor`: what this installation has, what is missing, and how to get it."""

from __future__ import annotations

import typer

from wsi_seg.cli.terminal import say


def doctor() -> None:
    """Say which versions and devices are here, and try the main parts.

    Example: `wsi-seg doctor`
    """
    from wsi_seg.doctor import examine

    findings = examine()
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'MISS'}  {finding.what:<12} {finding.says}")
        if finding.remedy:
            say(f"      {'':<12} {finding.remedy}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
