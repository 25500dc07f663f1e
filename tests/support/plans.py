"""Query plans in words that MySQL and MariaDB share: which index, whether it covers, what is sorted, rows read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection


@dataclass(frozen=True)
class Plan:
    """How the server answers one statement."""

    indexes: dict[str, str | None]
    """The index of each table, or None where it scans."""

    covered: frozenset[str]
    """The tables of which it reads the index alone."""

    is_sorted: bool
    """Whether it sorts rows (filesort), because no index has their order."""

    is_stored: bool
    """Whether it stores rows in a temporary table."""

    rows_read: int
    """Rows that it really read, index entries included."""


def explain(connection: Connection, statement: str) -> Plan:
    """Explain a statement, run it, and count what it read."""
    # The JSON of the two servers differs, and MySQL's differs from version to version; the columns of the table are
    # the same everywhere.
    steps = _ask(connection, f"EXPLAIN FORMAT=TRADITIONAL {statement}")
    return _read(steps, _count_reads(connection, statement))


def _read(steps: Sequence[dict[str, Any]], rows_read: int) -> Plan:
    # "Using index condition" is another remark than "Using index": a condition is tried before the row is read.
    remarks = [(str(step["table"]), str(step["Extra"] or "").split("; ")) for step in steps]
    said = {remark for _, own in remarks for remark in own}
    looked_up = {table for table, own in remarks if "Using index" not in own}
    return Plan(
        indexes={str(step["table"]): step["key"] for step in steps if step["table"]},
        covered=frozenset({table for table, _ in remarks} - looked_up),
        is_sorted="Using filesort" in said,
        is_stored="Using temporary" in said,
        rows_read=rows_read,
    )


def _count_reads(connection: Connection, statement: str) -> int:
    # An index entry that fails a pushed condition is read and not counted, by MySQL at all; without the push it is.
    _run(connection, "SET SESSION optimizer_switch = 'index_condition_pushdown=off'")
    _run(connection, "FLUSH STATUS")
    _ask(connection, statement)
    reads = _ask(connection, "SHOW SESSION STATUS LIKE 'Handler_read%'")
    _run(connection, "SET SESSION optimizer_switch = 'index_condition_pushdown=on'")
    return sum(int(row["Value"]) for row in reads)


def _ask(connection: Connection, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.exec_driver_sql(statement.replace("%", "%%")).mappings()]


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
