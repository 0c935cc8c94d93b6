"""How a result that is there differs from the one that is asked for, in a user's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.predict.adapted import ADAPT
from wsi_seg.predict.plan import LABELS_VERSION

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.results.record import Key

IN_WORDS = {
    "model": "by another model",
    "roi": "with other regions of interest (--roi)",
    "mpp": "of a slide of {old} um per px, not {new} (--mpp)",
    "label mpp": "at {old} um per px, not {new} (--working-mpp)",
    "levels read": "from other levels of the slide (--from-level-0)",
    ADAPT: "by another adaptation (--adapt)",
    "network": "with the {old} network, not the {new} one (--compile)",
    "region cores": "with regions of another size",
    "pixels around tissue": "by patches that look at more, or less, around tissue (--patch)",
    "rounded levels": "by an earlier wsi-seg, which read the slide's coarser levels otherwise",
}
"""Values of which a user knows no option of that name, or that say nothing by themselves."""


def how_made(old: Key, new: Key) -> str:
    """Describe how a result was made otherwise than a new one, by the most important difference.

    Parameters
    ----------
    old, new : Key
        What the labels of either depend on: see `wsi_seg.predict.plan.Plan.labels_key`.
    """
    known = [name for name in ("slide", "slide content") if name in old]
    if len(known) == 2 and old["slide"] != new["slide"] and old["slide content"] == new["slide content"]:
        return "of another image in the same file (--series)"
    if any(old[name] != new[name] for name in known):
        return "of another slide"
    version = old.get("version")
    if version != LABELS_VERSION:
        later = isinstance(version, int) and version > LABELS_VERSION
        return f"made by {'a later' if later else 'an earlier'} wsi-seg, whose labels differ"
    differing = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    if "mpp" in differing and "label mpp" in differing:
        differing.remove("label mpp")  # which follows from it
    said = [_said(name, old.get(name), new.get(name)) for name in sorted(differing)]
    return f"made {' and '.join(said)}"


def _said(name: str, old: JsonValue, new: JsonValue) -> str:
    """Describe one difference."""
    option = f"--{name.replace(' ', '-')}"
    if isinstance(old, bool) and isinstance(new, bool):
        return f"with{'' if old else 'out'} {option}"
    if name == "roi" and None in (old, new):
        return f"with{'' if new is None else 'out'} {option}"
    if name == ADAPT and None in (old, new):
        return f"with{'' if new is None else 'out'} {option}"
    if name in IN_WORDS:
        return IN_WORDS[name].format(old=_plain(old), new=_plain(new))
    return f"with {option} {_plain(old)}, not {_plain(new)}"


def _plain(value: JsonValue) -> str:
    """Write a value; a pair of equal numbers once."""
    match value:
        case [x, y] if x == y:
            return _plain(x)
        case list():
            return " x ".join(map(_plain, value))
        case float():
            return f"{value:.6g}"
    return str(value)
