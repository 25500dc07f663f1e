"""Schemas of refresh tokens and personal access tokens."""

from datetime import UTC, datetime

import pytest

from tests.support.bodies import blamed, taken
from users.schemas import PersonalTokenCreate, RefreshTokenShown

MADE: dict[str, object] = {"name": "nightly import", "scope": "write"}


def test_a_token_without_an_end_is_good_until_it_is_deleted() -> None:
    assert PersonalTokenCreate.model_validate(MADE).expires_at is None


def test_the_end_of_a_token_is_an_instant_in_utc() -> None:
    made = MADE | {"expires_at": "2027-01-31T10:00:00+01:00"}

    assert taken(PersonalTokenCreate, **made)["expires_at"] == datetime(2027, 1, 31, 9, tzinfo=UTC)


def test_all_that_is_wrong_with_a_token_is_said_at_once() -> None:
    wrong = {"name": " ", "scope": "admin", "expires_at": "tomorrow", "owner_id": 1}

    assert blamed(PersonalTokenCreate, **wrong) == {
        "name": "too_short",
        "scope": "not_allowed",
        "expires_at": "malformed",
        "owner_id": "unknown",
    }


@pytest.mark.parametrize(("token", "code"), [(None, "wrong_type"), (1, "wrong_type"), ("x" * 1025, "too_long")])
def test_a_refresh_token_is_a_text_of_some_length(token: object, code: str) -> None:
    assert blamed(RefreshTokenShown, refresh_token=token) == {"refresh_token": code}
