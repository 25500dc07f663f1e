"""Decides what becomes of each row of a file: what the ledger knows is read, and then the pure modules decide.

    1. identities    which rows are known, in their source or as what they name
    2. source        if nobody says which account the file is of, and it lacks rows or is known elsewhere: a question
    3. lines         rows that the caller has linked to an expense
    4. matches       expenses that look like the rows that are left
    5. names         the categories and tags of the new rows

A step leaves alone what an earlier one has decided.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.expenses.references import References
from ledger.tags import names as tag_names
from ledger.transfer import lookups
from ledger.transfer.candidates import load_candidates
from ledger.transfer.categories import CategoryPlan, NameTooLong, load_categories
from ledger.transfer.choices import Choices
from ledger.transfer.identities import (
    KnownRows,
    NamedExpenses,
    identify,
    knows_ids_otherwise,
    lacks_rows,
    list_keys_to_load,
    list_possible_keys,
    settle_repeated,
)
from ledger.transfer.matching import Doubts, Matcher, settle_match, write_numbers
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.readers.entries import Question, RowError
from ledger.transfer.rows import FileRow, KnownRow, choice_error
from ledger.transfer.sources import OWN_EXPORT, UNNAMED, UNNAMED_WORD, is_unstated, list_sources
from ledger.transfer.twins import find_twins, settle_deleted
from ledger.transfer.writing import StatementWriter
from problems import ValidationFailed
from values.field_errors import FieldError
from values.texts import make_name_key

MAX_SOURCES: Final = 20
"""Sources that a question offers."""
MAX_WAYS: Final = 4
"""Ways in which one row may be known: in several formats, and by the bank's id or by its texts."""


async def decide(
    ledger: Ledger, reading: Reading, rows: Sequence[FileRow], choices: Choices
) -> tuple[StatementWriter, list[Question]]:
    """Give each row a status; return what writes them, and the questions that the ledger has."""
    keys = {key async for row in iterate_in_slices(rows) for key in list_keys_to_load(row)}
    found, known = await lookups.load_known(ledger, keys), KnownRows()
    async for it in iterate_in_slices(found):
        known.add(it)
    questions: list[Question] = []
    if is_unstated(reading, choices.source) and await _may_be_another_account(ledger, reading, rows, found):
        questions.append(await _ask_for_source(ledger, rows))
    for is_same in (True, False):
        async for row in iterate_in_slices(rows):
            identify(row, known, choices, is_same=is_same)
    await _settle_named(ledger, rows, choices)
    await _link_chosen(ledger, rows)
    questions += await _settle_matches(ledger, reading, rows, found, choices)
    settle_repeated(rows)
    categories = await load_categories(ledger)
    references = await _load_tags(ledger, rows)
    async for row in iterate_in_slices(rows):
        if row.is_undecided:
            _finish(row, categories)
    return StatementWriter(ledger, categories, references, known), questions


async def _may_be_another_account(
    ledger: Ledger, reading: Reading, rows: Sequence[FileRow], known: Sequence[KnownRow]
) -> bool:
    """Whether another source knows a row of the file, or the unnamed one knows its days otherwise.

    That is so if the file lacks one of the rows of these days, or has an id of the bank with another day or amount.
    """
    if any(it.source not in {UNNAMED, OWN_EXPORT} for it in known) or knows_ids_otherwise(rows, known):
        return True
    days = {row.body.day for row in rows if row.body is not None}
    if not days:
        return False
    in_file = Counter(
        [
            key
            async for draft in iterate_in_slices(reading.drafts)
            for key in list_possible_keys(draft, reading.find_head(draft))
        ]
    )
    # A row may be known in several ways, but if there are more than this, the file lacks some of them.
    most = MAX_WAYS * in_file.total() + 1
    return lacks_rows(in_file, await lookups.load_between(ledger, UNNAMED, min(days), max(days), most))


async def _ask_for_source(ledger: Ledger, rows: Sequence[FileRow]) -> Question:
    for row in rows:
        if row.is_undecided:
            row.settle("open")
    detail = (
        "The file does not say which account it is of, and may be of another one than the last: send a name for it as "
        f"`source`, or `{UNNAMED_WORD}` if it is the account that you have given none."
    )
    return Question("source", list_sources(await lookups.load_sources(ledger, MAX_SOURCES)), detail)


