"""The process that reads one file: `python -m ledger.transfer.file_reader`, as infra/child_process.py runs it."""

import gc
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from infra.child_limits import begin
from ledger.transfer.readers.archive import read_archive
from ledger.transfer.readers.entries import BadOption, UnreadableFile
from ledger.transfer.readers.formats import detect_format
from ledger.transfer.readers.reading import Request, read_file
from ledger.transfer.readers.wire import write_archive, write_failure, write_reading


def main() -> None:
    """Read the file at the standard input, and write what was read as lines of JSON."""
    arguments: Mapping[str, Any] = begin()
    # The process ends before garbage matters.
    gc.disable()
    try:
        lines = _read(sys.stdin.buffer.read(), Request(**arguments))
        sys.stdout.writelines(f"{line}\n" for line in lines)
    except (UnreadableFile, BadOption) as error:
        sys.stdout.write(f"{write_failure(error)}\n")


def _read(data: bytes, request: Request) -> Iterator[str]:
    kind = detect_format(data)
    return write_archive(read_archive(data)) if kind == "archive" else write_reading(read_file(data, kind, request))


if __name__ == "__main__":
    main()
