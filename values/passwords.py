"""The rules for passwords: how they are normalised, how long they are, and which are too easily guessed."""

import unicodedata
from functools import cache
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from values.field_errors import invalid_value
from values.fields import MAX_CODE_POINTS_COMPOSED, normalize_email, refuse_surrogates
from values.texts import make_name_key

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
# Longer than any password that was ever accepted, in whatever form it is typed now.
MAX_ATTEMPT_LENGTH: Final = 1024
COMMON_PASSWORD_COUNT: Final = 3_000


def normalize_password(password: str) -> str:
    """Return a password as it is hashed, however the keyboard composed it (NFKC, NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", refuse_surrogates(password))


def check_length(password: str) -> str:
    """Return a new password as it is hashed, or refuse its length; `check` says which are too easily guessed."""
    kept = normalize_password(password[: MAX_LENGTH * MAX_CODE_POINTS_COMPOSED + 1])
    if len(kept) < MIN_LENGTH:
        raise invalid_value("too_short", f"Send at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH * MAX_CODE_POINTS_COMPOSED or len(kept) > MAX_LENGTH:
        raise invalid_value("too_long", f"Send at most {MAX_LENGTH} characters.")
    return kept


def refuse_guessable(password: str, shortest: int, *own_names: str) -> None:
    """Refuse a new password that anyone would try first (NIST SP 800-63B-4 section 3.1.1.2).

    Raises a refusal: shorter than `shortest` characters, one of the 3,000 most common, or one of the user's own names.
    """
    if len(password) < shortest:
        raise invalid_value("too_short", f"Send at least {shortest} characters.")
    if password.casefold() in _load_common(shortest):
        raise invalid_value("not_allowed", "This is one of the most common passwords; choose another.")
    if make_name_key(normalize_email(password)) in map(make_name_key, own_names):
        raise invalid_value("not_allowed", "The password must not be your own name or e-mail.")


@cache
def _load_common(shortest: int) -> frozenset[str]:
    ranked: list[str] = FREQUENCY_LISTS["passwords"]
    return frozenset([word for word in ranked if len(word) >= shortest][:COMMON_PASSWORD_COUNT])


NewPassword = Annotated[
    str,
    AfterValidator(check_length),
    WithJsonSchema({"type": "string", "format": "password", "minLength": MIN_LENGTH, "maxLength": MAX_LENGTH}),
]
EnteredPassword = Annotated[
    str,
    Field(max_length=MAX_ATTEMPT_LENGTH, json_schema_extra={"format": "password", "minLength": 1}),
    AfterValidator(normalize_password),
]
