"""Made-up values: how many are tried, and of which kinds."""

import base64
import json
import os
from collections.abc import AsyncIterator
from typing import Final

import hypothesis
from hypothesis import strategies as st
from pydantic import BaseModel

from ledger.budgets.schemas import BudgetCreate, BudgetUpdate, StatusQuery
from ledger.expenses.filters import ExpenseQuery
from ledger.reports.schemas import SpendingQuery
from schemas import (
    CategoryCreate,
    CategoryUpdate,
    ExpenseCreate,
    ExpenseReplace,
    ExpenseUpdate,
    PasswordChange,
    UserCreate,
    UserUpdate,
)
from users.schemas import SignIn
from values.periods import EARLIEST, LATEST

days = st.dates(EARLIEST, LATEST)

HUNT: Final = "HUNT" in os.environ
"""Whether to look long and far, as `make fuzz` does."""


def hunts(examples: int) -> hypothesis.settings:
    """Let a test that asks a database for each example have so many of them, and twenty times as many in a hunt."""
    return hypothesis.settings(
        max_examples=examples * 20 if HUNT else examples, suppress_health_check=list(hypothesis.HealthCheck)
    )


SHAPES: list[type[BaseModel]] = [
    BudgetCreate,
    BudgetUpdate,
    CategoryCreate,
    CategoryUpdate,
    ExpenseCreate,
    ExpenseQuery,
    ExpenseReplace,
    ExpenseUpdate,
    PasswordChange,
    SignIn,
    SpendingQuery,
    StatusQuery,
    UserCreate,
    UserUpdate,
]
FIELDS = sorted({name for shape in SHAPES for name in shape.model_fields})
any_text = st.text(st.characters(exclude_categories=()))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
any_body = st.dictionaries(st.sampled_from(FIELDS) | any_text, any_json, max_size=8)


any_values = (
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.lists(st.integers()) | days.map(str)
)


def forged(*members: object) -> str:
    """Write a list as the text of a cursor is written."""
    return encoded(json.dumps(members).encode())


def encoded(content: bytes) -> str:
    """Write bytes as the text of a cursor is written."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def padded(body: bytes, size: int) -> bytes:
    """Make a JSON text exactly so many bytes long; white space means nothing in it."""
    return body.ljust(size)


async def in_pieces(body: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    """Send a body chunked, and so without a Content-Length."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
