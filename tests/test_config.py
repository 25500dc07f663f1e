"""Settings: their defaults, refused values, and that no message contains a value."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from api.docs_pages import ASSETS_PATH, DOCUMENT_PATH
from config import (
    Settings,
    list_misleading_settings,
    list_unknown_settings,
    load_settings,
)
from infra.signing_keys import load_signing_keys
from tests.support import forks
from tests.support.document import DOCUMENT
from tests.support.servers import MAIN, inherited
from tests.support.settings import GOOD_SECRET
from values import database_urls
from values.setting_errors import describe_setting_error
from values.signing_secrets import SAMPLE_SECRETS

MYSQL_URL = "mysql+aiomysql://app:hunter2@db.example/expenses"
FASTAPI_SECRET = "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"
WEAK_SECRETS = {
    "unset": None,
    "empty": "",
    "short": "kX9!vB2@mQ7#",
    "31 bytes": GOOD_SECRET[:31],
    "FastAPI's sample": FASTAPI_SECRET,
    "one letter": "a" * 64,
    "two letters": "ab" * 32,
    "a sample in capitals": FASTAPI_SECRET.upper(),
    "a sample and a space": f"{FASTAPI_SECRET} ",
    "a sample and more": f"{FASTAPI_SECRET}-production",
    "twice the half": GOOD_SECRET[:16] * 2,
    "three times the same": GOOD_SECRET[:12] * 3,
    "the command": "openssl rand -hex 32 > secret.txt",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def read(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]  # as the environment gives them: as text


def refusal(**given: object) -> str:
    with pytest.raises(ValidationError) as refused:
        read(**given)
    return str(refused.value)


# Defaults


def test_without_any_setting_the_database_is_an_embedded_file() -> None:
    settings = read()
    assert settings.is_embedded
    assert settings.url.database == "expense_tracker.db"
    assert settings.secret_key is None


@pytest.mark.parametrize("name", ["mysql", "mysql+aiomysql", "mariadb", "mariadb+aiomysql"])
def test_mysql_and_mariadb_are_one_to_the_driver(name: str) -> None:
    settings = read(database_url=f"{name}://app:hunter2@db/expenses", secret_key=GOOD_SECRET)
    assert settings.url.drivername == "mysql+aiomysql"
    assert not settings.is_embedded


@pytest.mark.parametrize("name", ["mysql+asyncmy", "mariadb+asyncmy"])
def test_the_faster_driver_is_named(name: str) -> None:
    settings = read(database_url=f"{name}://app:hunter2@db/expenses", secret_key=GOOD_SECRET)
    assert settings.url.drivername == "mysql+asyncmy"


@pytest.mark.parametrize("name", ["mysql+asyncmi", "mysql+pymysql", "mariadb+mysqldb", "sqlite+pysqlite"])
def test_a_driver_that_is_misspelt_is_told_with_those_that_there_are(name: str) -> None:
    said = refusal(database_url=f"{name}://app:hunter2@db.example/expenses", secret_key=GOOD_SECRET)
    assert "sqlite+aiosqlite://…, mysql+aiomysql://…, mysql+asyncmy://…" in said
    assert not any(word in said for word in (name, "hunter2", "db.example"))


def test_where_the_faster_driver_is_not_installed_the_other_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_urls, "find_spec", lambda _: None)
    said = refusal(database_url="mysql+asyncmy://app:hunter2@db.example/expenses", secret_key=GOOD_SECRET)
    assert "mysql+aiomysql://" in said
    assert "hunter2" not in said


def test_the_password_in_the_url_reaches_the_driver() -> None:
    assert read(database_url=MYSQL_URL, secret_key=GOOD_SECRET).url.password == "hunter2"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example/, https://b.example")
    assert read().cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("password", ["p@hunter2", "p@ss/w#hunter2%1", "@hunter2", "p@ss:hunter2", "a@b:c:hunter2"])
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(password: str) -> None:
    said = refusal(database_url=f"mysql://app:{password}@db/expenses", secret_key=GOOD_SECRET)
    assert "DATABASE_URL" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("name", ["password", "passwd", "user"])
def test_a_password_in_the_query_is_refused_and_not_shown(name: str) -> None:
    said = refusal(database_url=f"mysql://app@db/expenses?{name}=hunter2", secret_key=GOOD_SECRET)
    assert "DATABASE_URL takes user and password before the host" in said
    assert "hunter2" not in said


def test_a_librarys_own_error_is_not_shown_because_it_may_quote_the_value() -> None:
    message = "Value error, invalid literal for int() with base 10: 'hunter2'"
    error = ErrorDetails(type="value_error", loc=("database_url",), msg=message, input=None)
    assert describe_setting_error(error) == "DATABASE_URL: this value cannot be read"


def test_no_address_is_not_every_address() -> None:
    assert "HOST takes an address" in refusal(host="")


@pytest.mark.parametrize(
    "query", ["ssl_cert=c.pem&ssl_key=k.pem", "ssl_ca=ca.pem&ssl_check_hostname=false", "ssl=true"]
)
def test_half_of_tls_is_refused(query: str) -> None:
    assert "ssl_ca=" in refusal(database_url=f"{MYSQL_URL}?{query}", secret_key=GOOD_SECRET)


def test_a_password_that_is_escaped_reaches_the_driver() -> None:
    settings = read(database_url="mysql://app:p%40ss%2Fw%23rd%25@db/expenses", secret_key=GOOD_SECRET)
    assert settings.url.password == "p@ss/w#rd%"


def test_an_origin_is_compared_as_browsers_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "HTTPS://App.Example:443/,https://bücher.example")
    assert read().cors_origins == ("https://app.example", "https://xn--bcher-kva.example")


@pytest.mark.parametrize(
    "origins", ["app.example", "*", "https://app.example/page", "https://a.example https://b.example"]
)
def test_what_no_browser_sends_as_an_origin_is_refused(origins: str) -> None:
    assert "CORS_ORIGINS takes" in refusal(cors_origins=origins)


@pytest.mark.parametrize("origins", ["*", "https://*.example.com", "https://app.example.com,http://localhost:*"])
def test_a_star_is_no_origin(origins: str) -> None:
    said = refusal(cors_origins=origins)
    assert "CORS_ORIGINS takes no *: name each origin, like https://app.example.com" in said


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_registration_is_one_of_three(registration: str) -> None:
    assert read(registration=registration).registration == registration


@pytest.mark.parametrize("registration", ["", "no", "Closed", "0", "invites"])
def test_another_registration_is_refused_with_those_that_there_are(registration: str) -> None:
    assert "Input should be 'open', 'invite' or 'closed'" in refusal(registration=registration)


def test_a_limit_that_may_be_meant_to_close_registration_is_told() -> None:
    [said] = list_misleading_settings(read(registrations_per_address=0))

    assert said.startswith("REGISTRATIONS_PER_ADDRESS=0 means no limit, and registration is open")
    assert "Set REGISTRATION=closed to close it" in said


@pytest.mark.parametrize(
    "settings",
    [{}, {"registrations_per_address": 1}, {"registrations_per_address": 0, "registration": "open"}],
)
def test_a_limit_that_is_meant_is_not_told(settings: dict[str, object]) -> None:
    assert list_misleading_settings(read(**settings)) == []


def test_settings_are_frozen() -> None:
    settings = read()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 80  # type: ignore[misc]  # what must not work


def test_printed_settings_hide_the_secret() -> None:
    assert GOOD_SECRET not in repr(read(secret_key=GOOD_SECRET))


# The database


@pytest.mark.parametrize(
    "url",
    [
        "",
        "expenses.db",
        "postgresql://app:hunter2@db/expenses",
        "mysql+pymysql://app:hunter2@db/expenses",
        "oracle://app:hunter2@db/expenses",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://app:hunter2@db",
    ],
)
def test_another_database_is_refused_by_the_variables_name(url: str) -> None:
    said = refusal(database_url=url, secret_key=GOOD_SECRET)
    assert "DATABASE_URL" in said
    assert "hunter2" not in said


# The secret


@pytest.mark.parametrize("secret", WEAK_SECRETS.values(), ids=WEAK_SECRETS)
def test_mysql_needs_a_secret_that_nobody_guesses(secret: str | None) -> None:
    assert "SECRET_KEY" in refusal(database_url=MYSQL_URL, secret_key=secret)


@pytest.mark.parametrize("secret", ["kX9!vB2@mQ7#", FASTAPI_SECRET, "ab" * 32])
def test_a_refused_secret_is_not_shown(secret: str) -> None:
    said = refusal(database_url=MYSQL_URL, secret_key=secret)
    assert secret not in said
    assert "hunter2" not in said


@pytest.mark.parametrize("secret", sorted(SAMPLE_SECRETS))
def test_a_sample_is_no_secret_for_an_embedded_database_either(secret: str) -> None:
    assert "SECRET_KEY" in refusal(secret_key=f"{secret}-{GOOD_SECRET}")


def test_a_given_secret_signs() -> None:
    assert load_signing_keys(read(secret_key=SecretStr(GOOD_SECRET)))[0] == GOOD_SECRET


# The secret before this one


PREVIOUS_SECRET = "c3a1f09e7b5d48261f0e9d8c7b6a59483726150f4e3d2c1b0a998877665544ab"
REFUSED_PREVIOUS = {
    "short": "kX9!vB2@mQ7#",
    "31 bytes": PREVIOUS_SECRET[:31],
    "FastAPI's sample": FASTAPI_SECRET,
    "another sample": "your-256-bit-secret-your-256-bit-secret",
    "one letter": "a" * 64,
    "seven letters": "abcdefg" * 8,
}


def test_without_a_previous_key_one_key_counts() -> None:
    assert load_signing_keys(read(secret_key=GOOD_SECRET)) == (GOOD_SECRET,)


def test_the_previous_key_stands_behind_the_one_that_signs() -> None:
    settings = read(database_url=MYSQL_URL, secret_key=GOOD_SECRET, secret_key_previous=PREVIOUS_SECRET)
    assert load_signing_keys(settings) == (GOOD_SECRET, PREVIOUS_SECRET)


def test_the_previous_key_stands_behind_a_generated_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/expenses.db"
    own = load_signing_keys(read(database_url=url))
    assert load_signing_keys(read(database_url=url, secret_key_previous=PREVIOUS_SECRET)) == (*own, PREVIOUS_SECRET)


def test_the_previous_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_PREVIOUS", PREVIOUS_SECRET)
    assert load_signing_keys(read(secret_key=GOOD_SECRET)) == (GOOD_SECRET, PREVIOUS_SECRET)


def test_an_empty_previous_key_is_none() -> None:
    assert load_signing_keys(read(secret_key=GOOD_SECRET, secret_key_previous="")) == (GOOD_SECRET,)


def test_a_previous_key_does_not_stand_in_for_the_key() -> None:
    assert "SECRET_KEY must" in refusal(database_url=MYSQL_URL, secret_key_previous=PREVIOUS_SECRET)


@pytest.mark.parametrize("secret", REFUSED_PREVIOUS.values(), ids=REFUSED_PREVIOUS)
@pytest.mark.parametrize("url", [MYSQL_URL, "sqlite:///expenses.db"])
def test_a_previous_key_that_can_be_guessed_is_refused_by_name_and_not_shown(url: str, secret: str) -> None:
    # ASVS 5.0, 13.3.1 and 16.2.5.
    said = refusal(database_url=url, secret_key=GOOD_SECRET, secret_key_previous=secret)
    assert "SECRET_KEY_PREVIOUS must" in said
    assert secret not in said
    assert GOOD_SECRET not in said


def test_a_weak_key_is_not_blamed_on_the_previous_one() -> None:
    said = refusal(database_url=MYSQL_URL, secret_key="kX9!vB2@mQ7#", secret_key_previous=PREVIOUS_SECRET)
    assert "SECRET_KEY must" in said
    assert PREVIOUS_SECRET not in said


def test_printed_settings_hide_the_previous_key() -> None:
    assert PREVIOUS_SECRET not in repr(read(secret_key=GOOD_SECRET, secret_key_previous=PREVIOUS_SECRET))


# How long, and how many


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("session_idle_days", 30),
        ("session_days", 180),
        ("signin_per_name", 5),
        ("signin_per_address", 50),
        ("signin_per_name_daily", 100),
        ("registrations_per_address", 20),
        ("trusted_proxies", ()),
    ],
)
def test_a_limit_is_set_without_setting_it(name: str, default: object) -> None:
    assert getattr(read(), name) == default


DAYS = pytest.mark.parametrize("name", ["session_idle_days", "session_days"])
ATTEMPTS = pytest.mark.parametrize(
    "name", ["signin_per_name", "signin_per_address", "signin_per_name_daily", "registrations_per_address"]
)


@DAYS
@pytest.mark.parametrize("days", ["1", "3650"])
def test_a_session_lasts_from_a_day_to_ten_years(name: str, days: str) -> None:
    assert getattr(read(**{name: days}), name) == int(days)


@DAYS
@pytest.mark.parametrize("days", ["0", "-1", "3651", "1.5", "", "forever"])
def test_another_time_is_refused_by_name(name: str, days: str) -> None:
    assert name in refusal(**{name: days})


@ATTEMPTS
@pytest.mark.parametrize("most", ["0", "1", "1000"])
def test_a_limit_of_attempts_is_none_or_up_to_a_thousand(name: str, most: str) -> None:
    assert getattr(read(**{name: most}), name) == int(most)


@ATTEMPTS
@pytest.mark.parametrize("most", ["-1", "1001", "0.5", "", "none"])
def test_another_limit_of_attempts_is_refused_by_name(name: str, most: str) -> None:
    assert name in refusal(**{name: most})


# Proxies


@pytest.mark.parametrize(
    ("written", "networks"),
    [
        ("", ()),
        (" , ,", ()),
        ("10.0.0.7", ("10.0.0.7/32",)),
        ("10.0.0.7,10.1.0.0/16", ("10.0.0.7/32", "10.1.0.0/16")),
        ("  10.0.0.7 ,\t10.1.0.0/16 , ", ("10.0.0.7/32", "10.1.0.0/16")),
        ("::1", ("::1/128",)),
        ("FD00:0::/8,2001:db8:0:0::7", ("fd00::/8", "2001:db8::7/128")),
        ("0.0.0.0/0,::/0", ("0.0.0.0/0", "::/0")),
        ("10.1.0.0/255.255.0.0", ("10.1.0.0/16",)),
        ("unix:", ("unix:",)),
        ("unix:, 10.0.0.7", ("unix:", "10.0.0.7/32")),
    ],
)
def test_proxies_are_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, written: str, networks: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", written)
    assert read().trusted_proxies == networks


@pytest.mark.parametrize(
    "written",
    [
        "*",
        "proxy.example",
        "localhost",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.7:8000",
        "10.0.0.7/33",
        "10.0.0.7/16",
        "10.0.0.7 10.0.0.8",
        "10.0.0.7;10.0.0.8",
        "[::1]",
        "::1/129",
        "2001:db8::7/64",
        "::g",
        "010.0.0.7",
        "１０.0.0.7",
        "10.0.0.7,hunter2",
        "7",
        "unix",
        "unix:/run/proxy.sock",
    ],
)
def test_what_is_no_proxy_is_refused_by_name(written: str) -> None:
    said = refusal(trusted_proxies=written)
    assert "TRUSTED_PROXIES takes" in said
    assert "hunter2" not in said


# The names of the service


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("", ()),
        ("money.example.org", ("money.example.org",)),
        ("Money.Example.org.:443, *.Home.example ", ("money.example.org", "*.home.example")),
        ("[2001:DB8:0::7]", ("[2001:db8::7]",)),
        ("bücher.example", ("xn--bcher-kva.example",)),
    ],
)
def test_a_host_is_compared_as_browsers_write_it(
    monkeypatch: pytest.MonkeyPatch, written: str, hosts: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", written)
    assert read().allowed_hosts == hosts


@pytest.mark.parametrize("written", ["*", "https://money.example.org", "a b", "money.*", "a.example;b.example", "a/b"])
def test_what_is_no_host_is_refused_with_an_example(written: str) -> None:
    said = "ALLOWED_HOSTS takes names like money.example.org or *.example.org, separated by commas"
    assert said in refusal(allowed_hosts=written)


# The path below which a proxy shows the service


@pytest.mark.parametrize("written", ["", "/money", "/apps/money", "/a.b", "/v1.0_~x-", "/expenses-of-ada", "/my/users"])
def test_a_root_path_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("ROOT_PATH", written)
    assert read().root_path == written


@pytest.mark.parametrize(
    "written",
    [
        "/",
        "money",
        "/money/",
        "//money",
        "/apps//money",
        "/apps/../money",
        "/..",
        "/.",
        "/./money",
        "/money?a=1",
        "/money#top",
        "/mon ey",
        "/money\n",
        "/m%6fney",
        "/münze",
        "\\money",
        '/"money"',
        "https://hunter2.example/money",
    ],
)
def test_what_is_no_path_is_refused_by_name(written: str) -> None:
    said = refusal(root_path=written)
    assert "ROOT_PATH takes a path like /money" in said
    assert "hunter2" not in said


ADDRESSES = [*DOCUMENT["paths"], ASSETS_PATH, DOCUMENT_PATH, "/docs", "/redoc"]
OWN_PATHS = sorted({f"/{address.split('/')[1]}" for address in ADDRESSES} - {"/"})


@pytest.mark.parametrize("below", ["", "/api"])
@pytest.mark.parametrize("path", OWN_PATHS)
def test_an_address_of_the_service_is_no_root_path(path: str, below: str) -> None:
    assert "ROOT_PATH begins like an address of the service itself" in refusal(root_path=path + below)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY_PREVIOUS", "kX9!vB2@mQ7#", "SECRET_KEY_PREVIOUS must be at least 32 random bytes"),
        ("TRUSTED_PROXIES", "kX9!vB2@mQ7#", "TRUSTED_PROXIES takes addresses"),
        ("SIGNIN_PER_NAME", "kX9!vB2@mQ7#", "SIGNIN_PER_NAME: write a whole number"),
        ("SESSION_DAYS", "3651", "SESSION_DAYS: write a number of at most 3650"),
        ("WORKERS", "0.5", "WORKERS: write a whole number"),
        ("KEEP_ALIVE", "1.5", "KEEP_ALIVE: "),
        ("ROOT_PATH", "kX9!vB2@mQ7#", "ROOT_PATH takes a path"),
        ("DATABASE_URL", MYSQL_URL, "SECRET_KEY"),
        ("DATABASE_URL", "postgresql://app:hunter2@db/expenses", "DATABASE_URL"),
    ],
)
def test_the_reason_not_to_start_names_the_variable_first_and_not_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load_settings()
    assert f"\n  {said}" in str(ended.value)
    assert value not in str(ended.value)


# The file .env, and names that are no settings


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a `.env` that the service reads."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def why_it_does_not_start() -> str:
    with pytest.raises(SystemExit) as ended:
        load_settings()
    return str(ended.value)


@pytest.mark.parametrize(
    "content", ["HOST=b\xfccher".encode("latin-1"), "HOST=127.0.0.1".encode("utf-16")], ids=["Latin-1", "UTF-16"]
)
def test_an_env_file_in_another_encoding_is_one_sentence(env_file: Path, content: bytes) -> None:
    env_file.write_bytes(content)
    assert why_it_does_not_start() == "The service cannot start: .env is not in UTF-8; save it in this encoding."


def test_an_env_file_may_begin_with_a_byte_order_mark(env_file: Path) -> None:
    env_file.write_text("\ufeffPORT=8123\n", encoding="utf-8")
    assert load_settings().port == 8123
    assert list_unknown_settings() == []


def test_an_env_file_that_is_a_folder_is_one_sentence(env_file: Path) -> None:
    env_file.mkdir()
    said = "The service cannot start: .env is a folder, and the settings are read from a file of this name."
    assert why_it_does_not_start() == said


def test_an_env_file_that_may_not_be_read_is_one_sentence(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(env_file))

    env_file.write_text("PORT=8123")
    # The tests may run as root, who reads everything.
    monkeypatch.setattr("builtins.open", refuse)
    assert why_it_does_not_start() == "The service cannot start: .env cannot be read (Permission denied)."


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CORS_ORIGIN=https://hunter2.example", "CORS_ORIGIN in .env is no setting: did you mean CORS_ORIGINS?"),
        ("export database_uri=mysql://hunter2", "database_uri in .env is no setting: did you mean DATABASE_URL?"),
        ("HOTS=hunter2", "HOTS in .env is no setting: did you mean HOST?"),
        ("MYSQL_ROOT=hunter2", "MYSQL_ROOT in .env is no setting, and changes nothing."),
        ("x=hunter2", "x in .env is no setting, and changes nothing."),
        ("SECRETKEY_FILE=key", "SECRETKEY_FILE in .env is no setting: did you mean SECRET_KEY_FILE?"),
        ("SECRET_KEY_FIEL=key", "SECRET_KEY_FIEL in .env is no setting: did you mean SECRET_KEY_FILE?"),
        ("MAIL_FILE=mail", "MAIL_FILE in .env is no setting, and changes nothing."),
        ("PORT_FILE_FILE=port", "PORT_FILE_FILE in .env is no setting: did you mean PORT_FILE?"),
    ],
)
def test_an_unknown_name_in_the_env_file_is_told_without_its_value(env_file: Path, line: str, said: str) -> None:
    env_file.write_text(f"PORT=8123\n{line}\n")
    assert list_unknown_settings() == [said]
    assert load_settings().port == 8123


@pytest.mark.parametrize("line", ["aGhunter2Q==", "hunter2-hunter2=", f"{GOOD_SECRET}=="])
def test_what_may_be_half_a_secret_is_not_shown(env_file: Path, line: str) -> None:
    env_file.write_text(f"SECRET_KEY=\n{line}\n")
    assert list_unknown_settings() == [
        "A name in .env is no setting; it is not shown here, since it may be part of a value."
    ]


@pytest.mark.parametrize("content", ["", "# PROT=1\n", "port=8123\nHost=127.0.0.1\nPORT\n", GOOD_SECRET])
def test_an_env_file_of_settings_says_nothing(env_file: Path, content: str) -> None:
    env_file.write_text(content)
    assert list_unknown_settings() == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("SECRETKEY", "SECRET_KEY"),
        ("cors_origin", "CORS_ORIGINS"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("SIGNIN_PER_ADRESS", "SIGNIN_PER_ADDRESS"),
        ("SECRETKEY_FILE", "SECRET_KEY_FILE"),
        ("KEEPALIVE", "KEEP_ALIVE"),
    ],
)
@pytest.mark.usefixtures("env_file")
def test_a_near_miss_in_the_environment_is_told_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "hunter2")
    assert list_unknown_settings() == [f"{name} in the environment is no setting: did you mean {meant}?"]


@pytest.mark.usefixtures("env_file")
def test_the_names_of_other_programs_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = """
        PATH HOME USER LANG TERM SHELL PWD HOSTNAME HOSTS PORTS HOSTTYPE SSH_CLIENT SSH_AUTH_SOCK XDG_SESSION_ID
        XDG_SESSION_TYPE DESKTOP_SESSION SESSION_MANAGER DBUS_SESSION_BUS_ADDRESS PYTHONPATH VIRTUAL_ENV GPG_KEY
        PYTHON_VERSION MYSQL_HOST MYSQL_PASSWORD MYSQL_DATABASE DB_PORT KUBERNETES_PORT KUBERNETES_SERVICE_HOST
        POSTGRES_DATABASE_URL AWS_SECRET_ACCESS_KEY AWS_SECRET_KEY DJANGO_SECRET_KEY SECRET CI GITHUB_TOKEN
        HOSTFILE HOSTS_FILE AWS_SHARED_CREDENTIALS_FILE MYSQL_PASSWORD_FILE DJANGO_SECRET_KEY_FILE LOG_FILE
        UVICORN_PORT WEB_CONCURRENCY MAIL_FROM SYSTEMD_EXEC_PID INVOCATION_ID JOURNAL_STREAM port Host database_url
    """
    for name in names.split():
        monkeypatch.setenv(name, "1")
    assert list_unknown_settings() == []


def test_a_start_that_fails_tells_of_the_near_miss_that_explains_it(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", MYSQL_URL)
    env_file.write_text(f"SECRETKEY={GOOD_SECRET}\n")
    said = why_it_does_not_start()
    assert "\n  SECRET_KEY must be" in said
    assert "\n  SECRETKEY in .env is no setting: did you mean SECRET_KEY?" in said
    assert GOOD_SECRET not in said


# The files that NAME_FILE names


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_setting_may_be_the_content_of_a_file(env_file: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    env_file.with_name("key").write_bytes(f"{GOOD_SECRET}{end}".encode())
    env_file.with_name("port").write_text(f"8123{end}")
    monkeypatch.setenv("SECRET_KEY_FILE", "key")
    env_file.write_text("PORT_FILE=port\n")
    settings = load_settings()
    assert (settings.secret_key, settings.port) == (SecretStr(GOOD_SECRET), 8123)
    assert list_unknown_settings() == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_file(env_file: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"{name.upper()}_FILE", str(env_file.with_name("nowhere")))
    assert why_it_does_not_start() == (
        "The service cannot start:\n"
        f"  {name.upper()}_FILE names a file that cannot be read (No such file or directory)."
    )
    assert list_unknown_settings() == []


def test_a_list_may_be_the_content_of_a_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.with_name("origins").write_text("https://a.example,https://b.example\n")
    monkeypatch.setenv("CORS_ORIGINS_FILE", "origins")
    assert load_settings().cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("in_environment", "in_file"),
    [
        ({"PORT": "8123", "PORT_FILE": "port"}, ""),
        ({"PORT_FILE": "port"}, "PORT=8123"),
        ({"PORT": "8123"}, "PORT_FILE=port"),
        ({}, "PORT=8123\nPORT_FILE=port"),
    ],
)
def test_a_setting_and_its_file_together_are_refused(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, in_environment: dict[str, str], in_file: str
) -> None:
    env_file.write_text(in_file)
    for name, value in in_environment.items():
        monkeypatch.setenv(name, value)
    assert why_it_does_not_start() == (
        "The service cannot start:\n  PORT and PORT_FILE are both set: remove one of them."
    )


@pytest.mark.parametrize(("port", "path"), [("8123", ""), ("", "port")])
def test_an_empty_variable_counts_as_not_set_beside_the_other(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, port: str, path: str
) -> None:
    env_file.with_name("port").write_text("8123")
    monkeypatch.setenv("PORT", port)
    monkeypatch.setenv("PORT_FILE", path)
    assert load_settings().port == 8123


def test_files_that_cannot_be_used_are_told_all_at_once_without_their_content(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.with_name("folder").mkdir()
    env_file.with_name("latin").write_bytes(b"hunter2\xfc")
    monkeypatch.setenv("SECRET_KEY_FILE", "latin")
    monkeypatch.setenv("DATABASE_URL_FILE", "folder")
    assert why_it_does_not_start() == (
        "The service cannot start:\n"
        "  DATABASE_URL_FILE names a folder, not a file.\n"
        "  SECRET_KEY_FILE names a file that is not in UTF-8."
    )


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.touch(), "an empty file"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.write_text("k" * 70_000), "a file that is too long for a setting"),
    ],
)
def test_a_file_that_holds_no_setting_is_told(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], what: str
) -> None:
    make(env_file.with_name("key"))
    monkeypatch.setenv("SECRET_KEY_FILE", "key")
    assert why_it_does_not_start() == f"The service cannot start:\n  SECRET_KEY_FILE names {what}."


def test_a_line_that_sets_nothing_is_told_by_its_number(env_file: Path) -> None:
    env_file.write_text("PORT=8123\nREGISTRATION: closed\nHOST 0.0.0.0\n")
    assert why_it_does_not_start() == (
        "The service cannot start:\n  .env, line 2: write NAME=value.\n  .env, line 3: write NAME=value."
    )


def test_a_wrong_value_in_a_file_names_the_setting_and_not_the_value(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.with_name("key").write_text("kX9!vB2@mQ7#\n")
    monkeypatch.setenv("SECRET_KEY_FILE", "key")
    said = why_it_does_not_start()
    assert "\n  SECRET_KEY must be at least 32 random bytes" in said
    assert "kX9!vB2@mQ7#" not in said


# The process


def test_the_service_does_not_start_and_says_which_variable_is_wrong(tmp_path: Path) -> None:
    ended = forks.run(MAIN, tmp_path, inherited() | {"DATABASE_URL": MYSQL_URL, "SECRET_KEY": "kX9!vB2@mQ7#"})
    assert ended.returncode not in (0, -15)
    assert "SECRET_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout
    assert "kX9!vB2@mQ7#" not in ended.stderr + ended.stdout
    assert list(tmp_path.iterdir()) == []
