"""Files as the readers hand them over, and their import into a ledger as an operation does it.

november = reading(coffee("02"), coffee("02"), source="checking")    # two equal coffees of one day
answer = await load(person, november)
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx

from auth import Caller
from ledger import expiry
from ledger.core import Ledger
from ledger.quotas import NO_QUOTAS, Quotas
from ledger.transfer import imports
from ledger.transfer.choices import Choices
from ledger.transfer.readers.drafts import Draft, Reading
from ledger.transfer.readers.entries import Question
from ledger.transfer.schemas import ImportAnswer
from tests.support.people import Person


def draft(day: str = "2026-11-02", amount: str = "12.50", **fields: Any) -> Draft:
    """Return a row that was read; equal rows have equal fingerprints."""
    row = Draft(number=0, line=0, status="read", amount=amount, currency="EUR", date=day, payee="Market")
    row = replace(row, **fields)
    said = repr((day, amount, row.currency, row.payee, row.description, row.account))
    return replace(row, fingerprint=row.fingerprint or hashlib.sha256(said.encode()).hexdigest())


def coffee(day: str = "02", **fields: Any) -> Draft:
    """Return the row of a coffee on a day of November 2026."""
    return draft(f"2026-11-{day}", **{"amount": "3.50", "payee": "Café", **fields})


def reading(
    *rows: Draft,
    source: str | None = "checking",
    kind: str = "csv",
    profile: str | None = None,
    questions: Sequence[Question] = (),
    accounts: Sequence[str] = (),
) -> Reading:
    """Return what was read from a file with these rows, which are numbered."""
    numbered = [replace(row, number=number, line=number + 1) for number, row in enumerate(rows, start=1)]
    return Reading(format=kind, profile=profile, source=source, accounts=accounts, questions=questions, drafts=numbered)


async def load(
    person: Person,
    file: Reading,
    *,
    quotas: Quotas = NO_QUOTAS,
    **choices: Any,
) -> ImportAnswer:
    """Import a file into a person's ledger, or preview it, in a unit of work as the route class does."""
    async with person.app.state.services.database.new_unit() as unit:
        ledger = Ledger(_call(person), unit, trash_days=30, quotas=quotas)
        answer = await imports.run(ledger, file, Choices(**choices))
        if ledger.is_locked:
            if ledger.is_sweep_due:
                await expiry.sweep(ledger)
            await ledger.store_state()
            await unit.commit()
        return answer


def _call(person: Person) -> Caller:
    user = person.user
    return Caller(user["id"], None, user["currency"], user["timezone"], user["month_start_day"], 0)


def statuses(answer: ImportAnswer) -> list[str]:
    """Return the status of each row, with its reason if it has one."""
    return [f"{row.status} {row.reason}" if row.reason else row.status for row in answer.rows]


async def undo(person: Person, answer: ImportAnswer, query: str = "") -> dict[str, Any]:
    """Undo an import, and return what that did."""
    undone = await person.delete(f"/imports/{answer.id}{query}")
    assert undone.status_code == httpx.codes.OK, undone.text
    result: dict[str, Any] = undone.json()
    return result


async def list_amounts(person: Person) -> list[str]:
    """Return the amounts of all expenses, in order."""
    return sorted(row["amount"] for row in (await person.get("/expenses?limit=200")).json()["items"])
