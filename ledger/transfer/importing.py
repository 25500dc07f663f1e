"""Imports what was read of an uploaded file: a statement, or an archive."""

from ledger.core import Ledger
from ledger.transfer import imports
from ledger.transfer.archives.contents import Contents
from ledger.transfer.archives.running import import_archive
from ledger.transfer.choices import Choices
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.schemas import ImportAnswer


async def import_file(ledger: Ledger, content: Reading | Contents, choices: Choices) -> ImportAnswer:
    """Import what was read, or preview it, and return the answer; `imports.run` says what is raised."""
    if isinstance(content, Reading):
        return await imports.run(ledger, content, choices)
    return await import_archive(ledger, content, choices)
