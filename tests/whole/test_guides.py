"""README and the guides, read as a newcomer reads them: every command is pasted, and every answer compared.

Each document is one session of bash, with the service started as README or the guide says: on both databases, except
the guide on backups of the SQLite file.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import httpx
import pytest
from jose import jwt

from tests.support.browser import Browser
from tests.support.reader import (
    ADDRESS,
    DOCUMENTS,
    GUIDES,
    LEFT_OUT,
    PROGRAMS,
    README,
    Block,
    Document,
    Reader,
    Step,
    answer_of,
    as_shown,
    check_out,
)
from tests.support.servers import MySQL, Service, open_or_skip

MYSQL: Final = "mysql+aiomysql://username:password@localhost/expense_tracker"
WIDEST: Final = 100
SECRET: Final = "9b1f7c2e4d8a6035f1b2c3d4e5f607185f0c1d6b8e9a4723"
PASSWORD: Final = "a moth in the relay"
MYSQL_GUIDE: Final = next(guide for guide in GUIDES if guide.path.stem == "mysql")
FRONT_END: Final = next(guide for guide in GUIDES if guide.path.stem == "front-end")
BACKUP_GUIDE: Final = next(guide for guide in GUIDES if guide.path.stem == "backup")
READ: Final = [document for document in DOCUMENTS if document.steps]
READ_ON_MYSQL: Final = [document for document in READ if document is not BACKUP_GUIDE]
MISSING: Final = [program for program in PROGRAMS if not shutil.which(program)]

needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"NO GUIDE WAS TRIED: no {', '.join(MISSING)}")
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path.stem)

Start = Callable[[Path], Reader]


# --- the documents, run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_sqlite() -> Start:
    """Start the service as README says first."""
    block = README.serving[0].partition("cd Expense-Tracker-Backend\n")[2]
    return partial(Reader, block=block, replaced={})


@pytest.fixture(scope="module")
def without_make() -> Start:
    """Start the service as README says for those who have no make; what it installs is there."""
    return partial(Reader, block=README.serving[1].splitlines(keepends=True)[-1], replaced={})


@pytest.fixture(scope="module")
def on_mysql(mysql_server: MySQL) -> Iterator[Start]:
    """Start the service as the guide says, on an empty database."""
    with mysql_server.fresh_database() as url:
        yield partial(Reader, block=MYSQL_GUIDE.serving[0], replaced={MYSQL: url})


@pytest.fixture(scope="module")
def checkout(way: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh checkout, for one way of starting the service."""
    return check_out(tmp_path_factory.mktemp(way))


@pytest.fixture(scope="module")
def way(request: pytest.FixtureRequest) -> str:
    """One way of starting the service, named by the fixture that knows it."""
    return str(request.param)


@pytest.fixture(scope="module")
def reader(way: str, checkout: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """Somebody who has started the service in this way."""
    reader: Reader = request.getfixturevalue(way)(checkout)
    yield reader
    reader.process.kill()


# Only the way is a parameter of the module: the service is started once for each way, not for each document.
@needs_programs
@pytest.mark.parametrize("document", READ, ids=lambda it: it.path.stem)
@pytest.mark.parametrize("way", ["on_sqlite"], indirect=True, scope="module")
def test_the_session_goes_as_it_is_shown(reader: Reader, document: Document) -> None:
    _compare(reader, document)


@needs_programs
@pytest.mark.parametrize("document", READ_ON_MYSQL, ids=lambda it: it.path.stem)
@pytest.mark.parametrize("way", ["on_mysql"], indirect=True, scope="module")
def test_the_session_goes_the_same_way_on_mysql(reader: Reader, document: Document) -> None:
    _compare(reader, document)


@needs_programs
@pytest.mark.parametrize("way", ["without_make"], indirect=True, scope="module")
def test_the_readme_goes_as_it_is_shown_without_make(reader: Reader) -> None:
    _compare(reader, README)


def _compare(reader: Reader, document: Document) -> None:
    ran = [(*answer_of(step, printed), status) for step, printed, status in reader.paste(document)]

    assert [came for came, _, _ in ran] == [shown for _, shown, _ in ran]
    assert {status for _, _, status in ran} == {"0"}


@needs_programs
@pytest.mark.parametrize("way", ["on_sqlite"], indirect=True, scope="module")
def test_a_first_start_keeps_its_secret_to_itself(reader: Reader, checkout: Path) -> None:
    assert reader.process.alive
    assert (checkout / "expense_tracker.key").stat().st_mode & 0o777 == 0o600


# --- what is compared -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shown",
    [
        {"id": 7, "total": "1.00", "created_at": "2026-11-22T13:23:00Z"},
        {"total": "1.00", LEFT_OUT: LEFT_OUT},
        {"id": 7, "total": "1…", "created_at": LEFT_OUT},
    ],
)
def test_what_differs_from_reader_to_reader_is_no_difference(shown: dict[str, object]) -> None:
    came = {"id": 1, "total": "1.00", "created_at": "2026-11-28T20:00:00Z"}

    assert as_shown(came, shown) == shown


