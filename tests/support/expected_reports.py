"""Computes spending reports a second time, in the simplest way, to compare them with the service's."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy import bindparam, insert, select

from database import now
from models import Category, Expense
from tests.support.people import Person

DECIMALS: Final = {"EUR": 2, "JPY": 0, "KWD": 3, "USD": 2}
UNITS_OF: Final = {"EUR": 10, "JPY": 1000, "KWD": 1}
"""The smallest unit of each currency in thousandths."""


@dataclass(frozen=True)
class Recorded:
    """An expense; its amount is in thousandths."""

    day: date
    amount: int
    currency: str
    category: str | None


async def record(app: FastAPI, person: Person, expenses: Sequence[Recorded]) -> None:
    """Insert expenses into the database; by the API each would take a request."""
    owner = person.user["id"]
    instants = {"created_at": now(), "updated_at": now(), "revision": 1, "owner_id": owner}
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(owner)
        names = sorted({expense.category for expense in expenses if expense.category})
        for name in names:
            await connection.execute(insert(Category), {"name": name, "name_key": name.casefold(), **instants})
        mine = select(Category.name, Category.id).where(Category.owner_id == bindparam("owner"))
        ids = {row.name: row.id for row in await connection.execute(mine, {"owner": owner})}
        rows = [
            {
                "amount": expense.amount,
                "currency": expense.currency,
                "spent_on": expense.day,
                "category_id": ids.get(expense.category),
                **instants,
            }
            for expense in expenses
        ]
        if rows:
            await connection.execute(insert(Expense), rows)
        await unit.commit()


class Pencil:
    """Computes a report day by day and with Decimal, without any code of the service's reports."""

    def __init__(self, expenses: Sequence[Recorded], group_by: Sequence[str], start_day: int) -> None:
        self.expenses = expenses
        self.group_by = group_by
        self.start_day = start_day
        self.unit = next((name for name in group_by if name != "category"), None)
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
        series = {(it.category if "category" in self.group_by else None, it.currency) for it in everything}
        rows = [
            (place, currencies.index(currency), self.group(spans, place, name, category, currency))
            for place, name in enumerate(self.buckets(*now))
            for category, currency in series
        ]
        return {
            "group_by": list(self.group_by),
            "totals": [self.total(spans, currency) for currency in currencies],
            "groups": [row for *_, row in sorted(rows, key=self.order)] if self.group_by else [],
        }

    def order(self, row: tuple[int, int, dict[str, Any]]) -> list[object]:
        """Return the sort key: the order of `group_by`, no category after all others, then the own currency first."""
        place, currency, shown = row
        category = shown.get("category")
        named = (category is None, (category or "").casefold())
        return [*(named if dimension == "category" else place for dimension in self.group_by), currency]

    def group(
        self, spans: Sequence[tuple[date, date]], place: int, name: object, category: str | None, currency: str
    ) -> dict[str, Any]:
        sides = [
            [
                it
                for it in self.at(days, place, name)
                if it.currency == currency and ("category" not in self.group_by or it.category == category)
            ]
            for days in spans
        ]
        of_all = sum(it.amount for it in self.between(*spans[0]) if it.currency == currency)
        shown = {"category": category, self.unit: name}
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
