"""Computes spending reports a second time, in the simplest way, to compare them with the service's."""

import calendar
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from itertools import product
from typing import Any, Final

from sqlalchemy import insert

from database import now
from models import Expense
from tests.support.people import Person
from tests.support.rows import filling

DECIMALS: Final = {"EUR": 2, "JPY": 0, "KWD": 3, "USD": 2}
UNITS: Final = ("day", "week", "month", "quarter", "year", "weekday")
UNITS_OF: Final = {"EUR": 10, "JPY": 1000, "KWD": 1}
"""The smallest unit of each currency in thousandths."""


@dataclass(frozen=True)
class Recorded:
    """An expense; its amount is in thousandths."""

    day: date
    amount: int
    currency: str
    category: str | None
    payee: str | None = None
    tags: tuple[str, ...] = ()


async def record(person: Person, expenses: Sequence[Recorded], parents: Mapping[str, str] | None = None) -> None:
    """Insert expenses into the database; by the API each would take a request. `parents`: by the names of children."""
    parents = parents or {}
    stamp = {"created_at": now(), "updated_at": now(), "revision": 1}
    async with filling(person) as rows:
        for name in sorted({it.category for it in expenses if it.category}):
            parent_id = await rows.categorize(1, parents[name]) if name in parents else None
            await rows.categorize(1, name, parent_id)
        ids = [
            {
                "category_id": it.category and rows.categories[it.category],
                "payee_id": it.payee and await rows.pay(it.payee),
                "tag_set_id": await rows.tag(1, it.tags),
            }
            for it in expenses
        ]
        columns = [
            {
                "amount": it.amount,
                "currency": it.currency,
                "spent_on": it.day,
                "payee": it.payee,
                "owner_id": rows.owner,
            }
            for it in expenses
        ]
        if expenses:
            values = [stamp | column | found for column, found in zip(columns, ids, strict=True)]
            await rows.connection.execute(insert(Expense), values)


def without_accents(name: str | None) -> str:
    """Return a name as lists sort it: in lower case, without the accents of its letters."""
    return "".join(it for it in unicodedata.normalize("NFD", (name or "").casefold()) if not unicodedata.combining(it))


