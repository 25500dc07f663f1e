"""Parses the days, instants and time zones that clients write.

Pure: the current instant is a parameter.
"""

import re
from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from values.parse_errors import ParseError

EARLIEST = date(1900, 1, 1)
LATEST = date(2199, 12, 31)


class NotADay(ParseError):
    """Write a day that exists as YYYY-MM-DD, like 2026-11-22."""


class DayNotText(NotADay):
    """Send the day as a string, like "2026-11-22"."""

    code = "wrong_type"


class InstantForDay(ParseError):
    """This is a day, not an instant: send 2026-11-22 without a time."""


class DayOutOfRange(ParseError):
    """Send a day from 1900-01-01 to 2199-12-31."""

    code = "out_of_range"


class UnknownTimezone(ParseError):
    """Send an IANA time zone name, like Europe/Berlin."""

    code = "not_allowed"


class TimezoneNotText(UnknownTimezone):
    """Send the time zone as a string, like "Europe/Berlin"."""

    code = "wrong_type"


class NotAnInstant(ParseError):
    """Write an instant with its offset, like 2027-01-31T09:00:00Z."""


class InstantNotText(NotAnInstant):
    """Send the instant as a string, like "2027-01-31T09:00:00Z"."""

    code = "wrong_type"


class InstantOutOfRange(ParseError):
    """Send an instant before the year 2200."""

    code = "out_of_range"


# [0-9] throughout, because \d also matches the digits of every other script.
YEAR = "([0-9]{4})"
MONTH = f"{YEAR}-(0[1-9]|1[0-2])"
DAY = f"{MONTH}-(0[1-9]|[12][0-9]|3[01])"
INSTANT = "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
FULL_INSTANT = f"{DAY}[Tt]{TIME}([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

YEAR_IN_RANGE = "(?:19|20|21)[0-9]{2}"
DASH_MONTH = "-(?:0[1-9]|1[0-2])"
DASH_DAY = "-(?:0[1-9]|[12][0-9]|3[01])"
DAY_PATTERN = f"^{YEAR_IN_RANGE}{DASH_MONTH}{DASH_DAY}$"
"""The pattern of a day in the OpenAPI document; it also matches days that do not exist, like 2026-02-30."""
INSTANT_PATTERN = rf"^{YEAR_IN_RANGE}{DASH_MONTH}{DASH_DAY}[Tt]{TIME}(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
"""The pattern of an instant in the document, with the same limitation."""


def parse_day(value: object) -> date:
    """Parse a calendar day written as YYYY-MM-DD, the extended format of ISO 8601-1, 5.2.2.1.

    Raises DayNotText, InstantForDay, NotADay or DayOutOfRange.
    """
    if not isinstance(value, str):
        raise DayNotText
    if re.match(INSTANT, value):
        raise InstantForDay
    if not re.fullmatch(DAY, value):
        raise NotADay
    # Compared as text, which sorts as the days do: the pattern allows the year 0000, which `date` does not have.
    if not EARLIEST.isoformat() <= value <= LATEST.isoformat():
        raise DayOutOfRange
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise NotADay from None


def parse_instant(value: object) -> datetime:
    """Parse an instant in the format of RFC 3339 and return it in UTC, cut to whole seconds.

    Raises InstantNotText, NotAnInstant or InstantOutOfRange.
    """
    if not isinstance(value, str):
        raise InstantNotText
    if not re.fullmatch(FULL_INSTANT, value):
        raise NotAnInstant
    try:
        instant = datetime.fromisoformat(value.upper()).astimezone(UTC).replace(microsecond=0)
    except ValueError:
        raise NotAnInstant from None
    except OverflowError:
        raise InstantOutOfRange from None
    if instant.year > LATEST.year:
        raise InstantOutOfRange
    return instant


@cache
def list_timezones() -> frozenset[str]:
    """Return the time zones that a user may have: the names of the IANA database, without three that mean no place."""
    return frozenset(available_timezones() - {"Factory", "localtime", "posixrules"})


def parse_timezone(value: object) -> str:
    """Return the name of a time zone, which must be spelt exactly as in the IANA database.

    Raises TimezoneNotText or UnknownTimezone.
    """
    if not isinstance(value, str):
        raise TimezoneNotText
    if value not in list_timezones():
        raise UnknownTimezone
    return value


def compute_today(now: datetime, timezone: str) -> date:
    """Return the calendar day in `timezone` at the instant `now`; raise ValueError if `now` is naive."""
    if now.utcoffset() is None:
        # astimezone takes a naive datetime as the server's local time: right on a developer's machine, wrong elsewhere.
        raise ValueError("the instant needs an offset")
    return now.astimezone(ZoneInfo(timezone)).date()
