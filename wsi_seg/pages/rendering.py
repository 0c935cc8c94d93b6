"""Fill a template: every text is escaped, and a page asks no other file and no other host for anything."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wsi_seg import __version__
from wsi_seg.errors import printable

SHARED = Path(__file__).parent
"""The folder of the templates that all pages begin with, of their parts, of the styles and of the script."""

STYLES = ("look.css", "document.css")
"""Of pages that scroll. The first one is of all pages: colours, notices, buttons."""


def render(template: Path, page: object = None) -> str:
    """Fill a template.

    Parameters
    ----------
    template : Path
        It extends ``base.html``, which is a page that needs no other file, or ``shell.html``, and knows the
        content as ``page``.
    page : object, optional
        Its texts are escaped, control characters and lone surrogates too.

    Returns
    -------
    str
        A page for browsers.
    """
    return _environment(template.parent).get_template(template.name).render(page=page)


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture as an address that holds it; `kind` is its type, such as ``image/jpeg``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@lru_cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    script = (SHARED / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment.globals |= {
        "style": "".join((SHARED / name).read_text(encoding="utf-8") for name in STYLES),
        "script": script,
        "script_digest": digest,
        "version": __version__,
    }
    return environment


def _shown(value: object) -> object:
    """Return a text as it can stand in a file, in its lines; what is markup already stays."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\n".join(map(printable, value.split("\n")))
