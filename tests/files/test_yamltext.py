from __future__ import annotations

import pytest
import yaml

from wsi_seg.files import yamltext
from wsi_seg.files.yamltext import TooMuchYamlError, parse_yaml


def doubled(times: int) -> str:
    """Write a list that doubles by aliases, again and again."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, times)]
    return "\n".join(lines)


def test_aliases_are_read_as_what_they_stand_for() -> None:
    for text in ("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2001-01-01}", doubled(5), "", "3", "[]"):
        assert parse_yaml(text) == yaml.safe_load(text)


def test_a_few_lines_do_not_stand_for_more_than_a_text_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooMuchYamlError, match="more than 100,000 values"):
        parse_yaml(doubled(60))
    monkeypatch.setattr(yamltext, "MAX_VALUES", 20)
    parse_yaml(f"[{', '.join('x' * 19)}]")
    with pytest.raises(TooMuchYamlError, match="more than 20 values"):
        parse_yaml(f"[{', '.join('x' * 20)}]")
    with pytest.raises(TooMuchYamlError):
        parse_yaml("a: &a {b: 1, c: 2}\nd: {<<: [*a, *a, *a]}")


def test_an_alias_in_what_it_stands_for_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="an alias inside of what it stands for"):
        parse_yaml("a: &a [*a]")
