"""Every setting of the service, read once from the environment and `.env`."""

import ipaddress
import os
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from values.origins import parse_origin

VERSION: Final = "0.1.0"
SECRET_BYTES: Final = 32
# The throttle keeps the instant of each attempt that it counts.
MAX_ATTEMPT_LIMIT: Final = 1_000
SAMPLE_SECRETS: Final = frozenset(
    {
        # The one in FastAPI's tutorial, which many services have copied.
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "0123456789abcdef0123456789abcdef",
        # What was pasted instead of its output.
        "openssl rand -hex 32",
        "your-256-bit-secret-your-256-bit-secret",
    }
)
_DATABASE_NAME: Final = re.compile("[^@/#?]+")
TLS_PARAMETERS: Final = {"ssl_ca", "ssl_cert", "ssl_key"}
_ROOT_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*")
# With one of these in front, a path that the proxy has stripped looks like one that it has not.
_OWN_PATH: Final = re.compile(
    r"/(?:assets|budgets|categories|changes|currencies|docs|expenses|health|openapi\.json|ready|redoc|reports|users)(?:/|\Z)"
)
DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mysql+aiomysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mariadb+aiomysql": "mysql+aiomysql",
}


_KEY_RULE: Final = "must be at least 32 random bytes: set it to the output of `openssl rand -hex 32`"


def _is_guessable(secret: str) -> bool:
    is_short = len(secret.encode()) < SECRET_BYTES or len(set(secret)) < 8  # noqa: PLR2004
    # What repeats itself is found in itself twice over.
    is_repeated = secret in (secret * 2)[1:-1]
    return is_short or is_repeated or any(sample in secret.lower() for sample in SAMPLE_SECRETS)


def _check_database_url(url: str) -> str:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(
            "DATABASE_URL is no database URL; write mysql+aiomysql://user:password@host/database"
        ) from None
    if parsed.drivername not in DRIVERS:
        raise ValueError("DATABASE_URL names another database; use mysql+aiomysql://… or sqlite+aiosqlite:///file")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("DATABASE_URL names no database: append /name, or a file for SQLite")
    asked = {name for name in parsed.query if name.startswith("ssl")}
    if asked and ("ssl_ca" not in asked or asked - TLS_PARAMETERS):
        raise ValueError(
            "DATABASE_URL asks for TLS with ssl_ca=…, and ssl_cert=…&ssl_key=… beside it, and nothing else"
        )
    # An unescaped password ends where it should not, and its rest would be shown as the name of a host or a database.
    if parsed.get_backend_name() != "sqlite" and (url.count("@") > 1 or not _DATABASE_NAME.fullmatch(parsed.database)):
        raise ValueError("DATABASE_URL cannot be read: write @ as %40, / as %2F, # as %23 and % as %25 in the password")
    return parsed.set(drivername=DRIVERS[parsed.drivername]).render_as_string(hide_password=False)


_ENV_FILE: Final = Path(".env")
_ENCODING: Final = "utf-8-sig"  # Windows' editors begin a file with a byte order mark
# Half of a secret that was pasted on a line of its own is no name.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}|[A-Z][A-Z0-9_]{0,39}")
# HOST and PORT are too short to tell a slip from another program's HOSTS.
_MIN_GUESSED_LENGTH: Final = 6
_MIN_LIKENESS_IN_FILE: Final = 0.6
_MIN_LIKENESS_IN_ENVIRONMENT: Final = 0.85


