"""Schemas of sign-in: sessions with their tokens, and personal access tokens."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from values.fields import Instant
from values.passwords import EnteredPassword
from values.shapes import RequestModel, ResponseModel, with_example
from values.text_fields import TokenName, check_characters
from values.texts import EMAIL_LENGTH

# --- Sessions ---------------------------------------------------------------------------------------------------------


class Token(ResponseModel):
    """A bearer token (RFC 6750), the seconds until it expires, and the refresh token for the next one."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str

    model_config = with_example(
        access_token="eyJhbGciOiJIUzI1NiIs…",  # noqa: S106
        token_type="bearer",  # noqa: S106
        expires_in=900,
        refresh_token="JDKfM1m5NhBLTl1wEoIHo_2zL0I6Wq4cUqWtBd3yYFE",  # noqa: S106
    )


class RefreshTokenShown(RequestModel):
    """A refresh token: the newest one to stay signed in, any of the session's to sign out."""

    refresh_token: Annotated[
        str, Field(max_length=1024, description="From an answer of `POST /users/token` or `/users/token/refresh`.")
    ]

    model_config = with_example(refresh_token="JDKfM1m5NhBLTl1wEoIHo_2zL0I6Wq4cUqWtBd3yYFE")  # noqa: S106


class Session(ResponseModel):
    """A session that has not ended, and from where it was last used."""

    id: int
    created_at: datetime
    last_used_at: datetime = Field(description="When it was opened or last refreshed.")
    user_agent: str | None = Field(description="The client's User-Agent at `last_used_at`.")
    ip: str | None = Field(description="The client's IP address at `last_used_at`.")
    current: bool = Field(description="Whether this request uses this session.")

    model_config = with_example(
        id=12,
        created_at="2026-11-22T13:23:00Z",
        last_used_at="2026-11-22T18:40:00Z",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        ip="203.0.113.7",
        current=True,
    )


class SessionList(ResponseModel):
    """All live sessions, the newest first."""

    items: list[Session]
    next_cursor: None = None


# --- Personal access tokens -------------------------------------------------------------------------------------------


_PERSONAL_TOKEN_EXAMPLE: Final[Mapping[str, JsonValue]] = {
    "id": 3,
    "name": "nightly import",
    "scope": "write",
    "created_at": "2026-11-22T13:23:00Z",
    "last_used_at": None,
    "expires_at": "2199-12-31T23:59:59Z",
}


class PersonalTokenCreate(RequestModel):
    """A new personal access token; without `expires_at` it never expires."""

    name: TokenName
    scope: Annotated[
        Literal["read", "write"],
        Field(description="What it may do: `read` the ledger; `write` also change it."),
    ]
    expires_at: Instant | None = None

    model_config = with_example(name="nightly import", scope="write", expires_at="2199-12-31T23:59:59Z")


class PersonalToken(ResponseModel):
    """A personal access token, without the secret."""

    id: int
    name: str
    scope: Literal["read", "write"]
    created_at: datetime
    last_used_at: datetime | None = Field(description="Updated at most once a minute; null before the first use.")
    expires_at: datetime | None = Field(description="Null if it never expires.")

    model_config = with_example(**_PERSONAL_TOKEN_EXAMPLE)


class PersonalTokenSecret(PersonalToken):
    """A new personal access token with its secret, which is never shown again."""

    token: str

    model_config = with_example(**_PERSONAL_TOKEN_EXAMPLE, token="etk_0Xq…")  # noqa: S106


class PersonalTokenList(ResponseModel):
    """All personal access tokens, the newest first."""

    items: list[PersonalToken]
    next_cursor: None = None


class SignIn(RequestModel):
    """The password form of OAuth2 (RFC 6749 section 4.3); every other field is ignored, as its section 3.2 says."""

    # An error about an unknown field would show its name, which may be the rest of a password with an unescaped `&`, or
    # a JSON body.

    # Here `minLength` is for the document only: an empty field of a form counts as missing.
    username: Annotated[
        str,
        Field(
            max_length=EMAIL_LENGTH,
            description="The user name or the e-mail.",
            examples=["ada"],
            json_schema_extra={"minLength": 1},
        ),
        AfterValidator(check_characters),
    ]
    password: Annotated[EnteredPassword, Field(examples=["a walk along the sea"])]

    model_config = ConfigDict(extra="ignore") | with_example(username="ada", password="a walk along the sea")  # noqa: S106
