from __future__ import annotations

from wsi_seg.view.drawn_tiles import TileCache


def test_what_was_not_asked_for_longest_goes_first() -> None:
    drawn: list[str] = []
    cache = TileCache(limit=25)

    def ask(key: str) -> bytes:
        def draw() -> bytes:
            drawn.append(key)
            return key.encode() * 10

        return cache.get(key, draw)

    for key in "abacab":
        assert ask(key) == key.encode() * 10
    assert drawn == ["a", "b", "c", "b"]
    assert cache.held == 20


def test_a_tile_that_is_larger_than_all_is_given_and_not_many_are_kept() -> None:
    cache = TileCache(limit=5)
    assert cache.get("large", lambda: b"x" * 100) == b"x" * 100
    assert cache.get("small", lambda: b"y") == b"y"
    assert cache.held == 1