async def _settle_named(ledger: Ledger, rows: Sequence[FileRow], choices: Choices) -> None:
    undecided = [row for row in rows if row.is_undecided]
    own_ids = {row.draft.own_id for row in undecided if row.draft.own_id is not None}
    external_ids = {row.expense.external_id for row in undecided if row.expense.external_id is not None}
    by_id = await lookups.load_own(ledger, own_ids) if own_ids else {}
    by_external_id = await lookups.load_by_external_id(ledger, external_ids) if external_ids else {}
    named = NamedExpenses(by_id, by_external_id)
    async for row in iterate_in_slices(undecided):
        named.settle(row, choices)


async def _link_chosen(ledger: Ledger, rows: Sequence[FileRow]) -> None:
    """Settle the rows that the option `lines` links; raise ValidationFailed if they cannot be that expense."""
    chosen = [row for row in rows if isinstance(row.choice, int) and row.status != "open"]
    if not chosen:
        return
    live = await lookups.load_live_ids(ledger, {row.choice for row in chosen if isinstance(row.choice, int)})
    claimed = _list_claimed(rows)
    errors: list[FieldError] = []
    for row in chosen:
        if row.status == "existing" and row.expense_id == row.choice:
            continue
        if row.choice not in live:
            errors.append(choice_error(row.draft.number, "not_found", "You have no such expense."))
        elif row.status == "existing":
            errors.append(choice_error(row.draft.number, "not_allowed", "This row is another expense already."))
        elif row.choice in claimed:
            errors.append(choice_error(row.draft.number, "not_allowed", "Another row is this expense."))
        else:
            row.settle("linked", None, int(row.choice))
            claimed.add(int(row.choice))
    if errors:
        raise ValidationFailed(errors=errors)


def _list_claimed(rows: Sequence[FileRow]) -> set[int]:
    """Return the expenses, also deleted ones, that rows of the file are."""
    known = {row.known.expense_id for row in rows if row.known is not None and row.known.expense_id is not None}
    return known | {row.expense_id for row in rows if row.expense_id is not None}


async def _settle_matches(
    ledger: Ledger, reading: Reading, rows: Sequence[FileRow], known: Sequence[KnownRow], choices: Choices
) -> list[Question]:
    undecided = [row for row in rows if row.is_undecided and row.choice is None]
    if not undecided:
        return []
    claimed = _list_claimed(rows)
    twins = find_twins(undecided, known, claimed)
    settle_deleted(undecided, twins, choices)
    undecided = [row for row in undecided if row.is_undecided]
    if not undecided:
        return []
    for row in undecided:
        if row.before is not None and row.before not in claimed:
            twins.live.setdefault(row.key, []).append(row.before)
    claimed.update(*twins.live.values())
    with_deleted = choices.deleted == "keep"
    candidates = await load_candidates(ledger, undecided, claimed, reading, with_deleted=with_deleted)
    matcher, doubts = Matcher(twins.live), Doubts()
    async for candidate in iterate_in_slices(candidates):
        matcher.add_expense(candidate)
    near = [row async for row in iterate_in_slices(undecided) if matcher.may_match(row)]
    async for row in iterate_in_slices(near):
        matcher.add_row(row)
    async for row in iterate_in_slices(near):
        settle_match(row, matcher, choices.on_match, doubts)
    return list(_ask_about(doubts))


def _ask_about(doubts: Doubts) -> list[Question]:
    questions = []
    if doubts.on_match:
        detail = (
            f"Rows {write_numbers(doubts.on_match)} look like expenses that were imported for the same account in "
            "another way, or deleted since: link them (a deleted one stays deleted), skip them, or report them and "
            "import them all the same."
        )
        questions.append(Question("on_match", ["report", "link", "skip"], detail))
    if doubts.lines:
        detail = (
            f"Rows {write_numbers(doubts.lines)} match several expenses, or share one with other rows: say for each "
            "row whether it is new, is skipped, or which expense it is."
        )
        questions.append(Question("lines", ["new", "skip"], detail))
    return questions


async def _load_tags(ledger: Ledger, rows: Sequence[FileRow]) -> References:
    keys = {
        make_name_key(name) async for row in iterate_in_slices(rows) if row.is_undecided for name in row.expense.tags
    }
    tags = await tag_names.find_tags(ledger, keys)
    remaining = await tag_names.count_remaining(ledger) if keys - tags.keys() else 0
    return References(ledger, {}, 0, tags, remaining)


def _finish(row: FileRow, categories: CategoryPlan) -> None:
    """Settle a row as new, with the stored name of its category."""
    body = row.expense
    if body.category is not None:
        try:
            row.category = categories.find(body.category, body.parent, f"/rows/{row.draft.number}/category")
        except NameTooLong as error:
            row.refuse([RowError("category", "too_long", str(error))])
            return
    row.settle("new")
