"""Changes to single values of a recipe, from `--set` on the command line or from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import yaml

from wsi_seg.errors import UsageError, shortened
from wsi_seg.files.yamltext import TooMuchYamlError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Changes = Sequence[str] | Mapping[str, object]


class Change(NamedTuple):
    """One value.

    Attributes
    ----------
    given : str
        The change as it was given, for errors.
    name : str
        ``part.name`` in the recipe; empty if the change names none.
    value : object
    form : str
        How to give such a change, for errors.
    """

    given: str
    name: str
    value: object
    form: str


def read_changes(changes: Changes) -> Iterator[Change]:
    """Read changes.

    Parameters
    ----------
    changes : sequence of str, or mapping
        Each ``part.name=value``, the value as YAML; or values by ``part.name``.

    Raises
    ------
    UsageError
        If a value is not valid YAML.
    """
    if isinstance(changes, Mapping):
        for name, value in changes.items():
            yield Change(f"settings: {shortened(repr(name))}", str(name), value, "use")
        return
    if not isinstance(changes, Iterable):
        raise UsageError(
            f"settings: {shortened(repr(changes))}: give part.name=value, or a dict of values by their names"
        )
    for change in [changes] if isinstance(changes, str) else changes:
        if not isinstance(change, str):
            said = shortened(repr(change))
            raise UsageError(f"settings: {said}: give part.name=value, or a dict of values by their names")
        name, equals, text = (part.strip() for part in change.partition("="))
        yield Change(f"--set {change}", name if equals else "", _value(change, text), "use NAME=VALUE with")


def _value(change: str, text: str) -> object:
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, TooMuchYamlError, ValueError, RecursionError) as error:
        raise UsageError(f"--set {change}: {text!r} is not a value: write it as in YAML") from error
