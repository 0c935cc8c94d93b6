from __future__ import annotations

import pytest

from wsi_seg.results.qupath.colours import OWN, Recoloured, colour_script, recoloured


def test_necrosis_is_dark_grey_in_qupath() -> None:
    colours = {"Necrosis": (255, 0, 0), "Tumor": OWN["Tumor"], "Tumour": (1, 2, 3)}

    assert recoloured(colours) == (Recoloured("Necrosis", (255, 0, 0), (50, 50, 50)),)


def test_names_in_another_case_are_no_classes_of_qupath() -> None:
    assert recoloured({"necrosis": (255, 0, 0), "Tumor: Positive": (1, 2, 3)}) == ()


def test_the_script_sets_every_class() -> None:
    script = colour_script({"Necrosis": (255, 0, 0), "Fat": (1, 2, 3)})

    assert script == (
        "getPathClass('Necrosis').setColor(255, 0, 0); getPathClass('Fat').setColor(1, 2, 3); "
        "fireHierarchyUpdate()"
    )


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("Crohn's", r"'Crohn\'s'"),
        ('"A" $b', "'\"A\" $b'"),
        ("a\\b", r"'a\\b'"),
        ("Nécrose", r"'N\u00e9crose'"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_names_are_quoted_for_groovy(name: str, quoted: str) -> None:
    script = colour_script({name: (1, 2, 3)})

    assert script == f"getPathClass({quoted}).setColor(1, 2, 3); fireHierarchyUpdate()"
    assert script.isascii()
    assert "\n" not in script
