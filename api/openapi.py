"""The OpenAPI document: FastAPI builds it from the routes, and this module completes and corrects it.

    get_openapi            FastAPI's document
    _collect_components    adds the schema of problems
    EXAMPLES               are set again in their own order
    _sort_paths            orders operations as people meet them: register, sign in, record, list, report …
    _complete_responses    names the statuses and adds the response headers
    _remove_defaults       so that typed clients may leave these fields out
    _sort_properties       required fields first, ignored ones last
    _correct_schema        removes null defaults, and corrects bounds that FastAPI rounds to doubles

It is built once and cached. `place_document` adapts it to the path below which a proxy shows the service.
"""

import copy
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

import schemas
from api.problem_codes import write_table
from api.problem_json import TOKEN_PATH
from api.schemas import Problem
from ledger import idempotency
from ledger.budgets import schemas as budget_schemas
from ledger.expenses import schemas as expense_schemas
from ledger.payees import schemas as payee_schemas
from ledger.reports import schemas as report_schemas
from ledger.sync import schemas as sync_schemas
from ledger.tags import schemas as tag_schemas
from ledger.transfer import option_schemas
from ledger.transfer import schemas as import_schemas
from users import schemas as user_schemas
from values.etags import IF_NONE_MATCH
from values.fields import IGNORED, LARGEST_ID

TITLE: Final = "Expense Tracker"
INTRODUCTION: Final = """\
Accounts, categories, tags, expenses, reports and budgets, exact to the last decimal.

1. Make an account with `POST /users/register`.
2. In `/docs`, press **Authorize** and sign in with your user name and password, leaving the other fields as they are.
   The sign-in survives a reload of the page; when it has expired, press Authorize again.
3. Record your first expense with `POST /expenses`.
4. See where the money goes with `GET /reports/spending`, and set a limit with `POST /budgets`.

Amounts are decimal strings beside an ISO 4217 currency; a negative one is a refund. Every error is a problem (RFC 9457)
whose `errors` name each field that is wrong. Unknown fields and query parameters are refused, and so is a body on a
DELETE of many rows: if a misspelt filter were ignored, more rows would match. A slash at the end of a path is ignored,
except in a DELETE without an id before it (`DELETE /expenses/`), which is a 404. A row's `ETag` is its `revision` in
quotes: send it as `If-Match`, and you do not overwrite a change that you have not read. With an `Idempotency-Key` a
write of expenses, categories, tags or budgets can be repeated safely; operations under `/users` ignore it.

Any request may be answered with 500 or 503, the last three codes of the table; with 421 if it is sent to a name that is
not the service's; and with 400 `malformed_request`, 408, 414 or 431 if its head is broken, late or too large. A write
of a web page of another origin is answered with 403 `origin_not_allowed`. The operations do not list these.

An application signs in and refreshes its tokens; a script sends a personal access token from `POST /users/me/tokens`.

"""
# The table is folded, so that Authorize stands on the first screen of /docs.
DESCRIPTION: Final = f"""{INTRODUCTION}<details>
<summary>The codes of problems, and what to do about each</summary>

{write_table()}
</details>
"""
LICENSE: Final = {"name": "MIT", "identifier": "MIT"}
SERVERS: Final = [{"url": "/"}]
# In the order in which people need them; the operations are sorted by their tag.
TAGS: Final = [
    {"name": "sessions", "description": "Open an account, sign in, list and end your sessions, and sign out."},
    {"name": "tokens", "description": "Personal access tokens, which scripts send instead of signing in."},
    {"name": "users", "description": "Read, change or delete your account."},
    {"name": "expenses", "description": "Record, read, change and delete single expenses."},
    {"name": "bulk", "description": "Many expenses in one request."},
    {"name": "trash", "description": "List deleted expenses, restore them, or delete them for good."},
    {"name": "categories", "description": "The names by which you group expenses."},
    {"name": "tags", "description": "Words that you put on expenses, up to 20 on each."},
    {"name": "payees", "description": "Who was paid, for autocompletion."},
    {"name": "reports", "description": "Spending by currency, category, payee, tag and time."},
    {"name": "budgets", "description": "Limits for your spending, and how much of each is used."},
    {"name": "imports", "description": "Statements of banks and exports of other programs, and how to undo them."},
    {"name": "exports", "description": "All expenses that match, as a file."},
    {
        "name": "changes",
        "description": "What has changed since your last call, so that you can keep a copy of your ledger.",
    },
    {"name": "service", "description": "Version and health of the service, and its currencies."},
]
METHOD_ORDER: Final = ("post", "get", "put", "patch", "delete")
# The schemas of answers that consist of one row, and so have an ETag.
ROW_SCHEMAS: Final = {"Expense", "Category", "Tag", "Budget", "Import"}
SIGN_IN_SCHEME: Final = "SignIn"
# The security scheme of personal access tokens; FastAPI adds the one of the sign-in.
SCRIPT_SCHEME: Final = "PersonalToken"
SCRIPT_SCHEME_DEFINITION: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "etk_…",
    "description": "A personal access token from `POST /users/me/tokens`, with the scope that an operation names.",
}
BELOW_A_PROXY: Final = (
    "Behind a proxy that adds a path, it is right only if `ROOT_PATH` is that path; `id` and `next_cursor` always are."
)
BOUND_KEYWORDS: Final = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
SCHEMA_MODULES: Final = (
    schemas,
    budget_schemas,
    expense_schemas,
    import_schemas,
    option_schemas,
    payee_schemas,
    report_schemas,
    sync_schemas,
    tag_schemas,
    user_schemas,
)
# FastAPI sorts the keys of an example and drops those that are null, so the examples are set again.
EXAMPLES: Final = {
    name: config["json_schema_extra"]["example"]
    for module in SCHEMA_MODULES
    for name, schema in vars(module).items()
    if isinstance(schema, type)
    for config in (vars(schema).get("model_config") or vars(schema).get("__pydantic_config__") or {},)
    if "example" in config.get("json_schema_extra", {})
}


