"""Random batches of creates that keep or update what exists, compared with a model made of dictionaries."""

from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated import hunts
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp
from tests.support.problems import blamed

Row = dict[str, Any]
DEFAULTS: Row = {
    "currency": "EUR",
    "date": "2026-11-22",
    "category": None,
    "payee": None,
    "description": None,
    "tags": [],
    "external_id": None,
}
SHOWN = {"amount", *DEFAULTS}


def fits(amount: str, currency: str) -> bool:
    """Whether an amount has no more decimals than a currency; the model knows of two."""
    return currency == "EUR" or Decimal(amount) == int(Decimal(amount))


def write(amount: str, currency: str) -> str:
    """Write an amount as the service does."""
    return f"{Decimal(amount):.{2 if currency == 'EUR' else 0}f}"


@dataclass(frozen=True)
class Step:
    """An operation; `place` is that of an expense among those that were there before, counted around."""

    op: str
    data: Row
    existing: str | None = None
    place: int = 0

    def find(self, rows: list[Row]) -> Row | None:
        """Return the expense that it names by its id; None if there is none."""
        return rows[self.place % len(rows)] if rows and self.op != "create" else None

    def write(self, rows: list[Row]) -> Row:
        """Return the operation as it is sent."""
        existing = {"existing": self.existing} if self.existing else {}
        target = self.find(rows)
        named = {"id": target["id"]} if target else {}
        return {"op": self.op} | existing | named | ({} if self.op == "delete" else {"data": self.data})


@dataclass(eq=False)
class Refused(Exception):
    """What is wrong with an operation, and where."""

    pointer: str
    code: str
    status: int = 422


@dataclass
class Model:
    """A ledger: its expenses, the names of its categories as they were written first, and its revision."""

    rows: list[Row] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)
    revision: int = 0


@dataclass
class Batch:
    """A batch that the model does; a refused operation leaves all else that it did to be done."""

    model: Model
    existing: str
    seen: set[int] = field(default_factory=set)
    found: set[int] = field(default_factory=set)
    results: list[tuple[str, Row]] = field(default_factory=list)
    has_changed: bool = False
    """Whether anything was written."""

    def run(self, steps: list[Step], before: list[Row]) -> list[tuple[int, Refused]]:
        """Do all steps; return those that are refused by their places."""
        problems = []
        for place, step in enumerate(steps):
            try:
                status, row = self._do(step, step.find(before))
                self.results.append((status, {} if status in {"deleted", "gone"} else show(row)))
            except Refused as problem:
                problems.append((place, problem))
        return problems

    def _do(self, step: Step, target: Row | None) -> tuple[str, Row]:
        if step.op == "create":
            return self._create(step)
        if target is None:
            raise AssertionError(step)
        self._occur(target["id"], "/id")
        if step.op == "delete":
            return self._delete(target)
        if target["is_deleted"]:
            raise Refused("/id", "not_found", 404)
        self._set(target, step.data)
        return "updated", target

    def _create(self, step: Step) -> tuple[str, Row]:
        if not fits(step.data["amount"], step.data.get("currency", "EUR")):
            raise Refused("/data/amount", "out_of_range")
        external_id = step.data.get("external_id")
        known = next((it for it in self.model.rows if external_id and it["external_id"] == external_id), None)
        if known is None:
            row = DEFAULTS | {"id": None, "is_deleted": False, "amount": "0"}
            self.model.rows.append(row)
            self._set(row, step.data)
            return "created", row
        if known["is_deleted"] or (step.existing or self.existing) == "keep":
            return "existing", known
        if known["id"] is not None and known["id"] not in self.found:
            self._occur(known["id"], "/data/external_id")
            self.found.add(known["id"])
        return ("updated" if self._set(known, step.data) else "existing"), known

    def _delete(self, row: Row) -> tuple[str, Row]:
        if row["is_deleted"]:
            return "gone", row
        row["is_deleted"] = self.has_changed = True
        return "deleted", row

    def _set(self, row: Row, data: Row) -> bool:
        merged: Row = row | data
        amount, currency = merged["amount"], merged["currency"]
        if not fits(amount, currency):
            raise Refused("/data/amount", "out_of_range")
        external_id = data.get("external_id")
        holders = [it for it in self.model.rows if external_id and it["external_id"] == external_id and it is not row]
        if holders:
            raise Refused("/data/external_id", "already_exists", 409)
        after: Row = merged | {"amount": write(amount, currency)}
        if (category := after["category"]) is not None:
            after["category"] = self.model.categories.setdefault(category.casefold(), category)
        after["tags"] = sorted(after["tags"])
        is_changed = row != after
        self.has_changed |= is_changed
        row.update(after)
        return is_changed

    def _occur(self, expense_id: int, pointer: str) -> None:
        if expense_id in self.seen:
            raise Refused(pointer, "not_allowed")
        self.seen.add(expense_id)


