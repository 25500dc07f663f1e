"""The OpenAPI document: complete, valid, and true of the service's answers."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, Final

import httpx
import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from api.problem_codes import ADVICE
from problems import Problem
from routers import (
    archives,
    budgets,
    categories,
    changes,
    expenses,
    exports,
    imports,
    payees,
    reports,
    sessions,
    system,
    tags,
    tokens,
    trash,
    users,
)
from tests.support.document import DOCUMENT, OPERATIONS_BY_ID, SCHEMAS, Node
from tests.support.people import Person
from tests.support.schemathesis_hooks import is_unsayable
from values.fields import LARGEST_ID
from values.money import DECIMALS

pytestmark = pytest.mark.wire

PROBLEM: Final = "application/problem+json"
# The body of a 503 of /ready is not an error's: it says check by check what is wrong.
NO_PROBLEM: Final = {("read_readiness", "503")}


def _responses() -> Iterator[tuple[str, str, Node]]:
    for name, operation in OPERATIONS_BY_ID.items():
        for status, response in operation["responses"].items():
            yield name, status, response


def _bodies() -> Iterator[tuple[str, Node]]:
    for name, operation in OPERATIONS_BY_ID.items():
        for media in operation.get("requestBody", {"content": {}})["content"].values():
            yield name, SCHEMAS[media["schema"]["$ref"].rsplit("/", 1)[-1]]


def _parameters() -> Iterator[tuple[str, Node]]:
    for name, operation in OPERATIONS_BY_ID.items():
        for parameter in operation.get("parameters", ()):
            yield f"{name} {parameter['name']}", parameter


def _nodes(node: object) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(inner)


def _wrong(schema: Node, value: object) -> list[str]:
    """Return what is wrong with a value by a schema of the document."""
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    return [str(error) for error in jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(value)]


# --- the document -----------------------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    # It may be a relative reference (OpenAPI 3.1.1, section 4.6), which this edition of its schema does not know.
    document["components"]["securitySchemes"]["SignIn"]["flows"]["password"]["tokenUrl"] = "https://example.com"

    assert [str(error) for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []


def test_every_operation_has_a_summary_and_a_description() -> None:
    texts = {name: (it.get("summary"), it.get("description")) for name, it in OPERATIONS_BY_ID.items()}

    assert {name: both for name, both in texts.items() if not all(both)} == {}


def test_an_operation_is_named_after_its_function() -> None:
    modules = (
        *(users, sessions, tokens, categories, tags, payees),
        *(expenses, trash, reports, budgets, imports, exports, archives, changes, system),
    )

    assert [
        name for name in OPERATIONS_BY_ID if not any(callable(getattr(module, name, None)) for module in modules)
    ] == []


def test_no_two_operations_share_a_name() -> None:
    assert len(OPERATIONS_BY_ID) == sum(len(item) for item in DOCUMENT["paths"].values())


def _list_operations(*tags: str) -> list[str]:
    return [name for name, operation in OPERATIONS_BY_ID.items() if {*tags} & {*operation["tags"]}]


def test_the_tags_come_in_the_order_in_which_people_meet_them() -> None:
    assert [tag["name"] for tag in DOCUMENT["tags"]] == [
        *("sessions", "tokens", "users", "expenses", "bulk", "trash"),
        *("categories", "tags", "payees", "reports", "budgets", "imports", "exports", "changes", "service"),
    ]


def test_the_operations_come_in_the_order_of_their_tags() -> None:
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    firsts = [tags.index(next(iter(item.values()))["tags"][0]) for item in DOCUMENT["paths"].values()]

    assert firsts == sorted(firsts)


def test_registering_comes_before_signing_in_and_that_before_the_profile() -> None:
    assert _list_operations("sessions", "tokens", "users") == [
        *("register", "sign_in", "refresh_token", "log_out"),
        *("list_sessions", "end_other_sessions", "end_session"),
        *("create_token", "list_tokens", "delete_tokens", "delete_token"),
        *("read_me", "change_me", "delete_me", "change_password"),
    ]


@pytest.mark.parametrize(
    ("tag", "operations"),
    [
        (
            "expenses",
            ["create_expense", "list_expenses", "read_expense", "replace_expense", "change_expense", "delete_expense"],
        ),
        ("bulk", ["change_matching_expenses", "delete_matching_expenses", "change_expenses_together"]),
        ("trash", ["list_trash", "empty_trash", "restore_expenses", "restore_expense"]),
        (
            "categories",
            ["create_category", "list_categories", "read_category", "change_category", "delete_category"],
        ),
        (
            "budgets",
            [
                *("create_budget", "list_budgets", "read_budget_status"),
                *("read_budget", "change_budget", "delete_budget"),
            ],
        ),
    ],
)
def test_creating_and_listing_come_before_a_single_row(tag: str, operations: list[str]) -> None:
    assert _list_operations(tag) == operations


def test_every_operation_is_under_a_described_tag() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"]}

    assert [name for name, operation in OPERATIONS_BY_ID.items() if not described.issuperset(operation["tags"])] == []


def test_every_body_has_an_example() -> None:
    assert [name for name, schema in _bodies() if not schema.get("example")] == []


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if "example" in schema])
def test_an_example_is_as_its_schema_says(name: str) -> None:
    assert _wrong({"$ref": f"#/components/schemas/{name}"}, SCHEMAS[name]["example"]) == []


async def test_the_examples_of_new_rows_can_be_sent_as_they_are(person: Person) -> None:
    bodies = {"/expenses": "ExpenseCreate", "/budgets": "BudgetCreate", "/categories": "CategoryCreate"}

    answers = [await person.post(path, json=SCHEMAS[name]["example"]) for path, name in bodies.items()]

    assert {answer.status_code for answer in answers} == {HTTPStatus.CREATED}


def test_an_example_lists_its_fields_as_a_person_would() -> None:
    assert list(SCHEMAS["ExpenseCreate"]["example"])[:3] == ["amount", "currency", "date"]


def test_an_example_shows_what_is_null() -> None:
    assert SCHEMAS["Expense"]["example"]["deleted_at"] is None


def test_the_components_are_named_after_the_nouns() -> None:
    assert {"Expense", "ExpenseCreate", "ExpenseUpdate", "ExpenseList", "Category", "User", "Problem"} <= set(SCHEMAS)


def test_no_component_is_the_frameworks_own() -> None:
    assert [name for name in SCHEMAS if "Validation" in name or "-" in name or "Body_" in name] == []


def test_an_error_is_documented_as_a_problem() -> None:
    errors = [it for it in _responses() if it[1] >= "400" and it[:2] not in NO_PROBLEM]
    problem = {"$ref": "#/components/schemas/Problem"}

    assert [it[:2] for it in errors if it[2]["content"].get(PROBLEM, {}).get("schema") != problem] == []


def test_what_any_request_may_meet_is_told_once() -> None:
    assert "500 or 503" in DOCUMENT["info"]["description"]
    assert {(name, status) for name, status, _ in _responses() if status >= "500"} == NO_PROBLEM


def test_the_fields_that_are_required_come_first() -> None:
    shapes = {
        name: ([*it["properties"]], {*it.get("required", ())}) for name, it in SCHEMAS.items() if "properties" in it
    }

    assert [name for name, (fields, required) in shapes.items() if {*fields[: len(required)]} != required] == []


def test_the_fields_of_a_body_come_in_the_order_of_its_example() -> None:
    fields = ["amount", "currency", "date", "category", "payee", "description", "tags", "external_id"]

    assert [*SCHEMAS["ExpenseCreate"]["properties"]] == fields


def test_an_error_has_an_example_that_is_a_problem() -> None:
    examples = [
        example["value"]
        for _, _, response in _responses()
        for example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).values()
    ]

    assert [wrong for example in examples for wrong in _wrong({"$ref": "#/components/schemas/Problem"}, example)] == []


def test_the_example_of_a_refusal_says_which_field_is_to_blame() -> None:
    examples = {
        name: response["content"][PROBLEM]["examples"]["validation_failed"]["value"]
        for name, status, response in _responses()
        if status == "422"
    }

    assert [name for name, example in examples.items() if not example.get("errors")] == []


@pytest.mark.parametrize("status", ["400", "415"])
def test_the_sign_in_advises_a_form_and_no_json(status: str) -> None:
    examples = OPERATIONS_BY_ID["sign_in"]["responses"][status]["content"][PROBLEM]["examples"]

    assert ["username=…&password=…" in example["value"]["detail"] for example in examples.values()] == [True]


def test_the_codes_of_entries_are_listed() -> None:
    assert {"required", "unknown", "out_of_range"} <= set(SCHEMAS["ProblemEntry"]["properties"]["code"]["enum"])


def _list_kinds(kind: type[Problem]) -> list[type[Problem]]:
    return [each for inner in kind.__subclasses__() for each in (inner, *_list_kinds(inner))]


def test_every_kind_of_problem_has_a_code_in_the_document() -> None:
    assert sorted(SCHEMAS["Problem"]["properties"]["code"]["enum"]) == sorted(it.code for it in _list_kinds(Problem))


def test_the_introduction_tells_what_to_do_about_every_code() -> None:
    rows = re.findall(r"^\| ([0-9]{3}) \| `(\w+)` \| (.+) \|$", DOCUMENT["info"]["description"], re.MULTILINE)

    assert [code for _, code, _ in rows] == SCHEMAS["Problem"]["properties"]["code"]["enum"]
    assert {(int(status), code) for status, code, _ in rows} == {(it.status, it.code) for it in _list_kinds(Problem)}


def test_the_codes_come_in_the_order_of_their_statuses() -> None:
    statuses = [kind.status for kind in ADVICE]

    assert statuses == sorted(statuses)


@pytest.mark.parametrize("status", ["400", "413", "415", "422"])
def test_an_operation_with_a_body_documents_its_refusals(status: str) -> None:
    assert [
        name for name, it in OPERATIONS_BY_ID.items() if "requestBody" in it and status not in it["responses"]
    ] == []


def test_an_operation_that_needs_a_token_documents_each_401() -> None:
    codes = ["not_authenticated", "invalid_token", "token_expired"]
    locked = {
        name: it["responses"]["401"]["content"][PROBLEM] for name, it in OPERATIONS_BY_ID.items() if it["security"]
    }

    assert [name for name, content in locked.items() if list(content["examples"]) != codes] == []


def test_an_operation_keeps_the_usual_refusal_beside_its_own() -> None:
    examples = OPERATIONS_BY_ID["change_password"]["responses"]["422"]["content"][PROBLEM]["examples"]

    assert list(examples) == ["validation_failed", "wrong_password"]


def test_an_optional_parameter_is_not_nullable() -> None:
    assert [name for name, it in _parameters() if "null" in json.dumps(it["schema"])] == []


def test_no_parameter_has_an_example_that_execute_would_send() -> None:
    assert [name for name, it in _parameters() if {"example", "examples"} & (it.keys() | it["schema"].keys())] == []


def test_nothing_is_null_by_default() -> None:
    assert [node for node in _nodes(DOCUMENT) if node.get("default", 0) is None] == []


def test_a_bound_is_exact() -> None:
    assert SCHEMAS["Deletion"]["properties"]["revision"]["maximum"] == LARGEST_ID


def test_every_currency_there_is_fits_the_one_pattern() -> None:
    assert [code for code in DECIMALS if _wrong({"$ref": "#/components/schemas/Currency"}, code)] == []


def test_the_currencies_are_linked_and_not_listed() -> None:
    assert "(currencies)" in SCHEMAS["Currency"]["description"]
    assert "AED" not in json.dumps(DOCUMENT)


def test_no_field_has_a_default_which_tools_would_take_for_always_there() -> None:
    fields = [(name, field) for name, schema in SCHEMAS.items() for field in schema.get("properties", {}).items()]

    assert [(name, field) for name, (field, schema) in fields if "default" in schema] == []


def test_a_new_account_needs_three_fields_and_says_what_the_others_are_without_being_sent() -> None:
    schema = SCHEMAS["UserCreate"]
    others = {name: it["description"] for name, it in schema["properties"].items() if name not in schema["required"]}

    assert schema["required"] == ["username", "email", "password"]
    assert [name for name, described in others.items() if "unless given" not in described] == []


def test_the_document_says_where_the_service_is_and_how_it_is_licensed() -> None:
    assert DOCUMENT["servers"] == [{"url": "/"}]
    assert DOCUMENT["info"]["license"] == {"name": "MIT", "identifier": "MIT"}


def test_every_reference_leads_somewhere() -> None:
    references = {node["$ref"] for node in _nodes(DOCUMENT) if "$ref" in node}

    assert {it.removeprefix("#/components/schemas/") for it in references} <= set(SCHEMAS)


def test_every_component_is_referred_to() -> None:
    assert [name for name in SCHEMAS if f'"#/components/schemas/{name}"' not in json.dumps(DOCUMENT)] == []


def test_an_operation_that_needs_a_token_says_so() -> None:
    public = {name for name, operation in OPERATIONS_BY_ID.items() if operation["security"] == []}

    assert public == {
        "register",
        "sign_in",
        "refresh_token",
        "log_out",
        "list_currencies",
        "read_service",
        "read_health",
        "read_readiness",
    }


# --- live answers -----------------------------------------------------------------------------------------------------


def _operation_of(request: httpx.Request) -> tuple[str, Node]:
    fitting = [
        (name, it)
        for name, it in OPERATIONS_BY_ID.items()
        if it["method"] == request.method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", it["path"]), request.url.path)
    ]
    # `/expenses/trash` is no expense with an odd id.
    return min(fitting, key=lambda it: it[1]["path"].count("{"))


class Auditor:
    """Compares each answer with what the document says of it."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    async def __call__(self, response: httpx.Response) -> None:
        """Fail where the document does not have this answer."""
        await response.aread()
        name, operation = _operation_of(response.request)
        status = str(response.status_code)
        assert status in operation["responses"], f"{name} answered {status}: {response.text}"
        self.seen.add((name, status))
        headers = {header for header, it in operation["responses"][status].get("headers", {}).items() if it["required"]}
        assert [header for header in headers if header not in response.headers] == []
        content = operation["responses"][status].get("content", {})
        media_type, _, _ = response.headers.get("content-type", "").partition(";")
        if name in {"export_expenses", "download_archive"} and status == "200":
            # A file, perhaps of one of several media types, which is no JSON.
            assert (media_type in content, _wrong(content[media_type]["schema"], response.text)) == (True, [])
            self.seen.add((name, media_type))
            return
        assert sorted(content) == [media_type] * bool(response.content), f"{name} answered {status} as {media_type}"
        assert not content or _wrong(content[media_type]["schema"], response.json()) == [], response.text


