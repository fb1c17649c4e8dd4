"""The page of faults names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_test_that_the_page_names_exists() -> None:
    named = set(
        re.findall(r"`(test_\w+)`", (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8"))
    )
    texts = "".join(file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))
    assert named
    assert named <= set(re.findall(r"def (test_\w+)\(", texts))
