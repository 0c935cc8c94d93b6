"""Parse XML files as annotation tools write them, safe against entities that exhaust a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wsi_seg.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

XML_STARTS = (b"<", b"\xff\xfe<\x00", b"\xfe\xff\x00<")
"""The beginnings of XML: in UTF-8 and similar encodings, and in the two forms of UTF-16."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_xml(content: bytes) -> bool:
    """Return whether text that is JSON or XML is XML."""
    return content[:64].removeprefix(BYTE_ORDER_MARK).lstrip().startswith(XML_STARTS)


def parse_xml(path: Path, content: bytes) -> Element:
    """Return the root element of an XML file.

    Raises
    ------
    AnnotationError
        If it is not XML, or declares entities or fetches files, which no annotation tool does.
    """
    try:
        root: Element = fromstring(content)
    except DefusedXmlException as error:
        raise AnnotationError(
            f"{path}: declares XML entities, which can exhaust a machine or read its files: "
            "no annotation tool does that: do not trust this file"
        ) from error
    except ParseError as error:
        line, column = error.position
        what = str(error).partition(":")[0]
        raise AnnotationError(
            f"{path}: not XML ({what}, line {line}, column {column + 1}): "
            "the file is cut off or damaged: export it again"
        ) from error
    except (LookupError, ValueError) as error:
        raise AnnotationError(f"{path}: not XML ({error}): export it again, in UTF-8") from error
    return root
