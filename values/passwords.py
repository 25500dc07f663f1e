"""The rules for passwords: normal form, least and greatest length, and which are too easy to guess."""

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from values.field_errors import invalid_value
from values.text_fields import MAX_CODE_POINTS_COMPOSED, check_characters, normalize_email
from values.texts import make_name_key

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
# At a sign-in, before and after NFKC: longer than any accepted password in any Unicode form.
MAX_ATTEMPT_LENGTH: Final = 1024
COMMON_PASSWORD_COUNT: Final = 3_000


def normalize_password(password: str) -> str:
    """Return a password in NFKC, the form that is hashed (NIST SP 800-63B-4 section 3.1.1.2).

    NFKC can make 18 characters of one, and bcrypt_sha256 refuses 4,097: of more than 1,024 only these are returned.
    They still are more than any password has, so that they are wrong.
    """
    return unicodedata.normalize("NFKC", check_characters(password))[:MAX_ATTEMPT_LENGTH]


def check_length(password: str) -> str:
    """Return a new password in NFKC; raise a validation error if it has fewer than 8 or more than 128 characters."""
    normalized = normalize_password(password[: MAX_LENGTH * MAX_CODE_POINTS_COMPOSED + 1])
    if len(normalized) < MIN_LENGTH:
        raise invalid_value("too_short", f"Send at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH * MAX_CODE_POINTS_COMPOSED or len(normalized) > MAX_LENGTH:
        raise invalid_value("too_long", f"Send at most {MAX_LENGTH} characters.")
    return normalized


def refuse_guessable(password: str, shortest: int, *own_names: str) -> None:
    """Refuse a password that attackers try first (NIST SP 800-63B-4 section 3.1.1.2).

    Raises a validation error if it has fewer than `shortest` characters, is one of the 3,000 most common of at least
    that length, or is one of the user's own names, in whatever case.
    """
    if len(password) < shortest:
        raise invalid_value("too_short", f"Send at least {shortest} characters.")
    if password.casefold() in _list_common(shortest):
        raise invalid_value("not_allowed", "This is one of the most common passwords; choose another.")
    if make_name_key(normalize_email(password)) in map(make_name_key, own_names):
        raise invalid_value("not_allowed", "The password must not be your own name or e-mail.")


def _read_ranked() -> tuple[str, ...]:
    """Return the passwords of zxcvbn's list that are long enough, the most common first.

    The package itself is not imported: it makes tables of all its lists, which take 12 MB.
    """
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ImportError("zxcvbn is not installed")
    lists = run_path(str(Path(package.origin).with_name("frequency_lists.py")))
    return tuple(word for word in lists["FREQUENCY_LISTS"]["passwords"] if len(word) >= MIN_LENGTH)


_RANKED: Final = _read_ranked()


@cache
def _list_common(shortest: int) -> frozenset[str]:
    return frozenset([word for word in _RANKED if len(word) >= shortest][:COMMON_PASSWORD_COUNT])


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
