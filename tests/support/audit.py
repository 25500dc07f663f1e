"""Compares the locked dependencies with the known vulnerabilities, as `make audit` does, with pip-audit.

Fails for a vulnerability that nobody has argued about, and for an exception that nothing needs any more. Where the
service that knows them cannot be asked, that is said loudly, and fails only with AUDIT=required: a mirror of the
package index often serves no such answers, and pip-audit by itself then ends with "No known vulnerabilities found".
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support.servers import ROOT

# Each with the decision that argues why it cannot harm here.
EXCEPTIONS: Final[Mapping[str, str]] = {"GHSA-wj6h-64fc-37mp": "docs/decisions/0002"}
_LOCK: Final = "requirements-dev.txt"  # it holds what is in requirements.txt as well
_OPTIONS: Final = ("--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off")
_UNREACHED: Final = (
    "\n*** NOTHING WAS AUDITED: nobody who knows the vulnerabilities of the locked packages could be asked ({}). ***\n"
)

Report = Mapping[str, Any]


class Unreached(Exception):
    """The service that knows the vulnerabilities does not answer; the message says how that was noticed."""


def ask(lock: str, *options: str) -> Report:
    """Return what pip-audit says of a lock, as parsed JSON; raise Unreached if it cannot ask."""
    command = [sys.executable, "-m", "pip_audit", *_OPTIONS, f"--requirement={lock}", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        report: Report = json.loads(ended.stdout)
    except ValueError:
        raise Unreached(f"pip-audit ended with {ended.returncode}: {_find_last_line(ended.stderr)}") from None
    if all("skip_reason" in package for package in report["dependencies"]):
        raise Unreached("it knows none of the packages, as a mirror without such answers")
    return report


def _find_last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def judge(report: Report, exceptions: Mapping[str, str] = EXCEPTIONS) -> list[str]:
    """Return a sentence for each vulnerability, each package that was not found, and each exception without need."""
    sentences, needed = list[str](), set[str]()
    for package in report["dependencies"]:
        if "skip_reason" in package:
            sentences.append(f"{package['name']} was not audited: {package['skip_reason']}.")
        for found in package.get("vulns", []):
            ids = {found["id"], *found["aliases"]}
            needed |= ids & exceptions.keys()
            if not ids & exceptions.keys():
                fixed = f"fixed in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "not fixed yet"
                sentences.append(f"{package['name']} {package['version']} has {', '.join(sorted(ids))} ({fixed}).")
    return sentences + [
        f"{exceptions[it]} argues an exception for {it}, which nothing needs any more: remove it."
        for it in sorted(exceptions.keys() - needed)
    ]


def main(options: Sequence[str], *, is_required: bool) -> int:
    """Audit the lock, print what was found, and return the exit code."""
    try:
        sentences = judge(ask(_LOCK, *options))
    except Unreached as error:
        print(_UNREACHED.format(error), file=sys.stderr)  # noqa: T201  # a command prints
        return int(is_required)
    for sentence in sentences or [f"Audited {_LOCK}: nothing is known but {', '.join(EXCEPTIONS)}."]:
        print(sentence, file=sys.stderr)  # noqa: T201  # a command prints
    return int(bool(sentences))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], is_required=os.environ.get("AUDIT") == "required"))