def name_operation(route: APIRoute) -> str:
    """Name an operation after its function."""
    return route.name


def make_openapi_builder(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return the function that builds the OpenAPI document of an application, and caches it."""

    def build_openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=TITLE,
                version=app.version,
                description=DESCRIPTION,
                routes=app.routes,
                tags=TAGS,
                license_info=LICENSE,
                servers=SERVERS,
            )
            components = document["components"]["schemas"]
            components |= _collect_components(Problem)
            for name in components.keys() & EXAMPLES.keys():
                components[name]["example"] = EXAMPLES[name]
            document["paths"] = _sort_paths(document["paths"])
            for path in document["paths"].values():
                for operation in path.values():
                    operation.setdefault("security", [])
                    operation["responses"] = _complete_responses(operation)
            for component in components.values():
                _remove_defaults(component)
                _sort_properties(component)
                _leave_blank(component)
            document["components"]["securitySchemes"][SCRIPT_SCHEME] = SCRIPT_SCHEME_DEFINITION
            app.openapi_schema = _correct_schema(document)
        return app.openapi_schema

    return build_openapi


def place_document(document: dict[str, Any], root: str) -> dict[str, Any]:
    """Return the document with `root` as its server and before its `tokenUrl`, as clients of a proxy need it."""
    if not root:
        return document
    components = document["components"]
    schemes = copy.deepcopy(components["securitySchemes"])
    schemes[SIGN_IN_SCHEME]["flows"]["password"]["tokenUrl"] = f"{root}{TOKEN_PATH}"
    return {**document, "servers": [{"url": root}], "components": {**components, "securitySchemes": schemes}}


def _sort_paths(paths: dict[str, Any]) -> dict[str, Any]:
    """Sort paths by their first operation's tag, a list before its rows, and the methods of a path: POST before GET."""
    tags = [tag["name"] for tag in TAGS]
    by_method = {
        path: dict(sorted(item.items(), key=lambda it: METHOD_ORDER.index(it[0]))) for path, item in paths.items()
    }

    def rank_path(path: str) -> tuple[int, bool]:
        first = next(iter(by_method[path].values()))
        return tags.index(first["tags"][0]), "{" in path

    return {path: by_method[path] for path in sorted(by_method, key=rank_path)}


def _collect_components(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model that no operation refers to, with its nested schemas, as components."""
    schema = model.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    return {model.__name__: schema, **schema.pop("$defs", {})}


def _remove_defaults(component: dict[str, Any]) -> None:
    # openapi-typescript makes a field with a default required, so that clients would have to send it.
    for field in component.get("properties", {}).values():
        field.pop("default", None)


def _leave_blank(component: dict[str, Any]) -> None:
    """Give the optional fields of a form with a file an empty example, which counts as missing.

    Swagger UI writes an example of its own making into each field of such a form that has none, and would send them.
    """
    fields = component.get("properties", {})
    if any(field.get("format") == "binary" for field in fields.values()):
        for name in fields.keys() - set(component["required"]):
            fields[name]["example"] = ""


def _sort_properties(component: dict[str, Any]) -> None:
    """Put required fields first, then those of the example in its order, then others; ignored fields come last."""
    required, example = component.get("required", ()), [*component.get("example", ())]

    def rank_property(item: tuple[str, dict[str, Any]]) -> tuple[bool, bool, int]:
        name, field = item
        index = example.index(name) if name in example else len(example)
        return name not in required, field.get("description") == IGNORED, index

    if "properties" in component:
        component["properties"] = dict(sorted(component["properties"].items(), key=rank_property))


def _complete_responses(operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation's responses, sorted by status, with the name of the status and with their headers."""
    responses: dict[str, Any] = operation["responses"]
    for status, response in responses.items():
        if response["description"] == "Successful Response":
            response["description"] = HTTPStatus(int(status)).phrase
        if headers := dict(_list_headers(operation, status, response)):
            response["headers"] = headers | response.get("headers", {})
    return dict(sorted(responses.items()))


def _list_headers(
    operation: dict[str, Any], status: str, response: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    parameters = operation.get("parameters", ())
    request_headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    schema = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    is_row = schema.rpartition("/")[2] in ROW_SCHEMAS
    if status == "304" or (status < "300" and (IF_NONE_MATCH in request_headers or is_row)):
        yield _build_header("ETag", "The version of this answer; of a row it is the `revision` in quotes.")
    if status < "300" and idempotency.KEY_HEADER in request_headers:
        description = "`true` if this is the answer to an earlier request with the same `Idempotency-Key`."
        yield _build_header(idempotency.REPLAYED_HEADER, description, required=False)
    if status == "201" and is_row:
        yield _build_header("Location", f"The new row's path on this host. {BELOW_A_PROXY}")
    if status == "401":
        yield _build_header(
            "WWW-Authenticate", "`Bearer`, and what is wrong with the token if one was sent (RFC 6750)."
        )
    if status == "403":
        yield _build_header("WWW-Authenticate", "`Bearer`, and the scope that is missing, if there is one (RFC 6750).")
    if status == "429":
        yield _build_header("Retry-After", "Seconds to wait before you try again.")
    if status == "200" and any(parameter["name"] == "cursor" for parameter in parameters):
        description = f'The path of the next page, `rel="next"` (RFC 8288), if there is one. {BELOW_A_PROXY}'
        yield _build_header("Link", description, required=False)


def _build_header(name: str, description: str, *, required: bool = True) -> tuple[str, dict[str, Any]]:
    return name, {"description": description, "required": required, "schema": {"type": "string"}}


def _correct_schema(node: Any) -> Any:  # noqa: ANN401
    # A default of null would say that null may be sent; it only means that the field may be left out.
    if isinstance(node, dict):
        members = {key: value for key, value in node.items() if not (key == "default" and value is None)}
        return {
            key: _correct_bound(value) if key in BOUND_KEYWORDS else _correct_schema(value)
            for key, value in members.items()
        }
    return [_correct_schema(item) for item in node] if isinstance(node, list) else node


def _correct_bound(value: Any) -> Any:  # noqa: ANN401
    # FastAPI writes bounds as doubles; the nearest double of the largest id, 2^63 - 1, is one too large.
    return min(int(value), LARGEST_ID) if isinstance(value, float) and value.is_integer() else value
