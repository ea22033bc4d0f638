"""Options that all tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the expected files anew instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
