"""Micrometres per unit of length: every unit that OME-XML and OME-Zarr name."""

from __future__ import annotations

_PREFIXES = {
    "yocto": ("y", -24),
    "zepto": ("z", -21),
    "atto": ("a", -18),
    "femto": ("f", -15),
    "pico": ("p", -12),
    "nano": ("n", -9),
    "micro": ("µ", -6),
    "milli": ("m", -3),
    "centi": ("c", -2),
    "deci": ("d", -1),
    "": ("", 0),
    "deca": ("da", 1),
    "hecto": ("h", 2),
    "kilo": ("k", 3),
    "mega": ("M", 6),
    "giga": ("G", 9),
    "tera": ("T", 12),
    "peta": ("P", 15),
    "exa": ("E", 18),
    "zetta": ("Z", 21),
    "yotta": ("Y", 24),
}
"""Symbols and powers of ten by the names of prefixes."""

_METRIC = [
    (f"{symbol}m", f"{name}meter", float(f"1e{power + 6}")) for name, (symbol, power) in _PREFIXES.items()
]
_INCH, _PARSEC = 25_400.0, 3.0856775814913673e22

OME_UM = {
    **{symbol: um for symbol, _, um in _METRIC},
    "": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": 1e-4,
    "\N{ANGSTROM SIGN}": 1e-4,
    "thou": _INCH / 1000,
    "pt": _INCH / 72,
    "li": _INCH / 12,
    "in": _INCH,
    "ft": 12 * _INCH,
    "yd": 36 * _INCH,
    "mi": 63_360 * _INCH,
    "ua": 1.495978707e17,
    "ly": 9.4607304725808e21,
    "pc": _PARSEC,
}
"""By the symbols of OME-XML; its others ("pixel", "reference frame") state nothing."""

NGFF_UM = {
    **{name: um for _, name, um in _METRIC},
    "angstrom": 1e-4,
    "inch": _INCH,
    "foot": 12 * _INCH,
    "yard": 36 * _INCH,
    "mile": 63_360 * _INCH,
    "parsec": _PARSEC,
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "mm": 1e3,
    "cm": 1e4,
}
"""By the names of OME-Zarr's specification, and short ones that some programs write."""
