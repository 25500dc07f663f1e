"""Marks of tests that run on one of the two databases only."""

from typing import Final

import pytest

on_mysql: Final = pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
on_sqlite: Final = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is computed from rows after they were read; tests of the same statements run on both databases."""
