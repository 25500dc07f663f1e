"""A pytest plugin for the output of `make test`: one line per package, then the reasons for skipped tests.

    values       1357 passed in 53.7 s
    api          2 failed, 1064 passed in 33.7 s
    ----------------- skipped -----------------
    566 skipped: NOTHING WAS TESTED WITH MYSQL: mariadbd or mysqld is not installed …

pytest prints failures and the last line as usual. With `-v` the plugin is off.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable

import pytest

Status = tuple[str, str, str]

ROOT = "whole suite"
"""The name in the output for test modules that are in no package of tests/."""


class CalmReporter:
    """Counts the outcomes of each package; it runs in the process that prints, not in xdist's workers."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal
        self._awaited: set[str] = set()
        self._left: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the tests of each package, if they run in this process."""
        self._await(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """Count them as a worker of xdist reports them; each worker collects all tests."""
        self._await(ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        """Print no letter for a test, but keep the category in which pytest counts it."""
        category, _, word = yield
        return category, "", word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test, and print the line of its package after its last test."""
        package = _package(report.nodeid)
        self._seconds[package] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[package][report.outcome] += 1
        if report.when == "teardown":
            self._left[package] -= 1
            if not self._left[package]:
                self._print(package)

    def pytest_terminal_summary(self) -> None:
        """Print each reason for skipping once, with the number of tests."""
        reasons = Counter(_reason(report) for report in self._terminal.getreports("skipped"))
        if reasons:
            self._terminal.section("skipped", sep="-", yellow=True)
        for reason, times in reasons.most_common():
            self._terminal.line(f"{times} skipped: {reason}", yellow=True)

    def _await(self, ids: Iterable[str]) -> None:
        new = set(ids) - self._awaited
        self._awaited |= new
        self._left.update(map(_package, new))

    def _print(self, package: str) -> None:
        outcomes = self._outcomes[package]
        counts = ", ".join(f"{times} {outcome}" for outcome, times in sorted(outcomes.items(), reverse=True))
        colour = {"red": True} if outcomes["failed"] else {"green": True}
        self._terminal.write_line(f"{package:<12} {counts} in {self._seconds[package]:.1f} s", **colour)


def _package(nodeid: str) -> str:
    """Return the name of a test's first folder below tests/, or ROOT."""
    folders = nodeid.partition("::")[0].split("/")[1:-1]
    return folders[0] if folders else ROOT


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the plugin, unless `-v` is given; an xdist worker has no terminal and prints nothing."""
    plugins = session.config.pluginmanager
    terminal: pytest.TerminalReporter | None = plugins.get_plugin("terminalreporter")
    if terminal is not None and session.config.get_verbosity() <= 0:
        terminal.showfspath = False
        plugins.register(CalmReporter(terminal), "calm reporter")