@pytest.fixture
async def auditor(person: Person) -> AsyncIterator[Auditor]:
    auditor = Auditor()
    person.event_hooks["response"].append(auditor)
    yield auditor
    person.event_hooks["response"].clear()


@pytest.fixture
async def audited(somebody: Person) -> AsyncIterator[Person]:
    """Somebody whose answers are compared with the document, for requests that are refused."""
    somebody.event_hooks["response"].append(Auditor())
    yield somebody
    somebody.event_hooks["response"].clear()


async def keep_in_step(person: Person) -> None:
    third = (await person.post("/expenses", json={"amount": 7})).json()["id"]
    operations = [
        {"op": "create", "data": {"amount": "3", "currency": "JPY"}},
        {"op": "create", "data": {"amount": "3", "external_id": "receipt-1"}},
        {"op": "update", "id": third, "data": {"amount": 8}},
    ]
    await person.post("/expenses/batch", json={"operations": operations})
    await person.post("/expenses/batch", json={"operations": [{"op": "delete", "id": third}]})
    await person.post("/expenses/batch", json={"operations": [{"op": "delete", "id": third}]})
    await person.post(f"/expenses/{third}/restore")
    await person.patch("/expenses?currency=JPY", json={"description": None}, headers={"Idempotency-Key": "once"})
    await person.patch("/expenses?currency=JPY", json={"description": None}, headers={"Idempotency-Key": "once"})
    await person.patch("/expenses?currency=JPY&dry_run=true", json={"category": "Food"})
    deleted = await person.delete("/expenses?min_amount=8&max_amount=8")
    await person.get("/expenses/trash?with_count=true")
    await person.get("/changes")
    await person.get("/changes?since=1&limit=1")
    await person.post("/expenses/restore", json={"revision": deleted.json()["revision"]})
    await person.delete("/expenses/trash")


