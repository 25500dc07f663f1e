"""LibreOffice without a window: it opens a workbook as its users do."""

import csv
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from tests.support.servers import find_program, inherited

# Comma, quote, UTF-8; cells as they are shown, so in the format of their number.
AS_SHOWN: Final = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true"
SECONDS: Final = 120


class Office:
    """Opens workbooks, with a profile of its own."""

    def __init__(self) -> None:
        self._program = find_program("soffice", "libreoffice")
        self._folder = TemporaryDirectory(prefix="expenses-office-", ignore_cleanup_errors=True)

    def read(self, workbook: bytes) -> list[list[str]]:
        """Return what is shown in the cells of the first sheet."""
        folder = Path(self._folder.name)
        (folder / "book.xlsx").write_bytes(workbook)
        profile = f"-env:UserInstallation=file://{folder}/profile"
        target = ["--convert-to", AS_SHOWN, "--outdir", str(folder)]
        command = [self._program, profile, "--headless", *target, str(folder / "book.xlsx")]
        subprocess.run(command, env=inherited(), capture_output=True, check=True, timeout=SECONDS)
        with (folder / "book.csv").open(newline="", encoding="utf-8") as shown:
            return [*csv.reader(shown)]

    def __enter__(self) -> Self:
        """Return the program."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete its profile."""
        self._folder.cleanup()
