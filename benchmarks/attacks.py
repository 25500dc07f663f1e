"""What an attacker sends in `make bench abuse`: each attack with the connections, accounts and ledgers that it needs.

The requests are written as HTTP/1.1 text. `NUMBER` in them is another number each time, `REVISION` that of the last
answer.
"""

import base64
import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import auth
from benchmarks.crowd import NUMBER, REVISION, Group
from benchmarks.imports import BOUNDARY, FILES, write_form, write_statement
from users.personal_tokens import generate_token

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
MAX_BATCH_BYTES: Final = 1 << 20
EVERYTHING: Final = "/expenses?currency=EUR"
YEAR: Final = {"from": "2025-07-01", "to": "2026-06-30", "group_by": ["day", "category"]}
# In every long description, so that a search has to look for each of them; no description has the last word.
LETTERS: Final = "".join(map(chr, range(0x4E00, 0x4E00 + 250)))
NOWHERE: Final = "zeppelin"
FORGED: Final = {"iss": auth.ISSUER, "aud": auth.AUDIENCE, "sub": "1", "sid": "0" * 32, "iat": 1, "exp": 2}
PIPELINED: Final = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# The name with which the other user signs in.
GUESSED: Final = "housemate"
ASSETS: Final = ("/docs", "/assets/swagger-ui-bundle.js", "/assets/swagger-ui.css", "/assets/redoc.standalone.js")

