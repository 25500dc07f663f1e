"""Generated values for Hypothesis: strategies, and how many examples are tried."""

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
from tests.support.jwt import encode_base64url
from users.schemas import SignIn
from values.days import EARLIEST, LATEST

days = st.dates(EARLIEST, LATEST)

HUNT: Final = "HUNT" in os.environ
"""Whether to try many more examples, as `make fuzz` does."""


def hunts(examples: int) -> hypothesis.settings:
    """Return settings with this number of examples, 20 times as many in a HUNT: for tests that use a database."""
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
    """Encode a list in the form of a cursor."""
    return encode_base64url(json.dumps(members).encode())


def padded(body: bytes, size: int) -> bytes:
    """Fill a JSON text with spaces, which mean nothing in JSON, to `size` bytes."""
    return body.ljust(size)


async def in_pieces(body: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    """Yield a body in chunks, so that httpx sends it without a Content-Length."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