def show(row: Row) -> Row:
    """Return the fields of an expense that are compared."""
    return {name: deepcopy(row[name]) for name in SHOWN}


async def read_all(person: Person, path: str) -> list[Row]:
    """Return the rows of a list by their ids."""
    answer = await person.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return sorted(answer.json()["items"], key=lambda it: int(it["id"]))


async def compare(app: FastAPI, person: Person, model: Model) -> None:
    """Compare a ledger with the model."""
    kept = [[it for it in model.rows if it["is_deleted"] is is_deleted] for is_deleted in (False, True)]
    stored = [await read_all(person, path) for path in ("/expenses?limit=200", "/expenses/trash?limit=200")]
    categories = await read_all(person, "/categories")
    assert [[show(it) for it in rows] for rows in stored] == [[show(it) for it in rows] for rows in kept]
    assert [[it["id"] for it in rows] for rows in stored] == [[it["id"] for it in rows] for rows in kept]
    assert {it["name"] for it in categories} == set(model.categories.values())
    assert await state_of(app, person) == (model.revision, len(kept[0]))


async def send(person: Person, model: Model, steps: list[Step], existing: str | None) -> Model:
    """Send a batch, compare its answer with what the model says, and return the model as it is afterwards."""
    steps = [it for it in steps if it.op == "create" or model.rows]
    if not steps:
        return model
    batch = Batch(deepcopy(model), existing or "keep")
    problems = batch.run(steps, batch.model.rows[:])
    body: Row = {"operations": [it.write(model.rows) for it in steps]} | ({"existing": existing} if existing else {})
    answer = await person.post("/expenses/batch", json=body)
    if problems:
        assert answer.status_code == problems[0][1].status, answer.text
        assert blamed(answer) == {f"/operations/{place}{it.pointer}": it.code for place, it in problems}
        return model
    assert answer.status_code == httpx.codes.OK, answer.text
    results = answer.json()["results"]
    assert [(it["status"], show(it["expense"]) if it["expense"] else {}) for it in results] == batch.results
    new_ids = [it["id"] for it in results if it["status"] == "created"]
    for row, new_id in zip((it for it in batch.model.rows if it["id"] is None), new_ids, strict=True):
        row["id"] = new_id
    batch.model.revision += batch.has_changed
    assert answer.json()["revision"] == batch.model.revision
    return batch.model


existings = st.sampled_from([None, "keep", "update", "update"])
fields = {
    "date": st.sampled_from(["2026-11-20", "2026-11-21"]),
    "category": st.sampled_from(["Food", "FOOD", "Gifts", None]),
    "payee": st.sampled_from(["Baker", "BAKER", "Café", None]),
    "description": st.sampled_from(["tea", None]),
    "tags": st.sampled_from([[], ["x"], ["y", "x"]]),
    "currency": st.sampled_from(["EUR", "EUR", "JPY", "JPY"]),
}
amounts = st.sampled_from(["1", "2", "3", "9.80"])
external_ids = st.sampled_from(["a", "a", "b", "c", None])
created = st.fixed_dictionaries({"amount": amounts, "external_id": external_ids}, optional=fields)
changed = st.fixed_dictionaries(
    {}, optional={"payee": fields["payee"], "amount": amounts, "external_id": st.sampled_from(["a", "d", None])}
)
steps = st.lists(
    st.builds(Step, st.just("create"), created, existings)
    | st.builds(Step, st.just("create"), created, existings)
    | st.builds(Step, st.just("update"), changed, place=st.integers(0, 5))
    | st.builds(Step, st.just("delete"), st.just({}), place=st.integers(0, 5)),
    min_size=1,
    max_size=5,
)


@pytest.mark.usefixtures("noon")
@hunts(8)
@given(batches=st.lists(st.tuples(steps, existings), min_size=2, max_size=5))
async def test_every_batch_does_what_a_dictionary_of_external_ids_would(
    app: FastAPI, sign_up: SignUp, batches: list[tuple[list[Step], str | None]]
) -> None:
    person, model = await sign_up(), Model()
    for some, existing in batches:
        model = await send(person, model, some, existing)
        await compare(app, person, model)

    assert model.revision <= len(batches)
