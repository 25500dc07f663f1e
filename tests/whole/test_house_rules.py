"""The house rules of CONTRIBUTING.md, as tests."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import pytest

from config import VERSION, Settings
from tests.support.servers import ROOT

# What each package, and each module of the root, may import of ours; docs/decisions/0028 says why.
VALUES: Final = {"values"}
INFRA: Final = VALUES | {"infra", "config"}
MODELS: Final = INFRA | {"database", "models", "problems"}
LEDGER: Final = (MODELS | {"auth", "schemas", "ledger"}) - {"config"}
USERS: Final = (LEDGER - {"ledger"}) | {"config", "crud", "users"}
API: Final = LEDGER | USERS | {"api"}
MAY_IMPORT: Final = {
    "config": VALUES,
    "values": VALUES,
    "infra": INFRA,
    "problems": VALUES,
    "schemas": VALUES,
    "database": INFRA,
    "models": INFRA | {"database"},
    "auth": MODELS,
    "ledger": LEDGER,
    "crud": LEDGER,
    "users": USERS,
    "api": API,
    "migrations": MODELS | {"migrations"},
    "routers": API | {"routers", "migrations"},
    "main": API | {"routers", "migrations"},
    "admin": USERS | {"ledger", "migrations", "admin"},
    "commands": USERS | {"admin"},
}
# Inside the ledger, a folder imports from those before it.
FOLDERS: Final = [
    *("ledger", "ledger.categories", "ledger.payees", "ledger.tags"),
    *("ledger.expenses", "ledger.reports", "ledger.budgets", "ledger.sync"),
    *("ledger.transfer.readers", "ledger.transfer"),
]
CRUD_LINES: Final = 300
ROUTER_LINES: Final = 200
BINARY: Final = {".png", ".ico"}
CONFIGURATION: Final = ROOT / "docs" / "guides" / "configuration.md"
SETTINGS: Final = {name.upper(): field.default for name, field in Settings.model_fields.items()}


def _tracked() -> list[Path]:
    # With what is new and not ignored, so that a rule is held before the commit and not after it.
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


FILES: Final = _tracked()
MODULES: Final = [path for path in FILES if path.suffix == ".py"]
ROOT_MODULES: Final = [path for path in MODULES if path.parent == ROOT]
PACKAGES: Final = {"values", "infra", "users", "ledger", "api", "admin"}
PACKAGED: Final = [path for path in MODULES if path.relative_to(ROOT).parts[0] in PACKAGES and path.stem != "__init__"]
OURS: Final = [*ROOT_MODULES, *PACKAGED]
ROUTERS: Final = [path for path in MODULES if path.parent == ROOT / "routers"]
DECISIONS: Final = [path for path in FILES if path.parent == ROOT / "docs" / "decisions"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _package(name: str) -> str:
    """Return the package of a module; a module of the root is its own."""
    return name.partition(".")[0]


def _folder(name: str) -> str:
    """Return the folder of a module of the ledger."""
    return max((folder for folder in FOLDERS if f"{name}.".startswith(f"{folder}.")), key=len)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(_parse(path)) if isinstance(node, Function))


def _lines(function: Function) -> int:
    """Return how many lines a function has below its signature and docstring."""
    documented = ast.get_docstring(function) is not None
    body = function.body[1:] if documented else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _texts() -> Iterator[tuple[str, str]]:
    return ((_name(path), path.read_text(encoding="utf-8")) for path in FILES if path.suffix not in BINARY)


# --- modules ----------------------------------------------------------------------------------------------------------


def test_the_root_holds_nine_modules_and_the_packages_the_rest() -> None:
    assert {path.stem for path in ROOT_MODULES} == {
        *("main", "config", "commands", "database", "models", "schemas", "crud", "auth", "problems"),
    }
    assert {_package(_module(path)) for path in MODULES} - {path.stem for path in ROOT_MODULES} == {
        *(PACKAGES | {"routers", "migrations", "benchmarks", "faults", "tests"}),
    }


@pytest.mark.parametrize("path", [it for it in MODULES if _package(_module(it)) in MAY_IMPORT], ids=_name)
def test_a_package_imports_what_it_may(path: Path) -> None:
    packages = {_package(name) for name in _imports(path)} & MAY_IMPORT.keys()

    assert packages - MAY_IMPORT[_package(_module(path))] - {_package(_module(path))} == set()


@pytest.mark.parametrize("path", [it for it in MODULES if _package(_module(it)) == "ledger"], ids=_name)
def test_the_ledger_imports_downwards(path: Path) -> None:
    below = FOLDERS[: FOLDERS.index(_folder(_module(path))) + 1]
    imported = {_folder(name) for name in _imports(path) if _package(name) == "ledger"}

    assert imported - set(below) == set()


@pytest.mark.parametrize(
    "path", [it for it in MODULES if _package(_module(it)) in {"tests", "benchmarks", "faults"}], ids=_name
)
def test_tests_share_what_lies_in_support_alone(path: Path) -> None:
    shared = [name for name in _imports(path) if _package(name) == "tests"]

    assert [name for name in shared if not name.startswith("tests.support.")] == []


def test_the_pure_values_read_no_clock() -> None:
    clocks = re.compile(r"datetime\.now|date\.today|time\.time|from database|utcnow")

    assert [_name(it) for it in PACKAGED if _package(_module(it)) == "values" and clocks.search(it.read_text())] == []


@pytest.mark.parametrize("path", ROOT_MODULES, ids=_name)
def test_no_module_takes_a_name_of_the_standard_library(path: Path) -> None:
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", ROOT_MODULES, ids=_name)
def test_every_module_of_the_root_has_its_tests(path: Path) -> None:
    assert (ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")).is_file()


def test_there_is_no_room_for_odds_and_ends() -> None:
    odd = re.compile(r"utils?|helpers?|common|misc|base", re.IGNORECASE)

    assert [_name(path) for path in FILES if odd.fullmatch(path.stem)] == []


def test_only_the_database_commits_and_only_the_edge_and_the_commands_ask_it_to() -> None:
    commits = {
        (_name(path), ast.unparse(node.func.value))
        for path in MODULES
        if path in {*OURS, *ROUTERS}
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    }

    assert commits == {
        ("database.py", "connection"),
        ("database.py", "unit"),
        ("infra/connection_pool.py", "self._find_holder()"),
        ("api/route.py", "unit"),
        ("admin/accounts.py", "unit"),
    }


@pytest.mark.parametrize("path", ROUTERS, ids=_name)
def test_a_router_holds_no_sql(path: Path) -> None:
    assert [name for name in _imports(path) if name.split(".")[0] == "sqlalchemy"] == []


@pytest.mark.parametrize("path", ROUTERS, ids=_name)
def test_a_router_raises_no_http_exception(path: Path) -> None:
    assert "HTTPException" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ROUTERS, ids=_name)
def test_a_router_keeps_its_size(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= ROUTER_LINES


def test_crud_keeps_its_size() -> None:
    assert (ROOT / "crud.py").read_text(encoding="utf-8").count("\n") <= CRUD_LINES


# --- functions --------------------------------------------------------------------------------------------------------


def test_functions_are_short() -> None:
    lines = [_lines(function) for path in [*OURS, *ROUTERS] for function in _functions(path)]

    assert median(lines) <= 8
    assert quantiles(lines, n=10)[-1] <= 25


@pytest.mark.parametrize("path", [*OURS, *ROUTERS], ids=_name)
def test_every_public_function_has_a_docstring(path: Path) -> None:
    public = [it for it in _outer(_parse(path).body) if not it.name.startswith("_")]

    assert [it.name for it in public if not ast.get_docstring(it)] == []


def _outer(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _outer(node.body)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_to_do() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")

    assert [name for name, text in _texts() if mark.search(text)] == []


def test_no_text_names_a_folder_of_somebodys_machine() -> None:
    own = re.compile(r"(?<![\w.~}])/(home|root|Users|work|mnt|media)/\w")

    assert [(name, found.group()) for name, text in _texts() if (found := own.search(text))] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_sections(path: Path) -> None:
    sections = re.findall(r"^## (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert sections == ["Context", "Decision", "Consequences", "Alternatives"]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_fits_on_a_page(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 50


def test_the_decisions_are_numbered_without_a_gap() -> None:
    assert sorted(int(path.name[:4]) for path in DECISIONS) == list(range(1, len(DECISIONS) + 1))


def test_every_test_that_the_security_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))

    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_stands_in_the_example_with_its_default(name: str) -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()

    assert f"#{name}={_written(SETTINGS[name])}" in lines


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_stands_in_the_guide_with_its_default(name: str) -> None:
    default = _written(SETTINGS[name])

    assert f"| `{name}` | {default and f'`{default}`'}".rstrip() in CONFIGURATION.read_text(encoding="utf-8")


def test_no_page_lists_a_setting_that_is_gone() -> None:
    listed = re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(listed) == set(rows) == set(SETTINGS)


def test_the_readme_names_a_setting_with_the_default_that_it_has() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) ?\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert rows
    assert [(name, default) for name, default in rows if default.strip("`") != _written(SETTINGS[name])] == []


def test_the_example_sets_nothing_by_itself() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def _written(default: object) -> str:
    return "" if default in (None, ()) else str(default).lower() if isinstance(default, bool) else str(default)


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == VERSION
