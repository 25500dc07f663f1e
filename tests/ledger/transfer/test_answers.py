"""The rows that an import answers with."""

import pytest

from ledger.transfer.answers import build_rows
from ledger.transfer.choices import Choices
from ledger.transfer.rows import read_rows
from tests.support.imports import coffee, reading


async def test_a_row_that_nothing_has_decided_is_not_shown_as_new() -> None:
    rows = await read_rows(reading(coffee()), Choices())

    with pytest.raises(RuntimeError, match="nothing has decided"):
        await build_rows(rows, 1, has_accounts=False)