async def take_out(person: Person) -> None:
    for name in ("csv", "ndjson", "xlsx"):
        await person.get("/expenses/export", params={"format": name, "period": "last-3-months"})
    archive = await person.get("/users/me/archive")
    await person.post("/imports", files={"file": ("archive.zip", archive.content)})


async def come_and_go(person: Person) -> None:
    form = {"username": person.user["username"], "password": person.password}
    elsewhere = (await person.post("/users/token", data=form)).json()
    await person.post("/users/token/refresh", json={"refresh_token": elsewhere["refresh_token"]})
    await person.post("/users/logout", json={"refresh_token": elsewhere["refresh_token"]})
    await person.post("/users/token", data=form)
    newest, *_ = (await person.get("/users/me/sessions")).json()["items"]
    await person.delete(f"/users/me/sessions/{newest['id']}")
    await person.delete("/users/me/sessions")
    await person.post("/users/me/tokens", json={"name": "backup", "scope": "read"})
    made = await person.post(
        "/users/me/tokens", json={"name": "import", "scope": "write", "expires_at": "2199-12-31T23:59:59+01:00"}
    )
    await person.get("/users/me/tokens")
    await person.delete(f"/users/me/tokens/{made.json()['id']}")
    await person.delete("/users/me/tokens")


async def ask_again(person: Person, *rows: str) -> None:
    unchanged = [it["path"] for it in OPERATIONS_BY_ID.values() if "304" in it["responses"] and "{" not in it["path"]]
    for path in (*unchanged, *rows):
        await person.get(path, headers={"If-None-Match": "*"})