@pytest.mark.parametrize(
    "shown",
    [
        {"id": 7, "total": "2.00"},
        {"id": 7},
        {"id": 7, "total": "1.00", "count": 1},
        {"id": 7, "total": "1.00", LEFT_OUT: LEFT_OUT},
        {"id": "7", "total": "1.00"},
        {"id": 7, "total": "2…"},
        {"id": 7, "total": None},
    ],
)
def test_every_other_difference_is_one(shown: dict[str, object]) -> None:
    assert as_shown({"id": 1, "total": "1.00"}, shown) != shown


@pytest.mark.parametrize("shown", [[1, 2], [1, 2, 3, 4], [1, 2, 3, LEFT_OUT], [2, LEFT_OUT]])
def test_a_list_is_compared_to_its_end(shown: list[object]) -> None:
    assert as_shown([1, 2, 3], shown) != shown


def test_commands_without_an_answer_print_nothing() -> None:
    came, shown = answer_of(Step("curl", None), "curl: (7) Failed to connect")

    assert came != shown


def test_an_answer_that_is_no_json_is_a_difference() -> None:
    came, shown = answer_of(Step("curl", Block("json", "{}", follows=True)), "curl: (7) Failed to connect")

    assert came != shown


# --- how they are written ---------------------------------------------------------------------------------------------


@each_document
def test_commands_stand_without_prompts(document: Document) -> None:
    assert re.findall(r"^[$>%#] .*", "".join(step.commands for step in document.steps), re.MULTILINE) == []


def test_every_block_that_starts_the_service_is_one_that_is_run() -> None:
    assert {document.name: len(document.serving) for document in DOCUMENTS if document.serving} == {
        README.name: 2,
        MYSQL_GUIDE.name: 1,
    }


@each_document
def test_no_address_is_a_pattern_for_the_shell(document: Document) -> None:
    # zsh, the shell of macOS, looks for files that match one with a question mark.
    assert re.findall(r"(?<!\")\$API\S*\?\S*", "".join(step.commands for step in document.steps)) == []


@each_document
def test_nobody_scrolls_sideways(document: Document) -> None:
    lines = [line for block in document.blocks for line in block.text.splitlines()]

    assert [line for line in lines if len(line) > WIDEST] == []


@each_document
def test_every_block_has_a_language_and_every_answer_its_commands(document: Document) -> None:
    before = [None, *(block.language for block in document.blocks)]
    alone = [
        block
        for block, last in zip(document.blocks, before, strict=False)
        if (block.language == "json" or block.follows) and (not block.follows or last != "bash")
    ]

    assert document.text.count("\n```") == 2 * len(document.blocks)
    assert alone == []


@pytest.mark.parametrize("document", READ, ids=lambda document: document.path.stem)
def test_the_address_is_named_once_at_the_top(document: Document) -> None:
    commands = "".join(step.commands for step in document.steps)

    assert commands.startswith(f"API={ADDRESS}\n")
    assert commands.count(ADDRESS) == 1


@each_document
def test_every_link_leads_somewhere(document: Document) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.text)
    targets = [((document.path.parent / path) if path else document.path, anchor) for path, anchor in links]

    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path.name, anchor) for path, anchor in targets if anchor and anchor not in _anchors(path)] == []


