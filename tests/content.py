"""What takes part in equality of two stores: every part's bytes and every manifest but its provenance."""

import hashlib
import json
from pathlib import Path
from typing import Any


def content_of(store: Path) -> dict[str, Any]:
    """Every artifact by name: its manifest without provenance, and the sha256 of every part on disk."""
    found: dict[str, Any] = {}
    for path in sorted(store.glob("*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        del manifest["provenance"]
        parts = {
            part["path"]: hashlib.sha256((path.parent / part["path"]).read_bytes()).hexdigest()
            for part in manifest["parts"]
        }
        found[f"{path.parent.parent.name}/{path.parent.name}"] = {"manifest": manifest, "parts": parts}
    return found


def num_parts(content: dict[str, Any]) -> int:
    """How many parts were compared."""
    return sum(len(artifact["parts"]) for artifact in content.values())


def counted(content: dict[str, Any]) -> str:
    """How much was compared, in words: every part is read and hashed for it."""
    num_bytes = sum(part["bytes"] for artifact in content.values() for part in artifact["manifest"]["parts"])
    return f"{len(content)} artifacts, {num_parts(content)} parts and {num_bytes:,} bytes equal"
