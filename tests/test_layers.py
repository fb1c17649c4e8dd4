"""The architecture: data flows one way, and no package imports from its right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

LAYERS = (
    "data", "synthetic", "market", "allocation", "placement", "outflow", "strategies", "simulation", "research",
    "report", "messages", "kafka", "routing", "backtesting", "cli",
)  # fmt: skip
SOURCE = Path(__file__).parents[1] / "src" / "venuewise"


def imported_layers(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else []
        )  # fmt: skip
        found |= {name.split(".")[1] for name in names if name.startswith("venuewise.")}
    return found & set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_no_package_imports_from_its_right(layer: str) -> None:
    right = set(LAYERS[LAYERS.index(layer) + 1 :])
    files = (
        [SOURCE / f"{layer}.py"]
        if (SOURCE / f"{layer}.py").exists()
        else sorted((SOURCE / layer).rglob("*.py"))
    )
    assert files
    for file in files:
        assert not imported_layers(file) & right, file.name