class Settings(BaseSettings):
    """The knobs of one running service; frozen, and never echoed in an error."""

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE, env_file_encoding=_ENCODING, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: Annotated[str, AfterValidator(_check_database_url)] = "sqlite+aiosqlite:///expense_tracker.db"
    """Where the ledgers live: MySQL or MariaDB through aiomysql, or an embedded SQLite file."""

    secret_key: SecretStr | None = None
    """Signs access tokens and derives refresh tokens: at least 32 bytes; generated beside an embedded database."""

    secret_key_previous: SecretStr | None = None
    """The key before this one, while it is being replaced: what it signed is still good, and nothing new is signed."""

    access_token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    """How long an access token is good for, in minutes."""

    session_idle_days: int = Field(default=30, ge=1, le=3650)
    """A session that was not refreshed for so many days has ended."""

    session_days: int = Field(default=180, ge=1, le=3650)
    """So many days after the sign-in a session ends, however often it was refreshed."""

    signin_per_name: int = Field(default=5, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Failed attempts at one name's password from one address in 15 minutes before the next is a 429; 0 is no limit."""

    signin_per_address: int = Field(default=50, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Failed attempts at any passwords from one address in 15 minutes before the next is a 429; 0 is no limit."""

    signin_per_name_daily: int = Field(default=100, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Failed attempts at one name's password in 24 hours, from all addresses that it never signed in from."""

    registrations_per_address: int = Field(default=20, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Registrations from one address in an hour before the next is a 429; 0 is no limit."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses and networks of the proxies whose X-Forwarded-For tells clients apart, separated by commas."""

    password_min_length: int = Field(default=8, ge=8, le=64)
    """The shortest password accepted, in characters; 15 is recommended where there is no second factor."""

    bcrypt_rounds: int = Field(default=12, ge=4, le=16)
    """The cost of a password's hash; each step doubles the time."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API, separated by commas; empty: any port of localhost and 127.0.0.1."""

    host: str = "127.0.0.1"
    """The address that `make run` listens on."""

    port: int = Field(default=8000, ge=1, le=65535)
    """The port that `make run` listens on."""

    root_path: str = ""
    """The path below which a proxy shows the service, such as `/money`, whether the proxy strips it or not."""

    auto_migrate: bool = False
    """Migrate a MySQL database at start; an embedded one always is."""

    pool_size: int = Field(default=10, ge=1, le=200)
    """Connections kept to the database by each engine of each worker."""

    pool_timeout: float = Field(default=3, gt=0, le=30)
    """Seconds that a request waits for a connection before it is a 503."""

    queue_limit: int = Field(default=200, ge=1)
    """Writers that may wait for one ledger, or account (on SQLite: for the file), in a process before a 503."""

    trash_days: int = Field(default=30, ge=1, le=3650)
    """Whole days that a deleted expense stays in the trash before it is gone for good."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(origin.strip() for origin in value.split(",") if origin.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any("*" in origin for origin in origins):
            raise ValueError("CORS_ORIGINS takes no *: name each origin, like https://app.example.com")
        try:
            return tuple(parse_origin(origin) for origin in origins)
        except ValueError:
            # It would be compared with what a browser sends, and never be equal.
            raise ValueError("CORS_ORIGINS takes origins like https://app.example.com, separated by commas") from None

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        return tuple(it.strip() for it in value.split(",") if it.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ipaddress.ip_network(proxy)) for proxy in proxies)
        except ValueError:
            raise ValueError(
                "TRUSTED_PROXIES takes addresses and networks like 10.0.0.7,10.1.0.0/16, separated by commas"
            ) from None

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, root_path: str) -> str:
        if not _ROOT_PATH.fullmatch(root_path):
            raise ValueError(
                "ROOT_PATH takes a path like /money or /apps/money, with no slash at its end, of letters, digits, -, "
                "., _ and ~, or nothing"
            )
        if _OWN_PATH.match(root_path):
            raise ValueError("ROOT_PATH begins like an address of the service itself; use another, such as /money")
        return root_path

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if not self.secret_key and not self.is_embedded:
            raise ValueError(f"SECRET_KEY {_KEY_RULE}")
        for name in ("secret_key", "secret_key_previous"):
            secret = getattr(self, name)
            if secret and _is_guessable(secret.get_secret_value()):
                raise ValueError(f"{name.upper()} {_KEY_RULE}")
        return self

    @property
    def url(self) -> URL:
        """The database's URL, parsed."""
        return make_url(self.database_url)

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a SQLite file of the service's own."""
        return self.url.get_backend_name() == "sqlite"


def load_settings() -> Settings:
    """Read the settings, or exit and name the variable that is wrong, never its value."""
    try:
        if _ENV_FILE.is_dir():
            sys.exit("The service cannot start: .env is a folder, and the settings are read from a file of this name.")
        return Settings()
    except ValidationError as error:
        reasons = [*map(_describe_setting_error, error.errors()), *list_unknown_settings()]
        sys.exit("The service cannot start:\n" + "\n".join(f"  {reason}" for reason in reasons))
    except UnicodeDecodeError:
        sys.exit("The service cannot start: .env is not in UTF-8; save it in this encoding.")
    except OSError as error:
        sys.exit(f"The service cannot start: .env cannot be read ({error.strerror}).")


def list_unknown_settings() -> list[str]:
    """Return a sentence for each name in `.env` that is no setting, and for each near miss in the environment.

    The environment is full of other programs' names, `.env` is not. No value is told.
    """
    known = [name.upper() for name in Settings.model_fields]
    long = [name for name in known if len(name) >= _MIN_GUESSED_LENGTH]
    in_file = {name for name, value in _read_env_file().items() if value is not None and name.upper() not in known}
    named = sorted(name for name in in_file if _NAME.fullmatch(name))
    told = [_describe_unknown(name, ".env", _find_nearest(name, known, _MIN_LIKENESS_IN_FILE)) for name in named]
    if len(named) < len(in_file):
        told.append("A name in .env is no setting; it is not shown here, since it may be part of a value.")
    missed = {name: _find_nearest(name, long, _MIN_LIKENESS_IN_ENVIRONMENT) for name in sorted(os.environ)}
    return told + [
        _describe_unknown(name, "the environment", nearest)
        for name, nearest in missed.items()
        if nearest and name.upper() not in known
    ]


def _read_env_file() -> Mapping[str, str | None]:
    return dotenv_values(_ENV_FILE, encoding=_ENCODING) if _ENV_FILE.is_file() else {}


def _find_nearest(name: str, settings: Sequence[str], least: float) -> str | None:
    return next(iter(get_close_matches(name.upper(), settings, 1, least)), None)


def _describe_unknown(name: str, place: str, nearest: str | None) -> str:
    return f"{name} in {place} is no setting" + (f": did you mean {nearest}?" if nearest else ", and changes nothing.")


def _describe_setting_error(error: ErrorDetails) -> str:
    variable = ".".join(map(str, error["loc"])).upper()
    said = error["msg"].removeprefix("Value error, ")
    return said if said.startswith(variable) else f"{variable}: {said}"