STATEMENT: Final = {"file": ("march.csv", b"Date,Text,Amount\n2026-03-01,Coffee,-3\n")}
NEEDED_BODIES: Final[dict[str, Any]] = {"import_file": {"files": STATEMENT}}
"""What is sent to operations that look at nothing else without it."""


async def bring_in(person: Person) -> None:
    await person.post("/imports", files=STATEMENT, data={"dry_run": "true"})
    at = (await person.post("/imports", files=STATEMENT)).headers["location"]
    await person.get("/imports", params={"with_count": "true"})
    await person.get(at)
    await person.get("/expenses", params={"import_id": at.rpartition("/")[2]})
    await person.get(at, headers={"If-None-Match": "*"})
    await person.put("/imports/profiles/bank", json={"decimal": ",", "columns": {"date": "Datum", "fee": None}})
    await person.get("/imports/profiles")
    await person.delete("/imports/profiles/bank")
    await person.delete(at)


async def label(person: Person) -> None:
    await person.get("/payees", params={"q": "お"})
    await person.get("/reports/spending", params={"group_by": ["tag", "payee"]})
    await person.get("/tags", params={"with_usage": "true"})
    tag, other = (await person.get("/tags")).json()["items"]
    await person.get(f"/tags/{tag['id']}")
    await person.get(f"/tags/{tag['id']}", headers={"If-None-Match": "*"})
    await person.patch(f"/tags/{tag['id']}", json={"name": "trip"})
    await person.delete(f"/tags/{other['id']}")