# How the connections behave: most wait for each answer.
ASKING: Final = Group(())
HALF_SENT: Final = Group((), patience=0, again=0.5)
# Over two connections only: each may cost the service a gigabyte.
HUGE: Final = Group((), filler=("a:\r\n", 8 << 20), patience=0)
UNREAD: Final = Group((), filler=(PIPELINED, (256 << 10) // len(PIPELINED)), patience=0, reads=False)


@dataclass(frozen=True)
class Attacker:
    """An account of the attacker's, or nobody's, and the id of an expense of it."""

    token: str = ""
    row: int = 0


@dataclass(frozen=True)
class Attack:
    """An attack: what each connection sends in turn, and what it stands on."""

    name: str
    bound: str
    """What keeps it from spoiling the service for others."""
    write: Callable[[Attacker], Sequence[str]]
    ledger: str = ""
    """The kind of ledger that its accounts have (`benchmarks.ledgers`); none: it is anonymous."""
    accounts: int = 1
    connections: int = 20
    behaviour: Group = ASKING


def write(method: str, path: str, token: str = "", body: object = "", media_type: str = JSON, key: str = "") -> str:
    """Write a request; a body that is no text is sent as JSON, with its characters as they are."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        *([f"Authorization: Bearer {token}"] if token else []),
        *([f"Idempotency-Key: {key}"] if key else []),
        *([f"Content-Type: {media_type}", f"Content-Length: {len(text.encode())}"] if text else []),
    ]
    return "\r\n".join([*lines, "", text])


def _get(path: str, **query: object) -> Callable[[Attacker], Sequence[str]]:
    whole = f"{path}?{urlencode(query, doseq=True)}" if query else path
    return lambda attacker: [write("GET", whole, attacker.token)]


def _send(method: str, path: str, *bodies: object) -> Callable[[Attacker], Sequence[str]]:
    return lambda attacker: [write(method, path, attacker.token, body) for body in bodies]


def _batch(operations: Sequence[object], key: str = "") -> Callable[[Attacker], Sequence[str]]:
    text = json.dumps({"operations": operations}, ensure_ascii=False, separators=(",", ":"))
    return lambda attacker: [write("POST", "/expenses/batch", attacker.token, text, key=key)]


def _upload(statement: str, **fields: str) -> Callable[[Attacker], Sequence[str]]:
    return lambda attacker: [
        write("POST", "/imports", attacker.token, write_form(statement, fields), f"{FILES}; boundary={BOUNDARY}")
    ]


def _sign_in(password: str, *names: str) -> Callable[[Attacker], Sequence[str]]:
    forms = [f"username={name}&password={quote(password)}" for name in names]
    return lambda _: [write("POST", "/users/token", body=form, media_type=FORM) for form in forms]


def _create(**fields: object) -> dict[str, object]:
    return {"op": "create", "data": {"amount": "12.50", "date": "2020-02-02", **fields}}


def _list_names(count: int) -> list[str]:
    digits = "abcdefghijklmnopqrstuvwxyz0123456789"
    return [digits[n // 1296 % 36] + digits[n // 36 % 36] + digits[n % 36] for n in range(count)]


def _present_bad_personal_tokens(_: Attacker) -> list[str]:
    mistyped = f"etk_{'A' * 25}{NUMBER}"
    return [write("GET", "/expenses", token) for token in (mistyped, *(generate_token() for _ in range(50)))]


def _present_forged_tokens(_: Attacker) -> list[str]:
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "typ": "JWT"}, FORGED)
    )
    return [write("GET", "/expenses", f"{header}.{claims}.{NUMBER}{'A' * 35}")]


def _write_descending_marks() -> str:
    """Return 2,000 combining marks, those that belong last first: sorting them takes quadratic time."""
    marks = [chr(code) for code in range(0x300, 0x370) if unicodedata.combining(chr(code))]
    many = [mark for mark in marks for _ in range(-(-2_000 // len(marks)))]
    return "".join(sorted(many, key=unicodedata.combining, reverse=True)[:2_000])


def _junk() -> Sequence[object]:
    deep = f'{{"a":{"[" * 30}{"]" * 30}}}'
    return ("[" * 65_000, f'{{"a":[{",".join("0" * 32_000)}]}}', f"[{','.join([deep] * 900)}]")


def _delete_and_restore(attacker: Attacker) -> list[str]:
    restore = f'{{"revision":{REVISION}}}'
    return [
        write("DELETE", EVERYTHING, attacker.token),
        write("POST", "/expenses/restore", attacker.token, restore),
    ]


# Each of its quotes opens a cell that does not end, and its rows have no end that a parser could hold on to.
_STRAY_QUOTES: Final = "Date;Text;Amount\n" + '2026-11-02;"coffee;-3,50\n;"";"\n' * 60_000
_PREVIEW: Final = _upload(write_statement(20_000), dry_run="true", rows="0")
_NAMES: Final = "&".join(f"{name}=" for name in _list_names(11_000))
_KEYS: Final = dict.fromkeys(_list_names(6_500), 0)
_PERSON: Final = {"username": f"p{NUMBER}", "email": f"p{NUMBER}@example.com", "password": f"by the sea {NUMBER}"}
# Just as many as make 40,000 values of a thousand operations.
_UNKNOWN: Final = dict.fromkeys(_list_names(36), 0)
_WRONG: Final = {"current_password": f"wrong{NUMBER}", "new_password": f"in the hills {NUMBER}"}
_TOKEN: Final = {"name": f"t{NUMBER}", "scope": "read"}
_MARKS: Final = _write_descending_marks()
_ONE_OF_MARKS: Final = len(json.dumps(_create(description=_MARKS), ensure_ascii=False, separators=(",", ":")).encode())
_WITH_MARKS: Final = [_create(description=_MARKS)] * ((MAX_BATCH_BYTES - 100) // (_ONE_OF_MARKS + 1))
_KNOWN: Final = [{"op": "create", "data": {"amount": "1", "external_id": f"x{n}"}} for n in range(1_000)]
_MANY_WORDS: Final = " ".join([*LETTERS[:249], "Z"])
_TEN_WORDS: Final = " ".join([*LETTERS[:9], NOWHERE])
_DRY_RUN: Final = _send("PATCH", f"{EVERYTHING}&dry_run=true", {"description": "tried"})

ATTACKS: Final = (
    # --- Nobody's, or of somebody who has not signed in
    Attack(
        "1,200 half-sent heads",
        "connections of an address, 10 s for a head",
        lambda _: ["GET / HTTP/1.1\r\nHost: localhost\r\n"],
        "",
        1,
        1_200,
        HALF_SENT,
    ),
    Attack("a head of 32 MB", "32 KiB for a head", lambda _: ["GET / HTTP/1.1\r\n"], "", 1, 2, HUGE),
    Attack(
        "256 KB of unread pipelined requests", "8 unanswered requests of a connection", lambda _: [""], behaviour=UNREAD
    ),
    Attack("11,000 names in a query", "32 KiB for a head", _get(f"/currencies?{_NAMES}")),
    Attack(
        "6,500 unknown keys in a body",
        "2,000 braces, brackets, colons and commas",
        _send("POST", "/users/register", _KEYS),
    ),
    Attack(
        "64 KiB of deep or wide JSON",
        "2,000 braces, brackets, colons and commas",
        _send("POST", "/users/register", *_junk()),
    ),
    Attack(
        "guesses at passwords of others",
        "guesses by name and address, turns at hashes",
        _sign_in(f"wrong{NUMBER}", GUESSED, f"anybody{NUMBER}"),
    ),
    Attack(
        "U+FDFA x 228 as a password",
        "128 characters after NFKC, one turn of an address",
        _sign_in("\ufdfa" * 228, f"anybody{NUMBER}"),
    ),
    Attack("registrations", "registrations of an address, turns at hashes", _send("POST", "/users/register", _PERSON)),
    Attack("wrong personal tokens", "one turn of an address", _present_bad_personal_tokens),
    Attack("forged access tokens", "one turn of an address", _present_forged_tokens),
    Attack(
        "the pages of /docs",
        "one turn of an address, pages built once",
        lambda _: [write("GET", path) for path in ASSETS],
    ),
    Attack("GET /ready", "one start in a round, a connection of its own", _get("/ready")),
    Attack("GET /openapi.json", "one turn of an address, built once", _get("/openapi.json")),
    # --- Of one account
    Attack("a page of 200", "one turn of an account", _get("/expenses", limit=200), "large"),
    Attack("a page and its count", "one turn of an account", _get("/expenses", limit=50, with_count="true"), "large"),
    Attack("250 words in 5,000 long rows", "10 words", _get("/expenses", q=_MANY_WORDS), "long"),
    Attack("10 words in 5,000 long rows", "10 words, one turn of an account", _get("/expenses", q=_TEN_WORDS), "long"),
    Attack("a word that 50,000 rows lack", "one turn of an account", _get("/expenses", q=NOWHERE), "large"),
    Attack(
        "a report by day and category",
        "one turn of an account, 10,000 rows, slices",
        _get("/reports/spending", **YEAR),
        "large",
    ),
    Attack("the status of ten budgets", "one turn of an account", _get("/budgets/status"), "large"),
    Attack("1,000 changes", "one turn of an account", _get("/changes", since=0, limit=1000), "large"),
    Attack("a dry run over 50,000 rows", "a read: one turn of an account, 5 s", _DRY_RUN, "large"),
    Attack(
        "an expense after the other", "one writer of an account", _send("POST", "/expenses", _create()["data"]), "small"
    ),
    Attack(
        "changes of one expense",
        "one writer of an account",
        lambda it: [write("PATCH", f"/expenses/{it.row}", it.token, {"description": f"as {NUMBER}"})],
        "small",
    ),
    Attack(
        "1,000 creates",
        "one batch of an account, slices",
        _batch([_create(description=f"{n} of a thousand") for n in range(1_000)]),
        "small",
    ),
    Attack("1,000 that exist", "one batch of an account, answers kept by ids", _batch(_KNOWN, NUMBER), "known"),
    Attack(
        "36 unknown keys x 1,000",
        "one batch of an account, 100 errors",
        _batch([{"op": "create", "data": _UNKNOWN}] * 1_000),
        "small",
    ),
    Attack(
        "1,000 that are refused",
        "one batch of an account, 100 errors",
        _batch([{"op": "update", "id": 10**12 + n, "data": {"amount": "1"}} for n in range(1_000)]),
        "small",
    ),
    Attack("descending combining marks", "30 combining marks in a row", _batch(_WITH_MARKS), "small"),
    Attack(
        "10,000 descriptions, to and fro",
        "one writer of an account, bytes of texts",
        _send("PATCH", EVERYTHING, {"description": "a" * 500}, {"description": "b" * 500}),
        "medium",
    ),
    Attack("10,000 deleted and restored", "one writer of an account, rows of the trash", _delete_and_restore, "medium"),
    Attack(
        "wrong current passwords",
        "guesses by account, half of the hash threads",
        _send("PUT", "/users/me/password", _WRONG),
        "small",
    ),
    Attack(
        "personal tokens", "one writer of an account, 50 tokens", _send("POST", "/users/me/tokens", _TOKEN), "small"
    ),
    Attack("20,000 rows previewed", "one long turn of an account, a process for a file", _PREVIEW, "small", 1, 4),
    Attack(
        "20,000 rows imported and known",
        "one writer of an account, a process for a file",
        _upload(write_statement(20_000), rows="0"),
        "small",
        1,
        4,
    ),
    Attack(
        "a file of stray quotes",
        "a process for a file, ended at its deadline",
        _upload(_STRAY_QUOTES, dry_run="true"),
        "small",
        1,
        4,
    ),
    Attack("50,000 expenses exported", "one long turn of an account, pages", _get("/expenses/export"), "large", 1, 4),
    # --- Of twelve accounts at once
    Attack("12 accounts: previews", "as many processes as cores, one of an account", _PREVIEW, "small", 12, 12),
    Attack("12 accounts: dry runs", "10 turns in all, one of an account", _DRY_RUN, "long", 12, 24),
    Attack(
        "12 accounts: 10 words", "10 turns in all, one of an account", _get("/expenses", q=_TEN_WORDS), "long", 12, 24
    ),
)
