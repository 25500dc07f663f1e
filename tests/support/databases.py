"""Marks of tests, or of some of their cases, that run on one of the two databases only."""

from collections.abc import Sequence
from typing import Any, Final

import pytest

on_mysql: Final = pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
on_sqlite: Final = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is computed from rows after they were read; tests of the same statements run on both databases."""


def try_cases(
    names: str, *, on_both: Sequence[tuple[Any, ...]], on_sqlite: Sequence[tuple[Any, ...]]
) -> pytest.MarkDecorator:
    """Parametrize a test by cases that are tried on both databases, and by others that are tried on SQLite only.

    A case belongs to the others if another case, or another test, sends MySQL the same kind of statement.
    """
    others = [pytest.param(*case, marks=pytest.mark.sqlite_only) for case in on_sqlite]
    return pytest.mark.parametrize(names.split(", "), [*on_both, *others], ids=_describe)


def _describe(value: object) -> str:
    # The order of a set differs from process to process, and all workers of xdist must collect the same names.
    return str(sorted(value) if isinstance(value, set) else value)