async def test_every_answer_of_success_is_as_documented(person: Person, auditor: Auditor) -> None:
    password = {"current_password": person.password}
    await person.get("/")
    await person.get("/health")
    await person.get("/ready")
    await person.get("/currencies")
    newcomer = {"username": f"{person.user['username']}-2", "email": "2." + person.user["email"]}
    await person.post("/users/register", json=newcomer | {"password": person.password})
    await person.post("/users/token", data={"username": person.user["username"], "password": person.password})
    await person.get("/users/me")
    await come_and_go(person)
    await person.patch("/users/me", json={"currency": "JPY", "timezone": "Asia/Tokyo"})
    whole = {"amount": 1250, "category": "Food", "payee": "お店", "tags": ["旅", "shared"], "external_id": "receipt-1"}
    expense = await person.post("/expenses", json=whole)
    at = expense.headers["location"]
    await person.post("/expenses", json={"amount": 1250, "external_id": "receipt-1"})
    await person.post("/expenses", json={"amount": "-3.5", "currency": "KWD", "date": "1900-01-01"})
    await person.get(at)
    await person.get("/expenses", params={"limit": 1, "with_count": "true", "with_totals": "true"})
    await person.get("/expenses", params={"category": "food", "period": "last-3-months", "q": "tea"})
    await person.put(at, json=expense.json() | {"description": "茶 🍵"}, headers={"If-Match": '"1"'})
    await person.patch(at, json={"category": None})
    await label(person)
    await keep_in_step(person)
    await bring_in(person)
    await take_out(person)
    category = await person.post("/categories", json={"name": "Rent", "parent": "Flat", "color": "#2A9D8F"})
    await person.get("/categories")
    await person.get("/categories", params={"with_usage": "true"})
    await person.get(category.headers["location"])
    await person.patch(category.headers["location"], json={"archived": True, "color": None})
    budget = await person.post("/budgets", json={"amount": 30_000, "category": "Food", "period": "month"})
    await person.post("/budgets", json={"amount": "200.5", "currency": "EUR", "period": "year"})
    await person.get("/budgets")
    await person.get("/budgets/status")
    await person.get(budget.headers["location"])
    await person.patch(budget.headers["location"], json=budget.json() | {"period": "week"})
    await person.get("/reports/spending")
    await person.get("/reports/spending?from=1899-12-31")
    grouped = {"to": "2199-12-31", "group_by": ["year", "category"], "compare": "last-year"}
    await person.get("/reports/spending", params=grouped)
    await person.get("/reports/spending", params={"group_by": "weekday", "compare": "previous"})
    await ask_again(person, *(row.headers["location"] for row in (expense, category, budget)))
    await person.delete(budget.headers["location"])
    await person.delete(category.headers["location"])
    await person.delete(at)
    await person.put("/users/me/password", json=password | {"new_password": "another walk along the sea"})
    await person.request("DELETE", "/users/me", json={"current_password": "another walk along the sea"})

    documented = {(name, status) for name, status, _ in _responses() if status < "400"}
    files = {
        ("export_expenses", media_type)
        for media_type in OPERATIONS_BY_ID["export_expenses"]["responses"]["200"]["content"]
    }
    assert (documented | files) - auditor.seen == set()


