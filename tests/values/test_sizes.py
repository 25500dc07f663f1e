"""Sizes: the bytes of texts, and sizes as people read them."""

import pytest

from values.sizes import measure, write_size


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, "0 bytes"),
        (1_023, "1023 bytes"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        (128 * 2**20, "128 MiB"),
        (5 * 2**30 + 2**29, "5.5 GiB"),
        (3 * 2**50, "3072 TiB"),
    ],
)
def test_a_size_is_written_in_the_largest_unit_that_it_fills(size: int, written: str) -> None:
    assert write_size(size) == written


def test_texts_are_measured_in_bytes_and_what_is_missing_takes_none() -> None:
    assert measure("Äpfel", None, "", "🍎") == 6 + 4
