"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of real market data beside the repository; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real market data at {REAL_DATA.name}/ beside the repository")
    return REAL_DATA
