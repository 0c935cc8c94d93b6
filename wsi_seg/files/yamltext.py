"""Parse YAML that people write, bounded: aliases of a few lines may stand for more than memory holds."""

from __future__ import annotations

import yaml

MAX_VALUES = 100_000
"""Limit for values, names and lists in one text. An alias counts as all that it stands for."""


class TooMuchYamlError(Exception):
    """A text holds, or its aliases stand for, more than any recipe or class schema."""


def parse_yaml(text: str) -> object:
    """Parse a YAML text with the safe types.

    Raises
    ------
    TooMuchYamlError
        If it holds more than `MAX_VALUES`; before any of them is made.
    yaml.YAMLError
        If it is not YAML.
    ValueError
        If it holds an invalid date or number.
    RecursionError
        If it is nested too deeply.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Counts the nodes that it composes, before values are made from them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.count = 0
        self.sizes: dict[yaml.Node, int] = {}  # of nodes that are complete

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, and count it."""
        before = self.count
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if node is None:
            return None
        if not alias:
            self.count += 1
            self.sizes[node] = self.count - before
        elif node in self.sizes:
            self.count += self.sizes[node]
        else:
            raise yaml.composer.ComposerError(
                problem="an alias inside of what it stands for", problem_mark=node.start_mark
            )
        if self.count > MAX_VALUES:
            raise TooMuchYamlError(
                f"more than {MAX_VALUES:,} values, each alias counted as what it stands for"
            )
        return node
