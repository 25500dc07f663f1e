"""The answer of a spending report, made of the sums that the database returned: a plain calculation.

    fold           add each row to its bucket: day -> number of the bucket      (values.spans.BucketedSpan)
                   a tag set counts for each of its tags
    build_report   a row per bucket, names and currency, with zeros             (at most 10,000)
                   compared with the bucket of the same number in the other span

Amounts of different currencies are never added up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from sqlalchemy import Row

from infra.slices import iterate_in_slices
from ledger.reports.schemas import (
    NAME_DIMENSIONS,
    Days,
    Figures,
    SpendingGroup,
    SpendingReport,
    SpendingTotal,
)
from ledger.tags.sets import split_names
from problems import TooMany
from values import money
from values.field_errors import parameter_error
from values.spans import BucketedSpan
from values.texts import make_sort_key

MAX_ROWS: Final = 10_000


@dataclass(slots=True)
class SpendingSum:
    """The sum of expenses in one currency, in thousandths, with their number, least and greatest amount."""

    total: int = 0
    count: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, total: int, count: int, least: int, most: int) -> None:
        """Add the sum of other expenses."""
        self.total += total
        self.count += count
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)


Names = tuple[Any, ...]
"""A category's name, a tag's name, a payee's id and so on, in the order of `group_by`; None: without one."""
BucketKey = tuple[int, Names, str]
"""The number of a bucket of time, names, and a currency."""
ZERO: Final = SpendingSum()


@dataclass(frozen=True, slots=True)
class ReportSpan:
    """The span of the report, or the one that it is compared with: its buckets, and the sums by bucket and in all."""

    division: BucketedSpan
    sums: dict[BucketKey, SpendingSum] = field(default_factory=dict)
    totals: dict[str, SpendingSum] = field(default_factory=dict)


def too_many_rows_problem() -> TooMany:
    """Return the problem of an answer with more than MAX_ROWS rows."""
    detail = f"A report has at most {MAX_ROWS:,} rows: ask for a shorter span, or for fewer or larger groups."
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def fold(rows: Iterable[Row[Any]], sides: Sequence[ReportSpan], dimensions: Sequence[str]) -> None:
    """Add rows of the aggregate, which have a column for each dimension, to the buckets and totals of their side."""
    for row in rows:
        part, day, *shown, currency, total, count, least, most = tuple(row)
        side = sides[part]
        number = side.division.find_bucket(day)
        for names in _list_names(dimensions, shown):
            side.sums.setdefault((number, names, currency), SpendingSum()).add(total, count, least, most)
        side.totals.setdefault(currency, SpendingSum()).add(total, count, least, most)


def _list_names(dimensions: Sequence[str], shown: Sequence[Any]) -> Iterable[Names]:
    """Return the groups to which a row of the aggregate belongs: one, or one for each tag of its set."""
    if "tag" not in dimensions:
        return (tuple(shown),)
    choices = [
        split_names(value) or [None] if dimension == "tag" else [value]
        for dimension, value in zip(dimensions, shown, strict=True)
    ]
    return product(*choices)


def list_occurring(sides: Sequence[ReportSpan]) -> set[BucketKey]:
    """Return the keys of the buckets in which something occurs, without those that only the other span has."""
    buckets = sides[0].division.names
    return {key for side in sides for key in side.sums if key[0] in buckets}


async def build_report(group_by: Sequence[str], sides: Sequence[ReportSpan], own: str) -> SpendingReport:
    """Build the report of the first side, compared with the second if any; raise TooMany past MAX_ROWS rows."""
    currencies = money.sort_own_first({own, *(currency for side in sides for currency in side.totals)}, own)
    report: dict[str, Any] = {
        "period": _build_days(sides[0]),
        "group_by": group_by,
        "totals": [_build_total(currency, sides) for currency in currencies],
        "groups": [group async for group in iterate_in_slices(_build_groups(group_by, sides, currencies))],
    }
    if "tag" in group_by:
        report["overlapping"] = True
    if len(sides) > 1:
        report["compared_to"] = _build_days(sides[1])
    # Not validated, which would take a third of the time of a large report.
    return SpendingReport.model_construct(**report)


