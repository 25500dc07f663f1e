"""Days, instants and time zones, tested without a clock."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from values import days
from values.days import parse_day, parse_instant, parse_timezone
from values.parse_errors import ParseError

SUNDAY = date(2026, 11, 22)

# Days


@pytest.mark.parametrize("text", ["1900-01-01", "2024-02-29", "2026-11-22", "2199-12-31"])
def test_a_day_is_read_as_written(text: str) -> None:
    assert parse_day(text).isoformat() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026",
        "2026-11",
        "2026-1-2",
        "26-11-22",
        "20261122",
        "2026-326",
        "2026-W47-7",
        "22.11.2026",
        "2026/11/22",
        "2026-00-10",
        "2026-13-10",
        "2026-11-00",
        "2026-11-31",
        "2026-02-30",
        "2025-02-29",
        " 2026-11-22",
        "2026-11-22 ",
        "2026-11-22\n",
        "2026-11-22\x00",
        "2026-11-22T",
        "+2026-11-22",
        "-2026-11-22",
        "12026-11-22",
        "2026‐11‐22",
        "２０２６-１１-２２",
        "٢٠٢٦-١١-٢٢",
        "2026-11-2²",
        "\ud800",
    ],
)
def test_what_is_not_a_day_is_malformed(text: str) -> None:
    with pytest.raises(days.NotADay) as refused:
        parse_day(text)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("value", [0, 20261122, 1795305600.0, True, None, b"2026-11-22", ["2026-11-22"], SUNDAY])
def test_only_text_is_a_day(value: object) -> None:
    with pytest.raises(days.NotADay) as refused:
        parse_day(value)
    assert refused.value.code == "wrong_type"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:00:00Z",
        "2026-11-22T00:00:00",
        "2026-11-22t10:00:00+01:00",
        "2026-11-22T10",
        "2026-11-22 10:00",
        "2026-11-22T10:00:00Z\n",
    ],
)
def test_an_instant_is_told_that_a_day_was_wanted(text: str) -> None:
    with pytest.raises(days.InstantForDay, match="a day, not an instant"):
        parse_day(text)


@pytest.mark.parametrize("text", ["0000-01-01", "0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_of_another_century_is_out_of_range(text: str) -> None:
    with pytest.raises(days.DayOutOfRange) as refused:
        parse_day(text)
    assert refused.value.code == "out_of_range"


@given(st.dates(days.EARLIEST, days.LATEST))
def test_every_day_in_range_reads_back(day: date) -> None:
    assert parse_day(day.isoformat()) == day


@given(st.text())
def test_no_text_at_all_upsets_reading_a_day(text: str) -> None:
    with suppress(ParseError):
        parse_day(text)


# Instants


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-01-31T09:00:00Z", "2027-01-31T09:00:00"),
        ("2027-01-31t09:00:00z", "2027-01-31T09:00:00"),
        ("2027-01-31T09:00:00+00:00", "2027-01-31T09:00:00"),
        ("2027-01-31T09:00:00-00:00", "2027-01-31T09:00:00"),
        ("2027-01-31T09:00:00+01:00", "2027-01-31T08:00:00"),
        ("2027-01-31T09:00:00-05:30", "2027-01-31T14:30:00"),
        ("2027-01-01T00:30:00+14:00", "2026-12-31T10:30:00"),
        ("2026-12-31T23:59:59-23:59", "2027-01-01T23:58:59"),
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00"),
        ("2027-01-31T23:59:59Z", "2027-01-31T23:59:59"),
        ("2027-01-31T09:00:00.5Z", "2027-01-31T09:00:00"),
        ("2027-01-31T09:00:00.999999999+01:00", "2027-01-31T08:00:00"),
        ("2028-02-29T09:00:00Z", "2028-02-29T09:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ("2199-12-31T23:59:59.999Z", "2199-12-31T23:59:59"),
        ("2200-01-01T00:59:59+01:00", "2199-12-31T23:59:59"),
    ],
)
def test_an_instant_is_read_into_utc_and_whole_seconds(text: str, instant: str) -> None:
    # RFC 3339, section 5.6.
    assert parse_instant(text) == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert parse_instant(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-31 09:00:00Z",
        "",
        "now",
        "2027-01-31",
        "09:00:00Z",
        "2027-01-31T09:00:00",
        "2027-01-31T09:00Z",
        "2027-01-31T09Z",
        "2027-01-31T9:00:00Z",
        "2027-1-31T09:00:00Z",
        "27-01-31T09:00:00Z",
        "20270131T090000Z",
        "2027-W04-7T09:00:00Z",
        "2027-031T09:00:00Z",
        "2027-01-31T09:00:00+01",
        "2027-01-31T09:00:00+0100",
        "2027-01-31T09:00:00+1:00",
        "2027-01-31T09:00:00+24:00",
        "2027-01-31T09:00:00+01:60",
        "2027-01-31T09:00:00+01:00:00",
        "2027-01-31T09:00:00 +01:00",
        "2027-01-31T09:00:00ZZ",
        "2027-01-31T09:00:00CET",
        "2027-01-31T09:00:00+01:00[Europe/Berlin]",
        "2027-01-31T09:00:00−01:00",
        "2027-01-31T09:00:00.Z",
        "2027-01-31T09:00:00,5Z",
        "2027-01-31T09:00:00.1234567890Z",
        "2027-01-31__09:00:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T09:60:00Z",
        "2027-01-31T09:00:61Z",
        "2016-12-31T23:59:60Z",
        "2027-02-29T09:00:00Z",
        "2027-02-30T09:00:00Z",
        "2027-04-31T09:00:00Z",
        "2027-00-10T09:00:00Z",
        "2027-13-10T09:00:00Z",
        "2027-01-00T09:00:00Z",
        "2027-01-32T09:00:00Z",
        "0000-01-01T00:00:00Z",
        "12027-01-31T09:00:00Z",
        "+2027-01-31T09:00:00Z",
        " 2027-01-31T09:00:00Z",
        "2027-01-31T09:00:00Z ",
        "2027-01-31T09:00:00Z\n",
        "2027-01-31T09:00:00Z\x00",
        "２０２７-０１-３１T０９:００:００Z",
        "٢٠٢٧-٠١-٣١T٠٩:٠٠:٠٠Z",
        "2027-01-31T09:00:0²Z",
        "1801386000",
        "\ud800",
    ],
)
def test_what_is_no_instant_is_malformed(text: str) -> None:
    with pytest.raises(days.NotAnInstant) as refused:
        parse_instant(text)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize(
    "value", [0, 1801386000, 1801386000.0, True, None, b"2027-01-31T09:00:00Z", ["2027-01-31T09:00:00Z"], {}, SUNDAY]
)
def test_only_text_is_an_instant(value: object) -> None:
    with pytest.raises(days.InstantNotText) as refused:
        parse_instant(value)
    assert refused.value.code == "wrong_type"


@pytest.mark.parametrize(
    "text",
    [
        "2200-01-01T00:00:00Z",
        "2199-12-31T23:59:59-00:01",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59.999999999-23:59",
    ],
)
def test_an_instant_of_another_century_is_out_of_range(text: str) -> None:
    with pytest.raises(days.InstantOutOfRange) as refused:
        parse_instant(text)
    assert refused.value.code == "out_of_range"


def test_an_instant_before_all_that_can_be_written_is_refused() -> None:
    with pytest.raises(ParseError):
        parse_instant("0001-01-01T00:00:00+00:01")


@given(
    st.datetimes(datetime(1, 1, 2), datetime(2199, 12, 30)),  # noqa: DTZ001  # the zone comes next
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_every_instant_is_the_same_in_every_zone(written: datetime, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{written.isoformat()}{sign}{hours:02}:{rest:02}"
    expected = written.replace(tzinfo=UTC, microsecond=0) - timedelta(minutes=minutes)
    assert parse_instant(text) == expected


@given(st.text())
def test_no_text_at_all_upsets_reading_an_instant(text: str) -> None:
    with suppress(ParseError):
        parse_instant(text)


# Time zones


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Calcutta", "Pacific/Kiritimati"])
def test_a_time_zone_goes_by_its_iana_name_or_a_link(name: str) -> None:
    assert parse_timezone(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "europe/berlin",
        " Europe/Berlin",
        "Europe/Berlin\n",
        "Europe",
        "Europe/",
        "Mars/Olympus",
        "+01:00",
        "../../etc/passwd",
        "/usr/share/zoneinfo/UTC",
        "Europe/Berlin\x00",
        "Factory",
        "localtime",
        "posixrules",
    ],
)
def test_any_other_name_is_not_a_time_zone(name: str) -> None:
    with pytest.raises(days.UnknownTimezone) as refused:
        parse_timezone(name)
    assert refused.value.code == "not_allowed"


@pytest.mark.parametrize("value", [1, True, None, b"UTC", ["UTC"], {"UTC": 1}])
def test_only_text_is_a_time_zone(value: object) -> None:
    with pytest.raises(days.UnknownTimezone) as refused:
        parse_timezone(value)
    assert refused.value.code == "wrong_type"


@pytest.mark.parametrize(
    ("timezone", "day"),
    [
        ("Pacific/Pago_Pago", date(2026, 11, 21)),
        ("UTC", date(2026, 11, 22)),
        ("Pacific/Kiritimati", date(2026, 11, 23)),
    ],
)
def test_three_users_can_have_three_todays(timezone: str, day: date) -> None:
    assert days.compute_today(datetime(2026, 11, 22, 10, 30, tzinfo=UTC), timezone) == day


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 22, 0, 0, tzinfo=UTC), date(2026, 7, 2)),
        (datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC), date(2026, 12, 1)),
        (datetime(2026, 12, 1, 23, 0, 0, tzinfo=UTC), date(2026, 12, 2)),
    ],
)
def test_the_day_turns_at_local_midnight_summer_and_winter(now: datetime, day: date) -> None:
    assert days.compute_today(now, "Europe/Berlin") == day


def test_a_datetime_without_an_offset_has_no_today() -> None:
    with pytest.raises(ValueError, match="offset"):
        days.compute_today(datetime(2026, 11, 22, 10, 0), "UTC")  # noqa: DTZ001


# Errors


ERRORS = [
    days.NotADay,
    days.DayNotText,
    days.InstantForDay,
    days.DayOutOfRange,
    days.UnknownTimezone,
    days.TimezoneNotText,
    days.NotAnInstant,
    days.InstantNotText,
    days.InstantOutOfRange,
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_says_its_docstring(error: type[ParseError]) -> None:
    assert str(error()) == error.__doc__


@pytest.mark.parametrize("read", [parse_day, parse_instant, parse_timezone])
def test_no_error_echoes_the_value(read: Callable[[str], object]) -> None:
    with pytest.raises(ParseError) as refused:
        read("hunter2")
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
