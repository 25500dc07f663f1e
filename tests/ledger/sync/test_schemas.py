"""Schemas of the feed and of batches; each operation of a batch is validated by itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ledger.expenses.schemas import BulkChange, Deletion, ExpenseChange
from ledger.sync.schemas import (
    MAX_OPERATIONS,
    Batch,
    BatchResult,
    Changes,
    ChangesQuery,
    CreateOperation,
    Deleted,
    DeleteOperation,
    InvalidOperation,
    OperationResult,
    UpdateOperation,
)
from tests.support.bodies import ENTRY_CODES, refused
from tests.support.generated import any_json, any_text
from values.field_errors import FieldError, translate_errors
from values.fields import LARGEST_ID

CREATE: dict[str, Any] = {"op": "create", "data": {"amount": "12.50"}}
UPDATE: dict[str, Any] = {"op": "update", "id": 7, "data": {"amount": "13.00"}}
DELETE: dict[str, Any] = {"op": "delete", "id": 9}

any_operation = any_json | st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["create", "update", "delete"]) | any_json,
        "id": st.integers() | any_json,
        "revision": st.integers() | any_json,
        "data": st.dictionaries(st.sampled_from(["amount", "currency", "external_id"]) | any_text, any_json) | any_json,
    },
)


def read(*operations: object) -> list[Any]:
    """Return what a batch makes of these operations."""
    return list(Batch.model_validate({"operations": list(operations)}).operations)


def told(operation: object) -> list[FieldError]:
    """Return what is told of an operation that is none."""
    (kept,) = read(operation)
    assert isinstance(kept, InvalidOperation), kept
    return translate_errors([{**it, "loc": ("body", *it["loc"])} for it in kept.list_errors()])


def blamed(operation: object) -> dict[str, str]:
    """Return which fields of an operation are refused, and what for."""
    return {entry.location["pointer"]: entry.code for entry in told(operation)}


def blamed_of(shape: type[BaseModel], sent: object) -> dict[str, str]:
    """Return which fields of a body a shape refuses, and what for; nothing where it takes it."""
    return {entry.location["pointer"]: entry.code for entry in translate_errors(refused(shape, sent).errors())}


# Operations


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (CREATE, CreateOperation),
        (UPDATE, UpdateOperation),
        (UPDATE | {"revision": 31}, UpdateOperation),
        (UPDATE | {"data": {}}, UpdateOperation),
        (DELETE, DeleteOperation),
        (DELETE | {"revision": 12}, DeleteOperation),
        (DELETE | {"id": 1}, DeleteOperation),
        (DELETE | {"id": LARGEST_ID}, DeleteOperation),
    ],
)
def test_an_operation_is_read_as_what_it_says_it_is(sent: dict[str, Any], kind: type[BaseModel]) -> None:
    assert [type(it) for it in read(sent)] == [kind]


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({"id": 9}, {"/op": "required"}),
        ({}, {"/op": "required"}),
        (DELETE | {"op": "remove"}, {"/op": "not_allowed"}),
        (DELETE | {"op": "DELETE"}, {"/op": "not_allowed"}),
        (DELETE | {"op": ""}, {"/op": "not_allowed"}),
        (DELETE | {"op": None}, {"/op": "wrong_type"}),
        (DELETE | {"op": 5}, {"/op": "wrong_type"}),
        (DELETE | {"op": True}, {"/op": "wrong_type"}),
        (DELETE | {"op": ["delete"]}, {"/op": "wrong_type"}),
        (DELETE | {"op": {}}, {"/op": "wrong_type"}),
    ],
    ids=str,
)
def test_what_says_not_what_it_is_is_told_so(sent: object, blame: dict[str, str]) -> None:
    assert blamed(sent) == blame


@pytest.mark.parametrize("sent", [None, 5, "delete", True, [], [DELETE]], ids=str)
def test_what_is_no_object_is_refused_as_a_whole(sent: object) -> None:
    assert blamed(sent) == {"": "wrong_type"}


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({"op": "create"}, {"/data": "required"}),
        ({"op": "update"}, {"/id": "required", "/data": "required"}),
        ({"op": "delete"}, {"/id": "required"}),
        (CREATE | {"data": {}}, {"/data/amount": "required"}),
        (CREATE | {"data": None}, {"/data": "wrong_type"}),
        (CREATE | {"data": []}, {"/data": "wrong_type"}),
        (UPDATE | {"data": "13.00"}, {"/data": "wrong_type"}),
        (CREATE | {"id": 7}, {"/id": "unknown"}),
        (CREATE | {"revision": 1}, {"/revision": "unknown"}),
        (UPDATE | {"tpyo": 1}, {"/tpyo": "unknown"}),
        (UPDATE | {"a/b~c": 1}, {"/a~1b~0c": "unknown"}),
        (DELETE | {"data": {}}, {"/data": "unknown"}),
        (CREATE | {"data": {"amount": "1", "revision": 1}}, {"/data/revision": "unknown"}),
        (CREATE | {"data": {"amount": "0", "tpyo": 1}}, {"/data/amount": "out_of_range", "/data/tpyo": "unknown"}),
        (CREATE | {"data": {"amount": "12,50", "date": "2026-02-30"}}, dict.fromkeys(["/data/amount", "/data/date"])),
        (UPDATE | {"data": {"amount": None}}, {"/data/amount": "wrong_type"}),
        (UPDATE | {"data": {"currency": None, "date": None}}, dict.fromkeys(["/data/currency", "/data/date"])),
        (UPDATE | {"data": {"amount": "12.505", "currency": "EUR"}}, {"/data/amount": "out_of_range"}),
        (UPDATE | {"data": {"description": "a\x00"}}, {"/data/description": "malformed"}),
        (UPDATE | {"data": {"external_id": "x" * 65}}, {"/data/external_id": "too_long"}),
    ],
    ids=lambda it: str(it)[:60],
)
def test_an_operation_is_refused_for_every_field_that_is_wrong(sent: object, blame: dict[str, str | None]) -> None:
    found = blamed(sent)

    assert found.keys() == blame.keys()
    assert [code for place, code in blame.items() if code not in {None, found[place]}] == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (None, "wrong_type"),
        (True, "wrong_type"),
        (1.0, "wrong_type"),
        (float("inf"), "wrong_type"),
        ("1", "wrong_type"),
        ([1], "wrong_type"),
        (0, "out_of_range"),
        (-1, "out_of_range"),
        (LARGEST_ID + 1, "out_of_range"),
        (10**30, "out_of_range"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", [UPDATE, DELETE], ids=lambda it: it["op"])
def test_an_id_is_a_whole_number_from_one_on(operation: dict[str, Any], number: object, code: str) -> None:
    assert blamed(operation | {"id": number}) == {"/id": code}


@pytest.mark.parametrize("revision", [None, True, 31.0, "31", [31], {}], ids=str)
def test_a_revision_is_a_whole_number_wherever_it_is_said(revision: object) -> None:
    said = (UPDATE | {"revision": revision}, UPDATE | {"data": {"revision": revision}}, DELETE | {"revision": revision})

    assert [blamed(it) for it in said] == [
        {"/revision": "wrong_type"},
        {"/data/revision": "wrong_type"},
        {"/revision": "wrong_type"},
    ]


@pytest.mark.parametrize("revision", [0, -1, LARGEST_ID + 1, 10**30])
def test_a_revision_that_cannot_be_is_left_to_the_ledger(revision: int) -> None:
    assert [it.revision for it in read(UPDATE | {"revision": revision}, DELETE | {"revision": revision})] == [
        revision
    ] * 2


def test_a_revision_that_was_not_sent_is_none() -> None:
    assert [it.revision for it in read(UPDATE, DELETE)] == [None, None]


def test_an_update_leaves_out_what_the_service_sets() -> None:
    read_back = {"id": 9, "created_at": "x", "updated_at": None, "deleted_at": [], "revision": 31, "category": None}

    (operation,) = read(UPDATE | {"data": read_back})

    assert (operation.id, operation.data.dump_sent(), operation.data.revision) == (7, {"category": None}, 31)


def test_one_that_is_none_keeps_the_others_from_nothing() -> None:
    kinds = [type(it) for it in read(CREATE, {"op": "nope"}, UPDATE, None, DELETE)]

    assert kinds == [CreateOperation, InvalidOperation, UpdateOperation, InvalidOperation, DeleteOperation]


@pytest.mark.parametrize(
    "sent",
    [
        "hunter2",
        {"op": "hunter2"},
        {"op": ["hunter2"]},
        {"op": "delete", "id": "hunter2", "revision": "hunter2"},
        {"op": "create", "data": "hunter2"},
        {"op": "create", "data": {"amount": "hunter2", "currency": "hunter2", "date": "hunter2", "tpyo": "hunter2"}},
        {"op": "update", "id": 7, "data": {"category": ["hunter2"], "description": "hunter2\x00"}},
    ],
    ids=str,
)
def test_no_value_is_told_of_what_is_refused(sent: object) -> None:
    assert "hunter2" not in str(told(sent))


@given(sent=any_operation)
def test_whatever_is_sent_as_an_operation_is_one_or_is_told_why_not(sent: object) -> None:
    (kept,) = read(sent)
    errors = kept.list_errors() if isinstance(kept, InvalidOperation) else []
    reasons = translate_errors([{**it, "loc": ("body", *it["loc"])} for it in errors])

    assert isinstance(kept, InvalidOperation) == bool(reasons)
    assert {it.code for it in reasons} <= ENTRY_CODES
    assert [it.detail for it in reasons if "nput" in it.detail or "{" in it.detail or it.detail[-1] != "."] == []


# Batches


@pytest.mark.parametrize("number", [1, MAX_OPERATIONS])
def test_a_batch_is_of_one_to_a_thousand(number: int) -> None:
    assert len(read(*[DELETE] * number)) == number


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({"operations": []}, {"/operations": "too_short"}),
        ({"operations": [DELETE] * 1_001}, {"/operations": "too_long"}),
        ({"operations": [None] * 1_001}, {"/operations": "too_long"}),
        ({}, {"/operations": "required"}),
        ({"operations": None}, {"/operations": "wrong_type"}),
        ({"operations": DELETE}, {"/operations": "wrong_type"}),
        ({"operations": {"0": DELETE}}, {"/operations": "wrong_type"}),
        ({"operations": [DELETE], "dry_run": True}, {"/dry_run": "unknown"}),
        ([DELETE], {"": "wrong_type"}),
        (None, {"": "wrong_type"}),
    ],
    ids=lambda it: str(it)[:50],
)
def test_another_batch_is_refused(sent: object, blame: dict[str, str]) -> None:
    assert blamed_of(Batch, sent) == blame


# Changes of many, and the way back


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ({}, {}),
        ({"category": None}, {"category": None}),
        ({"category": " Food "}, {"category": "Food"}),
        ({"category": "", "description": " "}, {"category": None, "description": None}),
        ({"description": "cafe\u0301"}, {"description": "caf\u00e9"}),
    ],
)
def test_a_change_of_many_knows_what_was_sent(sent: dict[str, Any], given: dict[str, Any]) -> None:
    assert ExpenseChange.model_validate(sent).dump_sent() == given


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({"amount": "1"}, {"/amount": "unknown"}),
        ({"external_id": None}, {"/external_id": "unknown"}),
        ({"category": 5, "description": False}, {"/category": "wrong_type", "/description": "wrong_type"}),
        ({"category": "x" * 51, "description": "x" * 501}, {"/category": "too_long", "/description": "too_long"}),
    ],
    ids=lambda it: str(it)[:50],
)
def test_another_change_of_many_is_refused(sent: object, blame: dict[str, str]) -> None:
    assert blamed_of(ExpenseChange, sent) == blame


@pytest.mark.parametrize("revision", [1, LARGEST_ID])
def test_a_deletion_is_known_by_its_revision(revision: int) -> None:
    assert Deletion.model_validate({"revision": revision}).revision == revision


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({}, {"/revision": "required"}),
        ({"revision": 0}, {"/revision": "out_of_range"}),
        ({"revision": LARGEST_ID + 1}, {"/revision": "out_of_range"}),
        ({"revision": None}, {"/revision": "wrong_type"}),
        ({"revision": True}, {"/revision": "wrong_type"}),
        ({"revision": 31.0}, {"/revision": "wrong_type"}),
        ({"revision": "31"}, {"/revision": "wrong_type"}),
        ({"revision": 31, "id": 7}, {"/id": "unknown"}),
    ],
    ids=str,
)
def test_another_deletion_is_refused(sent: object, blame: dict[str, str]) -> None:
    assert blamed_of(Deletion, sent) == blame


# The feed


@pytest.mark.parametrize(
    ("sent", "since", "limit"),
    [
        ({}, None, 500),
        ({"since": "0"}, 0, 500),
        ({"since": str(LARGEST_ID), "limit": "1"}, LARGEST_ID, 1),
        ({"limit": "1000"}, None, 1000),
    ],
)
def test_the_feed_is_asked_from_a_revision_on(sent: dict[str, str], since: int | None, limit: int) -> None:
    query = ChangesQuery.model_validate(sent)

    assert (query.since, query.limit, query.cursor) == (since, limit, None)


@pytest.mark.parametrize(
    ("sent", "blame"),
    [
        ({"since": "-1"}, {"/since": "out_of_range"}),
        ({"since": str(LARGEST_ID + 1)}, {"/since": "out_of_range"}),
        ({"since": "1.0"}, {"/since": "wrong_type"}),
        ({"since": "01"}, {"/since": "wrong_type"}),
        ({"since": "+1"}, {"/since": "wrong_type"}),
        ({"since": "١"}, {"/since": "wrong_type"}),
        ({"since": ""}, {"/since": "wrong_type"}),
        ({"since": ["1", "2"]}, {"/since": "wrong_type"}),
        ({"limit": "0"}, {"/limit": "out_of_range"}),
        ({"limit": "1001"}, {"/limit": "out_of_range"}),
        ({"limit": "all", "sinse": "1"}, {"/limit": "wrong_type", "/sinse": "unknown"}),
    ],
    ids=str,
)
def test_the_feed_is_not_asked_otherwise(sent: object, blame: dict[str, str]) -> None:
    assert blamed_of(ChangesQuery, sent) == blame


# In the document


@pytest.mark.parametrize(
    "shape",
    [
        Batch,
        CreateOperation,
        UpdateOperation,
        DeleteOperation,
        Deletion,
        ExpenseChange,
        BatchResult,
        BulkChange,
        Changes,
    ],
)
def test_an_example_is_valid(shape: type[BaseModel]) -> None:
    extra = shape.model_config["json_schema_extra"]
    assert isinstance(extra, dict)

    assert blamed_of(shape, extra["example"]) == {}


@pytest.mark.parametrize("shape", [OperationResult, BatchResult, BulkChange, Changes, Deleted])
def test_an_answer_of_the_feed_or_a_batch_promises_every_field(shape: type[BaseModel]) -> None:
    assert set(shape.model_json_schema(mode="serialization")["required"]) == shape.model_fields.keys()
