"""Fuzzing: schemathesis sends generated requests to all operations of the document, signed in, with all its checks.

Run as a program, on an SQLite file and on a private MariaDB: python -m tests.support.fuzzing --examples 200 --seed 1
"""

import argparse
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from tests.support.servers import ROOT, UNLIMITED, Service, inherited, open_mysql

HERE: Final = Path(__file__).resolve().parent
EXAMPLES: Final = 50
"""Default number of generated requests per operation."""
# Unlike the password of the document's examples: a request made of an example cannot delete the account that sends it.
PASSWORD: Final = "a path through the dunes"
NAMES: Final = ("owner", "stranger")


def fuzz(database_url: str, examples: int, seed: int) -> bool:
    """Start the service on an empty database, send it generated requests, and return whether there are findings."""
    # All requests come from one address, hundreds of registrations and wrong passwords among them.
    unlimited = {name.upper(): str(limit) for name, limit in UNLIMITED.items()}
    environment = {"DATABASE_URL": database_url, "AUTO_MIGRATE": "true"} | unlimited
    with Service(environment) as service, TemporaryDirectory() as folder:
        accounts = Path(folder) / "accounts.json"
        accounts.write_text(json.dumps(_accounts(service.url)))
        own = {"FUZZ_ACCOUNTS": str(accounts), "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py")}
        command = [*_command(service.url), f"--max-examples={examples}", f"--seed={seed}"]
        environment = inherited() | own | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode != 0


def _command(url: str) -> list[str]:
    config = str(HERE / "schemathesis.toml")
    return [sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", f"{url}/openapi.json"]


def _accounts(url: str) -> dict[str, Any]:
    """Register two users, and return how schemathesis signs them in (Web Fuzzing Commons, authentication)."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        for name in NAMES:
            account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
            client.post("/users/register", json=account).raise_for_status()
    sign_in = {
        "verb": "POST",
        "endpoint": "/users/token",
        "contentType": "application/x-www-form-urlencoded",
        "payloadUserPwd": {"usernameField": "username", "passwordField": "password", "password": PASSWORD},
        "token": {
            "extractFrom": "body",
            "extractSelector": "/access_token",
            "sendIn": "header",
            "sendName": "Authorization",
            "sendTemplate": "Bearer {token}",
        },
    }
    people = [{"name": name, "loginEndpointAuth": {"payloadUserPwd": {"username": name}}} for name in NAMES]
    return {"authTemplate": {"loginEndpointAuth": sign_in}, "auth": people}


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{folder}/expenses.db"
    else:
        with open_mysql() as server, server.fresh_database() as url:
            yield url


def main() -> int:
    """Fuzz on both databases, and return the number of databases with findings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--database", action="append", choices=("sqlite", "mysql"))
    options = parser.parse_args()
    findings = 0
    for kind in options.database or ("sqlite", "mysql"):
        sys.stdout.write(f"\n{kind}: again with make fuzz examples={options.examples} seed={options.seed}\n\n")
        sys.stdout.flush()
        with _database(kind) as url:
            findings += fuzz(url, options.examples, options.seed)
    return findings


if __name__ == "__main__":
    sys.exit(main())
