"""Column types and SQL functions with the same result on SQLite and MySQL: ids, instants in UTC, exact sums."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# Amounts are divided by this into two parts; a million of each sum to less than 2^63.
SUM_PART: Final = 10**9
BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: in Python an aware datetime in UTC, in the database whole seconds without a zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to UTC and drop the zone and the fraction of a second."""
        return value and value.astimezone(UTC).replace(tzinfo=None, microsecond=0)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Add UTC to what SQLite returns; on MySQL the driver's converter has added it (engines)."""
        if dialect.name == "mysql":
            return None
        read = super().result_processor(dialect, coltype)

        def add_utc(value: Any) -> datetime | None:  # noqa: ANN401
            instant = read(value) if read else value
            return instant and instant.replace(tzinfo=UTC)

        return add_utc


class _ExactInteger(TypeDecorator[int]):
    """The type of `exact_sum`: an integer of any size."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ANN401, ARG002
        """Combine the two parts that SQLite returns; MySQL returns a DECIMAL without decimals."""
        if isinstance(value, str):
            high, low = value.split()
            return int(high) * SUM_PART + int(low)
        return None if value is None else int(value)


class exact_sum(FunctionElement[int]):  # noqa: N801  # it reads as what it is in a statement, like `func.sum`
    """The exact sum of an integer column of any size; SQLite's own SUM overflows at 2^63."""

    type = _ExactInteger()
    inherit_cache = True


@compiles(exact_sum)
def _compile_sum(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"SUM({compiler.process(element.clauses, **options)})"


@compiles(exact_sum, "sqlite")
def _compile_sum_in_parts(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"SUM({column} / {SUM_PART}) || ' ' || SUM({column} % {SUM_PART})"