class Pencil:
    """Computes a report day by day and with Decimal, without any code of the service's reports."""

    def __init__(
        self,
        expenses: Sequence[Recorded],
        group_by: Sequence[str],
        start_day: int,
        parents: Mapping[str, str] | None = None,
    ) -> None:
        self.expenses = expenses
        self.group_by = group_by
        self.start_day = start_day
        self.parents = parents or {}
        self.unit = next((name for name in group_by if name in UNITS), None)
        self.names = [name for name in group_by if name not in UNITS]
        self.spelt = {it.payee.casefold(): it.payee for it in sorted(expenses, key=lambda it: it.day) if it.payee}
        # Each group asks for them, and there may be 600 days.
        self.buckets = cache(self._name_buckets)

    def name(self, day: date) -> str | int | None:
        """Return the name of the bucket that contains a day."""
        if self.unit == "month":
            month = day if day.day >= self.start_day else day.replace(day=1) - timedelta(days=1)
            return f"{month.year}-{month.month:02}"
        return {
            None: None,
            "day": str(day),
            "week": day.strftime("%G-W%V"),
            "quarter": f"{day.year}-Q{1 + (day.month - 1) // 3}",
            "year": str(day.year),
            "weekday": 1 + calendar.weekday(day.year, day.month, day.day),
        }[self.unit]

    def _name_buckets(self, first: date, last: date) -> list[str | int | None]:
        """Return the names of the buckets of a span in their order."""
        days = (first + timedelta(days=at) for at in range((last - first).days + 1))
        names = list(dict.fromkeys(self.name(day) for day in days))
        return sorted(names) if self.unit == "weekday" else names  # type: ignore[type-var]  # they are numbers

    def between(self, first: date, last: date) -> list[Recorded]:
        return [expense for expense in self.expenses if first <= expense.day <= last]

    def at(self, days: tuple[date, date], place: int, name: object) -> list[Recorded]:
        """Return the expenses of the bucket at the index `place` of a span; a weekday is found by its name instead."""
        names = self.buckets(*days)
        if self.unit != "weekday":
            name = names[place] if place < len(names) else "none"
        return [expense for expense in self.between(*days) if self.name(expense.day) == name]

    def report(self, own: str, now: tuple[date, date], before: tuple[date, date] | None) -> dict[str, Any]:
        spans = [now, before] if before else [now]
        everything = [it for days in spans for it in self.between(*days)]
        currencies = sorted({own} | {it.currency for it in everything}, key=lambda it: (it != own, it))
        series = {(labels, it.currency) for it in everything for labels in self.labels(it)}
        rows = [
            (place, currencies.index(currency), self.group(spans, place, name, labels, currency))
            for place, name in enumerate(self.buckets(*now))
            for labels, currency in series
            if "payee" not in self.names or any(self.side(days, place, name, labels, currency) for days in spans)
        ]
        return {
            "group_by": list(self.group_by),
            **({"overlapping": True} if "tag" in self.group_by else {}),
            "totals": [self.total(spans, currency) for currency in currencies],
            "groups": [row for *_, row in sorted(rows, key=self.order)] if self.group_by else [],
        }

    def labels(self, expense: Recorded) -> list[tuple[str | None, ...]]:
        """Return the groups of an expense, apart from the time: with several tags it is in several."""
        payee = expense.payee and self.spelt[expense.payee.casefold()]
        category = expense.category
        found: dict[str, Sequence[str | None]] = {
            "category": [category],
            "parent": [self.parents.get(category, category) if category else None],
            "payee": [payee],
            "tag": expense.tags or [None],
        }
        return list(product(*(found[name] for name in self.names)))

    def side(
        self, days: tuple[date, date], place: int, name: object, labels: tuple[str | None, ...], currency: str
    ) -> list[Recorded]:
        """Return the expenses of a bucket and a group in one currency."""
        return [it for it in self.at(days, place, name) if it.currency == currency and labels in self.labels(it)]

    def order(self, row: tuple[int, int, dict[str, Any]]) -> list[object]:
        """Return the sort key: the order of `group_by`, no name after all others, then the own currency first."""
        place, currency, shown = row
        ranks = [
            place if name in UNITS else (shown[name] is None, without_accents(shown[name]), str(shown[name]).casefold())
            for name in self.group_by
        ]
        return [*ranks, currency]

    def group(
        self,
        spans: Sequence[tuple[date, date]],
        place: int,
        name: object,
        labels: tuple[str | None, ...],
        currency: str,
    ) -> dict[str, Any]:
        sides = [self.side(days, place, name, labels, currency) for days in spans]
        of_all = sum(it.amount for it in self.between(*spans[0]) if it.currency == currency)
        shown: dict[str | None, object] = {self.unit: name, **dict(zip(self.names, labels, strict=True))}
        return {
            **{dimension: shown[dimension] for dimension in self.group_by},
            "currency": currency,
            "share_percent": self.percent(sum(it.amount for it in sides[0]), of_all),
            **self.figures(currency, *sides),
        }

    def total(self, spans: Sequence[tuple[date, date]], currency: str) -> dict[str, Any]:
        sides = [[it for it in self.between(*days) if it.currency == currency] for days in spans]
        first, last = spans[0]
        per_day = self.money(sum(it.amount for it in sides[0]), (last - first).days + 1, currency)
        return {"currency": currency, "per_day": per_day, **self.figures(currency, *sides)}

    def figures(
        self, currency: str, now: Sequence[Recorded], before: Sequence[Recorded] | None = None
    ) -> dict[str, Any]:
        amounts = [it.amount for it in now]
        found: dict[str, Any] = {
            "total": self.money(sum(amounts), 1, currency),
            "count": len(amounts),
            "average": self.money(sum(amounts), len(amounts), currency) if amounts else None,
            "min": self.money(min(amounts), 1, currency) if amounts else None,
            "max": self.money(max(amounts), 1, currency) if amounts else None,
        }
        if before is None:
            return found
        then = sum(it.amount for it in before)
        return found | {
            "previous_total": self.money(then, 1, currency),
            "change": self.money(sum(amounts) - then, 1, currency),
            "change_percent": self.percent(sum(amounts) - then, then),
        }

    @staticmethod
    def money(thousandths: int, by: int, currency: str) -> str:
        with localcontext(prec=60):
            exact = Decimal(thousandths) / 1000 / by
            rounded = exact.quantize(Decimal(1).scaleb(-DECIMALS[currency]), ROUND_HALF_EVEN)
        return f"{rounded:f}" if rounded else f"{abs(rounded):f}"

    @staticmethod
    def percent(part: int, whole: int) -> float | None:
        if whole <= 0:
            return None
        with localcontext(prec=60):
            return float((100 * Decimal(part) / whole).quantize(Decimal("0.1"), ROUND_HALF_EVEN))
