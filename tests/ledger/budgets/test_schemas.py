"""Schemas of reports and budgets: which members an answer has."""

from datetime import date

from ledger.reports.schemas import Days, SpendingReport

NOVEMBER = Days(from_=date(2026, 11, 1), to=date(2026, 11, 30))


def test_a_span_is_written_from_and_to() -> None:
    assert NOVEMBER.model_dump_json(by_alias=True) == '{"from":"2026-11-01","to":"2026-11-30"}'


def test_what_was_not_asked_for_is_not_there() -> None:
    report = SpendingReport(period=NOVEMBER, group_by=[], totals=[], groups=[])
    assert report.model_dump(exclude_unset=True).keys() == {"period", "group_by", "totals", "groups"}


def test_optional_fields_of_a_row_are_not_nullable_save_where_null_says_something() -> None:
    fields = SpendingReport.model_json_schema(mode="serialization")["$defs"]["SpendingGroup"]["properties"]
    nullable = {name for name, field in fields.items() if {"type": "null"} in field.get("anyOf", [])}
    assert nullable == {
        "category",
        "parent",
        "payee",
        "tag",
        "average",
        "min",
        "max",
        "share_percent",
        "change_percent",
    }