def _anchors(path: Path) -> list[str]:
    headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_guide_can_be_reached_from_the_readme() -> None:
    assert [guide.name for guide in GUIDES if f"({guide.name}" not in README.text] == []


# --- the client for a page --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The service, with one account."""
    with Service({"SECRET_KEY": SECRET}) as service:
        account = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
        httpx.post(f"{service.url}/users/register", json=account, trust_env=False).raise_for_status()
        yield service


@pytest.fixture(scope="module")
def page(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page, from a server of its own, that has loaded the client of the guide."""
    folder = tmp_path_factory.mktemp("page")
    client = next(block.text for block in FRONT_END.blocks if block.language == "js")
    (folder / "client.js").write_text(client.replace(ADDRESS, service.url))
    (folder / "index.html").write_text(
        '<link rel="icon" href="data:,"><script type="module">'
        "import * as client from './client.js'; window.client = client"
        "</script>"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, if there is one on this machine."""
    with open_or_skip(Browser, "BROWSER") as browser:
        yield browser


@pytest.fixture
def signed_in(browser: Browser, page: str) -> Browser:
    """The page, with grace signed in."""
    browser.open(page)
    browser.look(f"window.client && client.signIn('grace', '{PASSWORD}').then(() => true)")
    return browser


def _call(browser: Browser, arguments: str) -> object:
    return browser.look(f"window.client && client.call({arguments}).then(JSON.stringify, it => it.code)")


def test_the_client_records_an_expense(signed_in: Browser) -> None:
    recorded = str(_call(signed_in, "'POST', '/expenses', {amount: '12.50', category: 'Groceries'}"))

    assert '"amount":"12.50"' in recorded


def test_the_client_throws_the_problem(signed_in: Browser) -> None:
    assert _call(signed_in, "'POST', '/expenses', {amount: '0'}") == "validation_failed"


def test_the_client_stays_signed_in_over_a_reload(signed_in: Browser, page: str) -> None:
    signed_in.open(page)

    assert '"username":"grace"' in str(_call(signed_in, "'GET', '/users/me'"))


def test_the_client_refreshes_a_token_that_has_expired(signed_in: Browser, service: Service) -> None:
    before = signed_in.look("localStorage.getItem('refresh_token')")
    bearer = f"{{Authorization: 'Bearer {_expired(service)}'}}"
    once = f"(url, options) => {{ window.fetch = real; return real(url, {{...options, headers: {bearer}}}) }}"
    signed_in.look(f"(real => (window.fetch = {once}, true))(window.fetch)")

    assert '"username":"grace"' in str(_call(signed_in, "'GET', '/users/me'"))
    assert signed_in.look("localStorage.getItem('refresh_token')") != before


def _expired(service: Service) -> str:
    """Return an access token of an hour ago."""
    form = {"username": "grace", "password": PASSWORD}
    token = httpx.post(f"{service.url}/users/token", data=form, trust_env=False).raise_for_status().json()
    claims = jwt.get_unverified_claims(token["access_token"])
    return str(jwt.encode(claims | {"iat": claims["iat"] - 3600, "exp": claims["exp"] - 3600}, SECRET))


def test_two_calls_of_a_new_page_refresh_one_after_the_other(signed_in: Browser, page: str) -> None:
    signed_in.open(page)
    both = "Promise.all([client.call('GET', '/users/me'), client.call('GET', '/users/me')])"

    assert signed_in.look(f"window.client && {both}.then(it => it.length)") == 2
    assert '"username":"grace"' in str(_call(signed_in, "'GET', '/users/me'"))


def test_the_client_signs_out(signed_in: Browser) -> None:
    signed_in.look("client.signOut().then(() => true)")

    assert _call(signed_in, "'GET', '/users/me'") == "not_authenticated"


def test_the_client_forgets_a_refresh_token_that_is_not_good(signed_in: Browser, page: str) -> None:
    signed_in.look("(localStorage.setItem('refresh_token', 'x'.repeat(43)), true)")
    signed_in.open(page)

    assert _call(signed_in, "'GET', '/users/me'") == "invalid_token"
    assert _call(signed_in, "'GET', '/users/me'") == "not_authenticated"