def _build_total(currency: str, sides: Sequence[ReportSpan]) -> SpendingTotal:
    sums = [side.totals.get(currency, ZERO) for side in sides]
    per_day = money.divide(sums[0].total, sides[0].division.span.days, currency)
    return {**_build_figures(currency, *sums), "per_day": money.write_amount(per_day, currency)}


def _build_groups(
    group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]
) -> Iterator[SpendingGroup]:
    if not group_by:
        return
    buckets = sides[0].division.names
    for key in _list_keys(group_by, sides, currencies):
        number, names, currency = key
        sums = [side.sums.get(key, ZERO) for side in sides]
        remaining = iter(names)
        bucket = {name: next(remaining) if name in NAME_DIMENSIONS else buckets[number] for name in group_by}
        share = _compute_percent(sums[0].total, sides[0].totals.get(currency, ZERO).total)
        group: Any = {**bucket, **_build_figures(currency, *sums), "share_percent": share}
        yield group


def _list_keys(group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]) -> Iterable[BucketKey]:
    """Return the keys of all rows in their order; raise TooMany past MAX_ROWS.

    Without a name comes last, and the currencies of a bucket are sorted as in the totals.
    """
    # An account may have 20,000 payees: a row for each of them in every bucket would be too many.
    list_keys = _sort_occurring if "payee" in group_by else _list_filled
    return list_keys(group_by, sides, currencies)


def _list_filled(
    group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]
) -> Iterator[BucketKey]:
    """Return the keys of every bucket for all names and currencies that occur anywhere."""
    buckets = sides[0].division.names
    series = {(names, currency) for side in sides for _, names, currency in side.sums}
    if len(series) * len(buckets) > MAX_ROWS:
        raise too_many_rows_problem()
    ranked = sorted({names for names, _ in series}, key=_rank_names)
    used = {names: [currency for currency in currencies if (names, currency) in series] for names in ranked}
    pairs = (
        ((number, names) for names in ranked for number in buckets)
        if group_by[0] in NAME_DIMENSIONS
        else ((number, names) for number in buckets for names in ranked)
    )
    return ((number, names, currency) for number, names in pairs for currency in used[names])


def _sort_occurring(group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]) -> list[BucketKey]:
    """Return the keys of the buckets in which something occurs."""
    keys = list_occurring(sides)
    ranked = sorted({names for _, names, _ in keys}, key=_rank_names)
    name_ranks = {names: rank for rank, names in enumerate(ranked)}
    currency_ranks = {currency: rank for rank, currency in enumerate(currencies)}

    def rank_key(key: BucketKey) -> tuple[int, int, int]:
        number, names, currency = key
        ranks = (number, name_ranks[names], currency_ranks[currency])
        return (ranks[1], ranks[0], ranks[2]) if group_by[0] in NAME_DIMENSIONS else ranks

    return sorted(keys, key=rank_key)


def _rank_names(names: Names) -> list[tuple[bool, tuple[str, str]]]:
    return [(name is None, make_sort_key(name or "")) for name in names]


def _build_figures(currency: str, current: SpendingSum, previous: SpendingSum | None = None) -> Figures:
    average = money.divide(current.total, current.count, currency) if current.count else None
    figures: Figures = {
        "currency": currency,
        "total": money.write_amount(current.total, currency),
        "count": current.count,
        "average": _write_optional_amount(average, currency),
        "min": _write_optional_amount(current.least, currency),
        "max": _write_optional_amount(current.most, currency),
    }
    if previous is not None:
        change = current.total - previous.total
        figures["previous_total"] = money.write_amount(previous.total, currency)
        figures["change"] = money.write_amount(change, currency)
        figures["change_percent"] = _compute_percent(change, previous.total)
    return figures


def _compute_percent(part: int, whole: int) -> float | None:
    return money.compute_percent(part, whole) if whole > 0 else None


def _write_optional_amount(thousandths: int | None, currency: str) -> str | None:
    return None if thousandths is None else money.write_amount(thousandths, currency)


def _build_days(side: ReportSpan) -> Days:
    return Days(from_=side.division.span.first, to=side.division.span.last)
