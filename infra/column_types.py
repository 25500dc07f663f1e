"""Column types and functions that both databases answer alike: ids, instants in UTC, exact sums."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# Splits any amount into two parts of which a million add up to less than 2^63.
SUM_PART: Final = 10**9
BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, aware and in UTC in Python, whole seconds in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Drop the zone, which is always UTC, and the fraction."""
        return value and value.astimezone(UTC).replace(tzinfo=None, microsecond=0)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Say again that it is UTC; on MySQL the driver has, in the same step as it reads the text."""
        if dialect.name == "mysql":
            return None
        read = super().result_processor(dialect, coltype)

        def add_utc(value: Any) -> datetime | None:  # noqa: ANN401
            instant = read(value) if read else value
            return instant and instant.replace(tzinfo=UTC)

        return add_utc


class _ExactInteger(TypeDecorator[int]):
    """A whole number of any size, as `exact_sum` returns it."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ANN401, ARG002
        """Put together what SQLite returns in two parts; MySQL's is a decimal without decimals."""
        if isinstance(value, str):
            high, low = value.split()
            return int(high) * SUM_PART + int(low)
        return None if value is None else int(value)


class exact_sum(FunctionElement[int]):  # noqa: N801  # it reads as what it is in a statement, like `func.sum`
    """The sum of a column of whole numbers, exact however large: SQLite's own SUM overflows at 2^63."""

    type = _ExactInteger()
    inherit_cache = True


@compiles(exact_sum)
def _compile_sum(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"SUM({compiler.process(element.clauses, **options)})"


@compiles(exact_sum, "sqlite")
def _compile_sum_in_parts(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"SUM({column} / {SUM_PART}) || ' ' || SUM({column} % {SUM_PART})"
