"""Load everything, keep the newest: what a warehouse must hold, in plain Python and from the raw bytes alone.

Reads manifests with `json`, parts with `zstandard` and `bson`; shares no line with the product.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson
import zstandard
from bson.codec_options import CodecOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = datetime(1, 1, 1, tzinfo=UTC)
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


def newest(objects: Mapping[str, bytes]) -> dict[Any, dict[str, Any]]:
    """Key → document that has the greatest version of all that were ever read; URI → bytes of the raw lake."""
    best: dict[Any, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    for uri, body in objects.items():
        if not uri.endswith("/_manifest.json"):
            continue
        manifest = json.loads(body)
        read = datetime.fromisoformat(manifest["extracted_at"])
        for part in manifest["parts"]:
            documents = zstandard.ZstdDecompressor().decompressobj().decompress(objects[part["uri"]])
            offset = 0
            for document in bson.decode_all(documents, AWARE):
                stamp = document.get("updated_at")
                version = (OLDEST if stamp is None else min(stamp, read), read, part["uri"], offset)
                offset += len(bson.encode(document))
                known = best.get(document["_id"])
                if known is None or version > known[0]:
                    best[document["_id"]] = (version, document)
    return {key: document for key, (_, document) in best.items()}
