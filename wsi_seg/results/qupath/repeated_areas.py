"""Shapes that a GeoJSON file holds more than once, told from what is written, be it sound or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable


class Repeats:
    """Remembers shapes, and writes out only those that begin at a place where another one began."""

    def __init__(self) -> None:
        self._first: dict[Hashable, Any] = {}
        self._seen: dict[Hashable, set[str]] = {}

    def again(self, coordinates: Any, *known_by: Hashable) -> bool:
        """Return whether the same coordinates came before, of a shape known by the same class and so on."""
        begins = (*known_by, repr(_leaf(coordinates)))
        if begins not in self._first:
            self._first[begins] = coordinates
            return False
        seen = self._seen.setdefault(begins, {repr(self._first[begins])})
        text = repr(coordinates)
        if text in seen:
            return True
        seen.add(text)
        return False


def _leaf(coordinates: Any) -> Any:
    """Return the first number of coordinates."""
    while isinstance(coordinates, list) and coordinates:
        coordinates = coordinates[0]
    return coordinates
