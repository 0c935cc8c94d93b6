"""What is chosen of how a network runs, in words. PyTorch is not needed to speak of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16", "float16"]
Compile = Literal["auto", "yes", "no"]
Form = Literal["plain", "compiled"]


@dataclass(frozen=True)
class Choice:
    """A form, and the reason for it in a few words."""

    form: Form
    why: str

    def __str__(self) -> str:
        return f"{self.form}: {self.why}"
