"""The settings of the service, read once from the environment and `.env`; the environment has priority."""

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import URL, make_url

from values.database_urls import check_database_url, refuse_missing_driver
from values.hosts import parse_host_pattern
from values.origins import parse_origin
from values.root_paths import check_root_path
from values.setting_errors import describe_setting_error
from values.setting_names import FILE_SUFFIX, describe_unknown, find_nearest
from values.signing_secrets import is_guessable

VERSION: Final = "0.1.0"
# The throttle stores the time of each counted attempt, so the number is limited.
MAX_ATTEMPT_LIMIT: Final = 1_000
# In TRUSTED_PROXIES: a peer that connects through a Unix socket has no address.
UNIX_PEER: Final = "unix:"
_KEY_RULE: Final = "must be at least 32 random bytes: set it to the output of `openssl rand -hex 32`"
_ENV_FILE: Final = Path(".env")
_MAX_FILE_LENGTH: Final = 65_536
_ENCODING: Final = "utf-8-sig"  # some Windows editors begin a file with a byte order mark
# Only such names are shown: anything else in `.env` may be a part of a secret, pasted on a line of its own.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}|[A-Z][A-Z0-9_]{0,39}")
# Shorter names, HOST and PORT, are not suggested for the environment: HOSTS may be another program's.
_MIN_GUESSED_LENGTH: Final = 6
_MIN_LIKENESS_IN_FILE: Final = 0.6
_MIN_LIKENESS_IN_ENVIRONMENT: Final = 0.85


class SettingsFileError(Exception):
    """Settings cannot be read from their files; each argument names a variable or a line, but no value."""