@pytest.mark.parametrize(
    "path", [it["path"] for it in OPERATIONS_BY_ID.values() if it["method"] == "GET" and "{" in it["path"]]
)
async def test_an_unknown_row_is_answered_as_documented(audited: Person, path: str) -> None:
    answer = await audited.get(re.sub(r"{\w+}", "999999999", path))

    assert answer.status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("name", [name for name, it in OPERATIONS_BY_ID.items() if "requestBody" in it])
@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", HTTPStatus.BAD_REQUEST),
        (b"1", "text/plain", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (b" " * 70_000, "application/json", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"[]", "application/json", HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
)
async def test_a_refused_body_is_answered_as_documented(
    audited: Person, name: str, body: bytes, media_type: str, status: HTTPStatus
) -> None:
    operation = OPERATIONS_BY_ID[name]
    path = re.sub(r"{\w+}", "1", operation["path"])

    # A batch alone takes sixteen times as much.
    sent = body * 16 ** (name == "change_expenses_together" and len(body) > 1_000)
    answer = await audited.request(operation["method"], path, content=sent, headers={"Content-Type": media_type})

    # Some take a form, for which JSON of any kind is the wrong media type.
    assert answer.status_code in {status, HTTPStatus.UNSUPPORTED_MEDIA_TYPE * (name in {"sign_in", "import_file"})}


@pytest.mark.usefixtures("auditor")
@pytest.mark.parametrize("name", [name for name, it in OPERATIONS_BY_ID.items() if it["security"]])
async def test_a_visitor_is_answered_as_documented(person: Person, name: str) -> None:
    del person.headers["Authorization"]
    operation = OPERATIONS_BY_ID[name]

    answer = await person.request(operation["method"], re.sub(r"{\w+}", "1", operation["path"]))

    assert answer.status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("name", [name for name, it in OPERATIONS_BY_ID.items() if "422" in it["responses"]])
async def test_an_unknown_parameter_is_answered_as_documented(audited: Person, name: str) -> None:
    operation = OPERATIONS_BY_ID[name]

    path = re.sub(r"{\w+}", "1", operation["path"])

    answer = await audited.request(operation["method"], f"{path}?tpyo=1", **NEEDED_BODIES.get(name, {}))

    assert "tpyo" in answer.text


@pytest.mark.usefixtures("auditor")
async def test_a_conflict_is_answered_as_documented(person: Person) -> None:
    await person.post("/categories", json={"name": "Rent"})

    answer = await person.post("/categories", json={"name": "rent"})

    assert answer.status_code == HTTPStatus.CONFLICT


# --- refusals of made-up requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"pointer": "/operations/0/data/amount", "code": "out_of_range", "detail": "JPY has no decimals."},
        {"parameter": "period", "code": "not_allowed", "detail": "Give either a period, or from and to."},
    ],
)
def test_a_refusal_that_no_document_can_tell_of_is_no_finding(entry: Node) -> None:
    assert is_unsayable({"code": "validation_failed", "errors": [entry]})


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"pointer": "/amount", "code": "out_of_range", "detail": "An amount cannot be zero; a refund is negative."}],
        [{"pointer": "/month_start_day", "code": "out_of_range", "detail": "JPY has no decimals."}],
        [
            {"pointer": "/amount", "code": "out_of_range", "detail": "JPY has no decimals."},
            {"pointer": "/tpyo", "code": "unknown", "detail": "There is no such field."},
        ],
    ],
)
def test_any_other_refusal_is_a_finding(entries: list[Node]) -> None:
    assert not is_unsayable({"code": "validation_failed", "errors": entries})


def test_a_field_that_may_be_left_out_is_described_like_one_that_must_be_sent() -> None:
    changed, replaced = (SCHEMAS[name]["properties"] for name in ("ExpenseUpdate", "ExpenseReplace"))

    assert changed["date"] == replaced["date"]
    assert changed["amount"] == replaced["amount"]
    assert changed["currency"].keys() == {"$ref"}
