"""What a `Link` header says (https://www.rfc-editor.org/rfc/rfc8288). Knows no URLs and no pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_AND_VALUE = r'([^\s"=;,<]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^",;]*)))?'
_LINK = re.compile(rf"<([^>]*)>((?:\s*;\s*(?:{_NAME_AND_VALUE})?)*+)")
_PARAMETER = re.compile(rf";\s*{_NAME_AND_VALUE}")
"""The name, the value in quotes, the value without: commas and semicolons in quotes are text."""


def links(headers: Mapping[str, str]) -> dict[str, str]:
    """The targets of a `Link` header by relation, as the server wrote them; headers by lower-case name."""
    found: dict[str, str] = {}
    for match in _LINK.finditer(headers.get("link", "")):
        for name in _relations(match[2]):
            found.setdefault(name, match[1])
    return found


def _relations(parameters: str) -> list[str]:
    """What the first `rel` of a link's parameters has; later ones do not count."""
    texts = (quoted or bare for name, quoted, bare in _PARAMETER.findall(parameters) if name.lower() == "rel")
    return next(texts, "").lower().split()
