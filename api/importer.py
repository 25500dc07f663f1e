"""The dependency of an import: the uploaded file is read in a process of its own, and then the ledger is locked.

    first try     authenticate, find the caller's own profile
                  give the connection back, read the file                  infra/child_process.py
    every try     authenticate again, lock the ledger                      not in a preview

So no connection and no lock is held while a file is read, and it is read once, however often the transaction is tried.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Security

from api.bearer import BearerDependency
from api.dependencies import lock_ledger_to_change, open_ledger
from api.requests import StrictRequest
from infra.child_process import ChildFailed, ChildLimits, ChildTooLarge, ChildTooSlow
from ledger.core import Ledger
from ledger.transfer.archives.contents import Contents, read_contents
from ledger.transfer.option_schemas import ImportOptions
from ledger.transfer.profiles import find_profile
from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.readers.entries import BadOption, TooManyEntries, UnreadableFile, UnsupportedFormat
from ledger.transfer.readers.profiles import PROFILES
from ledger.transfer.readers.wire import read_head, read_lines, read_reading
from ledger.transfer.schemas import ImportAnswer, ImportForm
from problems import ImportRefused, Problem, TooMany, UnsupportedMediaType, ValidationFailed
from values.field_errors import FieldError, field_error

READER: Final = "ledger.transfer.file_reader"
SECONDS: Final = 6
SECONDS_PER_MIB: Final = 2.5
MOST_SECONDS: Final = 30
"""A long file takes longer to read than a short one; on a busy machine several times as long as on a quiet one."""
_MIB: Final = 1024 * 1024
ANSWER_BYTES: Final = 192 * _MIB
"""An archive unpacks to 128 MiB, and what each line is known by comes to that."""
_TOO_SLOW: Final = "Reading the file takes too long: split it, and import its parts."
_TOO_LARGE: Final = "Reading the file takes too much memory: split it, and import its parts."
_UNREADABLE: Final = "The file cannot be read: save it once more, as CSV if you can."


@dataclass(slots=True)
class FileRead:
    """What was read of an uploaded file, and the options with those of the caller's profile."""

    content: Reading | Contents
    """The rows of a statement, or what an archive holds."""
    options: ImportOptions


@dataclass(slots=True)
class Importer:
    """The caller's ledger, locked unless it is a preview, and what was read."""

    ledger: Ledger
    file: FileRead
    _request: StrictRequest

    def remember(self, answer: ImportAnswer) -> None:
        """Have the answer stored for an Idempotency-Key without its rows, of which there may be 50,000."""
        self._request.remembered_body = answer.model_copy(update={"rows": []}).model_dump_json()


async def _open_importer(request: StrictRequest, scope: str | None) -> Importer | None:
    """Return the importer; None if the form is not valid, so that the endpoint is not called."""
    form = request.upload.form if request.upload else None
    if request.file_read is None and isinstance(form, ImportForm):
        ledger = await open_ledger(request, scope)
        request.file_read = await _read_file(request, ledger, form)
    ledger = await lock_ledger_to_change(request, scope)
    file = request.file_read
    return Importer(ledger, file, request) if isinstance(file, FileRead) else None


async def _read_file(request: StrictRequest, ledger: Ledger, form: ImportForm) -> FileRead:
    own = await find_profile(ledger, form.profile) if form.profile else None
    if form.profile and own is None and form.profile not in PROFILES:
        raise ValidationFailed(errors=[field_error("/profile", "not_found", "There is no such profile.")])
    sent = form.options.dump_options() if form.options else {}
    options = ReadingChoices.merge(own.options if own else {}, sent)
    arguments = {
        "currency": ledger.owner.currency,
        "options": options,
        "profile": form.profile if own is None else None,
    }
    await request.unit.release()
    content = await _read_content(request, form, arguments)
    await request.wait_for_turn()
    if isinstance(content, Contents):
        _refuse_choices(form)
    elif own is not None and content.profile is None:
        content.profile = own.name
    return FileRead(content, ImportOptions.model_validate(options))


async def _read_content(request: StrictRequest, form: ImportForm, arguments: object) -> Reading | Contents:
    seconds = min(SECONDS + SECONDS_PER_MIB * form.file.size / _MIB, MOST_SECONDS)
    limits = ChildLimits(seconds=seconds, answer_bytes=ANSWER_BYTES)
    children = request.services.children
    try:
        async with children.run(READER, form.file.fileno(), arguments, request.turn.key, limits) as values:
            head = await read_head(values)
            if head.get("archive"):
                return await read_contents(read_lines(values))
            return await read_reading(head, values)
    except (UnreadableFile, BadOption) as error:
        raise _explain(error) from None
    except ChildFailed as error:
        detail = {ChildTooSlow: _TOO_SLOW, ChildTooLarge: _TOO_LARGE}.get(type(error), _UNREADABLE)
        raise ImportRefused(errors=[_file_error("out_of_range", detail)]) from None


def _refuse_choices(form: ImportForm) -> None:
    """Raise ValidationFailed if a form says how an archive is to be read."""
    detail = "An archive of this service says all of itself: leave this out."
    sent = [name for name in ("profile", "options", "source") if getattr(form, name) is not None]
    if sent:
        raise ValidationFailed(errors=[field_error(f"/{name}", "not_allowed", detail) for name in sent])


def _explain(error: UnreadableFile | BadOption) -> Problem:
    """Return the problem of a file that was not read."""
    if isinstance(error, BadOption):
        return ValidationFailed(errors=[field_error(f"/options/{error.option}", "not_allowed", error.detail)])
    if isinstance(error, UnsupportedFormat):
        return UnsupportedMediaType(str(error), errors=[_file_error("not_allowed", str(error))])
    if isinstance(error, TooManyEntries):
        return TooMany(str(error), errors=[_file_error("too_long", str(error))])
    return ImportRefused(str(error), errors=[_file_error("malformed", str(error))])


def _file_error(code: str, detail: str) -> FieldError:
    return field_error("/file", code, detail)


ImporterDep = Annotated[Importer, Security(BearerDependency(_open_importer, "write"))]
"""What was read of the uploaded file, and the caller's ledger, locked unless `dry_run` is true."""