def _read_setting_files(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the settings whose files the variables name (`secret_key_file`), as Docker and Kubernetes give secrets.

    A variable without a value counts as not set. Raises SettingsFileError.
    """
    read, reasons = dict[str, Any](), list[str]()
    for name in Settings.model_fields:
        path = variables.get(name + FILE_SUFFIX.lower())
        if path and variables.get(name):
            reasons.append(f"{name.upper()} and {name.upper()}{FILE_SUFFIX} are both set: remove one of them.")
        elif path:
            try:
                read[name] = _read_setting_file(Path(path))
            except ValueError as error:
                reasons.append(f"{name.upper()}{FILE_SUFFIX} names {error}.")
    if reasons:
        raise SettingsFileError(*reasons)
    return read


def _read_setting_file(path: Path) -> str:
    """Return a file's text without the line end at its end; raise ValueError, which says what kind of file it is."""
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise ValueError("no regular file")
        with path.open(encoding=_ENCODING) as file:
            text = file.read(_MAX_FILE_LENGTH + 1).rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("a file that is not in UTF-8") from None
    except IsADirectoryError:
        raise ValueError("a folder, not a file") from None
    except OSError as error:
        raise ValueError(f"a file that cannot be read ({error.strerror})") from None
    if not text:
        raise ValueError("an empty file")
    if len(text) > _MAX_FILE_LENGTH:
        raise ValueError("a file that is too long for a setting")
    return text


class Settings(BaseSettings):
    """The settings of one running service; frozen, and their values are not shown in errors."""

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE, env_file_encoding=_ENCODING, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: Annotated[str, AfterValidator(check_database_url), AfterValidator(refuse_missing_driver)] = (
        "sqlite+aiosqlite:///expense_tracker.db"
    )
    """URL of the database: MySQL or MariaDB through aiomysql or asyncmy, or an embedded SQLite file."""

    secret_key: SecretStr | None = None
    """Signs access tokens and derives refresh tokens: at least 32 bytes; generated beside an embedded database."""

    secret_key_previous: SecretStr | None = None
    """The previous key, while it is being replaced: tokens that it signed are still valid; it signs no new ones."""

    access_token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    """Lifetime of an access token in minutes."""

    session_idle_days: int = Field(default=30, ge=1, le=3650)
    """A session ends if it is not refreshed for this number of days."""

    session_days: int = Field(default=180, ge=1, le=3650)
    """A session ends this number of days after the sign-in, even if it was refreshed."""

    signin_per_name: int = Field(default=5, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Wrong passwords for one name from one address in 15 minutes, after which the answer is 429; 0: no limit."""

    signin_per_address: int = Field(default=50, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Wrong passwords for any names from one address in 15 minutes, after which the answer is 429; 0: no limit."""

    signin_per_name_daily: int = Field(default=100, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Wrong passwords for one name in 24 hours, from all addresses from which it has never signed in; 0: no limit."""

    registration: Literal["open", "invite", "closed"] = "open"
    """Who may register: everybody, only with an invite from the operator, or nobody."""

    registrations_per_address: int = Field(default=20, ge=0, le=MAX_ATTEMPT_LIMIT)
    """Registrations from one address in an hour, after which the answer is 429; 0: no limit."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses and networks of the proxies whose X-Forwarded-For is used; `unix:` is one behind a Unix socket."""

    password_min_length: int = Field(default=8, ge=8, le=64)
    """Minimum length of a password in characters; 15 is recommended if there is no second factor."""

    bcrypt_rounds: int = Field(default=12, ge=4, le=16)
    """Cost of a password hash; each step doubles the time."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of the web pages that may call the API, separated by commas; empty: any port of localhost, 127.0.0.1."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names that Host may bear beside localhost; empty: on loopback no others, elsewhere and from proxies any."""

    host: str = "127.0.0.1"
    """The address that `make run` listens on; not empty, because that would be every address of the machine."""

    port: int = Field(default=8000, ge=1, le=65535)
    """The port that `make run` listens on."""

    workers: int = Field(default=1, ge=1, le=256)
    """How many processes `make run` serves with."""

    keep_alive: int = Field(default=75, ge=1, le=3600)
    """Seconds for which an idle connection is kept open; longer than a proxy keeps its own, which is mostly 60."""

    connections: int = Field(default=800, ge=10, le=100_000)
    """Connections that may be open in each process; fewer if its limit of open files leaves room for fewer."""

    connections_per_address: int = Field(default=300, ge=10, le=100_000)
    """Connections that may be open from one address, or from one /64 of IPv6, in each process; not of a proxy."""

    root_path: Annotated[str, AfterValidator(check_root_path)] = ""
    """The path below which a proxy shows the service, such as `/money`, whether the proxy strips it or not."""

    auto_migrate: bool = False
    """Whether to migrate a MySQL database at start; an embedded one is always migrated."""

    pool_size: int = Field(default=10, ge=1, le=200)
    """Size of each of the two connection pools of a process, and how many requests it works on at once."""

    pool_timeout: float = Field(default=3, gt=0, le=30)
    """Seconds that a request waits for a connection of its pool, then the answer is 503."""

    queue_limit: int = Field(default=200, ge=1)
    """Requests that may wait for their turn, and writers for one account (on SQLite: for the file); more get a 429."""

    trash_days: int = Field(default=30, ge=1, le=3650)
    """Whole days that a deleted expense can be restored from the trash."""

    trash_rows: int = Field(default=1_000_000, ge=0)
    """Deleted expenses that the trash of an account holds; a deletion beyond it is refused; 0: no limit."""

    text_bytes: int = Field(default=128 * 2**20, ge=0)
    """Bytes of an account's payees, descriptions, tags and external ids, those in the trash included; 0: no limit."""

    remembered_bytes: int = Field(default=64 * 2**20, ge=0)
    """Bytes of an account's remembered answers; beyond it an Idempotency-Key is answered with 429; 0: no limit."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # one folder for all secrets
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the one with the highest priority first; raise SettingsFileError."""
        variables = dict[str, str | None]()
        for source in (dotenv_settings, env_settings):
            if isinstance(source, EnvSettingsSource):
                variables |= source.env_vars
        files = InitSettingsSource(settings_cls, _read_setting_files(variables))
        return init_settings, files, env_settings, dotenv_settings

    @field_validator("cors_origins", "trusted_proxies", "allowed_hosts", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any("*" in origin for origin in origins):
            raise ValueError("CORS_ORIGINS takes no *: name each origin, like https://app.example.com")
        try:
            return tuple(parse_origin(origin) for origin in origins)
        except ValueError:
            # Anything else would never equal what a browser sends.
            raise ValueError("CORS_ORIGINS takes origins like https://app.example.com, separated by commas") from None

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(proxy if proxy == UNIX_PEER else str(ipaddress.ip_network(proxy)) for proxy in proxies)
        except ValueError:
            raise ValueError(
                "TRUSTED_PROXIES takes addresses and networks like 10.0.0.7,10.1.0.0/16, separated by commas"
            ) from None

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(parse_host_pattern(host) for host in hosts)
        except ValueError:
            raise ValueError(
                "ALLOWED_HOSTS takes names like money.example.org or *.example.org, separated by commas"
            ) from None

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        if not host:
            raise ValueError("HOST takes an address like 127.0.0.1, or 0.0.0.0 for all networks of the machine")
        return host

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if not self.secret_key and not self.is_embedded:
            raise ValueError(f"SECRET_KEY {_KEY_RULE}")
        for name in ("secret_key", "secret_key_previous"):
            secret = getattr(self, name)
            if secret and is_guessable(secret.get_secret_value()):
                raise ValueError(f"{name.upper()} {_KEY_RULE}")
        return self

    @property
    def url(self) -> URL:
        """The database's URL, parsed."""
        return make_url(self.database_url)

    @property
    def is_embedded(self) -> bool:
        """Whether the database is an SQLite file."""
        return self.url.get_backend_name() == "sqlite"


def load_settings() -> Settings:
    """Return the settings, or exit with a message that names each wrong variable, but not its value."""
    try:
        if _ENV_FILE.is_dir():
            sys.exit("The service cannot start: .env is a folder, and the settings are read from a file of this name.")
        _refuse_broken_lines()
        return Settings()
    except SettingsFileError as error:
        reasons = list(error.args)
    except ValidationError as error:
        reasons = [*map(describe_setting_error, error.errors()), *list_unknown_settings()]
    except UnicodeDecodeError:
        sys.exit("The service cannot start: .env is not in UTF-8; save it in this encoding.")
    except OSError as error:
        sys.exit(f"The service cannot start: .env cannot be read ({error.strerror}).")
    sys.exit("The service cannot start:\n" + "\n".join(f"  {reason}" for reason in reasons))


def list_unknown_settings() -> list[str]:
    """Return a sentence for each unknown name in `.env`, and for each misspelt setting in the environment.

    In the environment only names close to a setting count, because it has the variables of other programs too. The
    sentences contain no values.
    """
    names = [name.upper() for name in Settings.model_fields]
    known = [*names, *(name + FILE_SUFFIX for name in names)]
    long = [name for name in known if len(name.removesuffix(FILE_SUFFIX)) >= _MIN_GUESSED_LENGTH]
    in_file = {name for name, value in _read_env_file().items() if value is not None and name.upper() not in known}
    shown = sorted(name for name in in_file if _NAME.fullmatch(name))
    sentences = [describe_unknown(name, ".env", find_nearest(name, known, _MIN_LIKENESS_IN_FILE)) for name in shown]
    if len(shown) < len(in_file):
        sentences.append("A name in .env is no setting; it is not shown here, since it may be part of a value.")
    nearest_settings = {name: find_nearest(name, long, _MIN_LIKENESS_IN_ENVIRONMENT) for name in sorted(os.environ)}
    return sentences + [
        describe_unknown(name, "the environment", nearest)
        for name, nearest in nearest_settings.items()
        if nearest and name.upper() not in known
    ]


def list_misleading_settings(settings: Settings) -> list[str]:
    """Return a sentence if a limit of 0 may be meant to close registration, which it does not."""
    given = settings.model_fields_set
    if settings.registrations_per_address or "registrations_per_address" not in given or "registration" in given:
        return []
    no_limit = "REGISTRATIONS_PER_ADDRESS=0 means no limit, and registration is open: everybody may register."
    return [f"{no_limit} Set REGISTRATION=closed to close it, or REGISTRATION=open to say that this is meant."]


def _refuse_broken_lines() -> None:
    """Raise SettingsFileError if `.env` has lines that set nothing, such as `NAME: value`: they would be left out."""
    if _ENV_FILE.is_file():
        with _ENV_FILE.open(encoding=_ENCODING) as file:
            broken = [binding.original.line for binding in parse_stream(file) if binding.error]
        if broken:
            raise SettingsFileError(*(f".env, line {line}: write NAME=value." for line in broken))


def _read_env_file() -> Mapping[str, str | None]:
    return dotenv_values(_ENV_FILE, encoding=_ENCODING) if _ENV_FILE.is_file() else {}
