"""Hooks of schemathesis: they accept refusals by rules that an OpenAPI document cannot express."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import schemathesis
from hypothesis import strategies
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from ledger.idempotency import KEY_HEADER, KEY_SCHEMA
from models import IDEMPOTENCY_KEY_LENGTH
from values.money import DECIMALS

KEY: Final = re.compile(str(KEY_SCHEMA["pattern"]))

STATES: Final = {
    "wrong_password": "which password is the right one",
    "precondition_failed": "at which revision a row is",
    "resync_required": "how far the ledger has come",
    "filter_required": "that one of many parameters must be there",
    "too_many": "how much the account holds already",
    "import_refused": "what a file proves, and what is asked",
}
"""Codes of problems that depend on stored data or on several parameters, with the rule behind each."""
ENTRIES: Final = (
    # how many decimals each currency has, and that a number has at most three when it is written out
    ("amount", r"[A-Z]{3} has (no|\d) decimals\.|No currency has more than 3 decimals\."),
    # that a day exists: of a period, and to those who read `format: date` as an annotation
    ("date|from|to|on", r"Write a day that exists .*"),
    ("period", r"Send a period like .*|Ask for a period from .*"),
    # that one parameter excludes another, or is not less than it
    ("period", r"Give either a period, or from and to\."),
    ("uncategorized", r"Give either move_to or uncategorized\."),
    ("untagged", r"Send either `tag` or `untagged`: .*"),
    ("to", r"This is before `from`\."),
    ("max_amount", r"This is below `min_amount`\."),
    # which cursors were handed out, and for which query
    ("cursor", r"This is not a valid cursor; .*|This cursor belongs to .*"),
    # which rows there are, and at which revision; in a batch beside what else is wrong with it
    ("move_to", r"You have no (category|tag) of this name\."),
    # how the categories hang together
    ("parent", r"A category cannot be its own parent\.|This category has a parent .*|The category has children, .*"),
    ("id", r"You have no such expense\.|This expense is deleted: .*"),
    ("revision", r"The row has another revision now\."),
    # that of many operations no two have the same id
    ("id|external_id", r"An expense may be changed only once in a batch: .*"),
    # that names which differ only in case or form are the same; the last part of the pointer is a number
    (r"\d+", r"This name is there already, .*|This tag is to be added as well: .*"),
    # how many tags the expenses have that a filter finds
    ("add_tags", r"An expense that matches would have more than 20 tags; .*"),
    # that something is left of a text without its accents
    ("q", r"Send a letter too: .*"),
    # the names of the IANA database, which gets new ones several times a year
    ("timezone", r"Send an IANA time zone name, .*"),
    # that 12.0 is no whole number: to JSON Schema it is one
    ("month_start_day|revision|id", r"Send a whole number\."),
    # that an instant exists, and lies ahead
    ("expires_at", r"Write an instant with its offset, .*|Send an instant (in the future|before the year 2200)\."),
    # which name and which e-mail the account has, so that another one needs the password
    ("current_password", r"Send your current password to change .*"),
    # the most common passwords, and how long one is in NFKC
    ("password|new_password", r"This is one of the most common passwords; .*|The password must not be your own .*"),
    ("password|new_password", r"Send at (least 8|most 128) characters\."),
    # how long a name is with its case folded
    (r"name|category|parent|payee|tag|move_to|\d+", r"Send fewer characters: .*"),
    # which files are statements, what is in them, and which profiles there are
    ("file", r".*"),
    (r"\w+", r"No column of the file has this (header|name)\.|The file has \d+ columns\."),
    (r"\d+", r"The file has no row of this number\.|This row is no expense: .*"),
    ("encoding", r"There is no such encoding, .*|The file is not in this encoding\."),
    ("profile", r"There is no such profile\."),
    # what the rules of domain names (RFC 5891) leave of `format: email`
    ("email", r"This is not an e-mail address\."),
)
"""Fields, and the sentences with which a request that fits the document may be refused; all others are findings."""
# uvicorn refuses a longer request line with 400 in plain text.
LONGEST_QUERY: Final = 60_000


@schemathesis.hook
def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
    """Rewrite the document for schemathesis, without changing its meaning."""
    # A token of OAuth2 is a bearer token (RFC 6750); the check ignored_auth supports only the scheme `bearer`.
    schemes = raw_schema["components"]["securitySchemes"]
    oauth2 = [name for name, scheme in schemes.items() if scheme["type"] == "oauth2"]
    schemes |= {name: {"type": "http", "scheme": "bearer"} for name in oauth2}
    # The document has no list of currencies. One for each number of decimals is enough.
    one_of_each = {decimals: code for code, decimals in DECIMALS.items()}
    raw_schema["components"]["schemas"]["Currency"] = {"type": "string", "enum": [*one_of_each.values()]}
    # In the phase `coverage`, schemathesis ignores the pattern of a header that has no format.
    for schema in _patterned_headers(raw_schema):
        schema["format"] = schema["pattern"]
        schemathesis.openapi.format(schema["format"], strategies.from_regex(schema["pattern"], fullmatch=True))


def _patterned_headers(raw_schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operation in (operation for path in raw_schema["paths"].values() for operation in path.values()):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and "pattern" in parameter["schema"]:
                yield parameter["schema"]


@schemathesis.hook
def filter_case(_: HookContext, case: Case[Any]) -> bool:
    """Leave out requests that uvicorn refuses before they reach the application."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < LONGEST_QUERY


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Make the Idempotency-Key of a request depend on the request, because a key is for one request only."""
    key = case.headers.get(KEY_HEADER) if case.headers else None
    if isinstance(key, str) and len(key) <= IDEMPOTENCY_KEY_LENGTH and KEY.fullmatch(key):
        others = {name: value for name, value in case.headers.items() if name not in {KEY_HEADER, "Authorization"}}
        request = repr((case.method, case.path, case.path_parameters, case.query, others, case.body))
        digest = hashlib.sha256(request.encode(errors="replace")).hexdigest()
        case.headers[KEY_HEADER] = key[: IDEMPOTENCY_KEY_LENGTH - len(digest)] + digest


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, __: Case[Any], response: Response) -> bool:
    """Keep all failures except refusals by rules that a document cannot express."""
    return not (isinstance(failure, RejectedPositiveData) and is_unsayable(response.json()))


def is_unsayable(problem: dict[str, Any]) -> bool:
    """Whether all reasons of a problem are rules that a document cannot express."""
    errors = problem.get("errors", [])
    may_be_expected = problem["code"] in {"validation_failed", "unsupported_media_type"}
    are_expected = may_be_expected and errors and all(map(_is_unsayable, errors))
    return problem["code"] in STATES or bool(are_expected)


def _is_unsayable(error: dict[str, str]) -> bool:
    location = error.get("pointer", error.get("parameter", error.get("header", "")))
    field = location.rpartition("/")[2]
    return any(re.fullmatch(name, field) and re.fullmatch(detail, error["detail"]) for name, detail in ENTRIES)
