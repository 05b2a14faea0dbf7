"""What a template left for the author: every line of a plugin that says TODO."""

from __future__ import annotations

from pathlib import Path

__all__ = ["todos"]


def todos(package: Path) -> list[tuple[str, str]]:
    """Place (`file:line`) and text of each TODO in a plugin's package and in the README beside it, in order."""
    found = []
    for path in [*sorted(package.rglob("*.py")), package.parent / "README.md"]:
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip("# ").startswith("TODO "):
                found.append((f"{path.name}:{number}", line.partition("TODO ")[2]))
    return found
