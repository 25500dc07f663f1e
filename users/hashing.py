"""Passwords: which are accepted, and how they are hashed and verified without holding anyone up."""

import asyncio
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Final, TypeVar

from passlib.context import CryptContext
from pydantic import AfterValidator, Field, WithJsonSchema
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from users.fair_queue import FairTurns
from values.field_errors import refusal
from values.fields import MOST_COMPOSED, plain_address, whole_characters
from values.texts import name_key

T = TypeVar("T")

SHORTEST: Final = 8
LONGEST: Final = 128
# Longer than any password that was ever accepted, in whatever form it is typed now.
LONGEST_ATTEMPT: Final = 1024
COMMON_PASSWORDS: Final = 3_000
# Who would wait longer than so many seconds for a hash is told to come again; one of cost 12 takes a quarter of one.
HASH_PATIENCE: Final = 10
HASH_SECONDS: Final = 0.25
HASH_COST: Final = 12
HASH_NICENESS: Final = 10


# --- Which are accepted -----------------------------------------------------------------------------------------------


def normal(password: str) -> str:
    """Return a password as it is hashed, however the keyboard composed it (NFKC, NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", whole_characters(password))


def sized(password: str) -> str:
    """Return a new password as it is hashed, or refuse its length; `check` says which are too easily guessed."""
    kept = normal(password[: LONGEST * MOST_COMPOSED + 1])
    if len(kept) < SHORTEST:
        raise refusal("too_short", f"Send at least {SHORTEST} characters.")
    if len(password) > LONGEST * MOST_COMPOSED or len(kept) > LONGEST:
        raise refusal("too_long", f"Send at most {LONGEST} characters.")
    return kept


def check(password: str, shortest: int, *own_names: str) -> None:
    """Refuse a new password that anyone would try first (NIST SP 800-63B-4 section 3.1.1.2).

    Raises a refusal: shorter than `shortest` characters, one of the 3,000 most common, or one of the user's own names.
    """
    if len(password) < shortest:
        raise refusal("too_short", f"Send at least {shortest} characters.")
    if password.casefold() in _common(shortest):
        raise refusal("not_allowed", "This is one of the most common passwords; choose another.")
    if name_key(plain_address(password)) in map(name_key, own_names):
        raise refusal("not_allowed", "The password must not be your own name or e-mail.")


@cache
def _common(shortest: int) -> frozenset[str]:
    ranked: list[str] = FREQUENCY_LISTS["passwords"]
    return frozenset([word for word in ranked if len(word) >= shortest][:COMMON_PASSWORDS])


NewPassword = Annotated[
    str,
    AfterValidator(sized),
    WithJsonSchema({"type": "string", "format": "password", "minLength": SHORTEST, "maxLength": LONGEST}),
]
GivenPassword = Annotated[
    str,
    Field(max_length=LONGEST_ATTEMPT, json_schema_extra={"format": "password", "minLength": 1}),
    AfterValidator(normal),
]


# --- How they are hashed ----------------------------------------------------------------------------------------------


class Passwords:
    """Hashes and verifies passwords with bcrypt, in threads that give way to requests, as many at once as cores."""

    def __init__(self, rounds: int) -> None:
        # bcrypt_sha256 first: plain bcrypt ends at 72 bytes; it is still read, and hashed anew at the next sign-in.
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        cores = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(cores, "hash", initializer=_be_nice)
        self._turns = FairTurns(cores, most_waiting(cores, rounds))
        self._nobody = self._context.hash(secrets.token_hex(16))

    async def hash(self, password: str, network: str = "") -> str:
        """Return the hash to store, asked for from a network; raise Unavailable where too many wait to be hashed."""
        return await self._in_thread(network, lambda: self._context.hash(normal(password)))

    async def verify(self, password: str, stored: str | None, network: str = "") -> bool:
        """Tell whether the password is right; for an unknown user (None) it takes as long and is always wrong.

        Raises Unavailable where too many wait to be hashed.
        """
        right = await self._in_thread(network, lambda: self._matches(normal(password), stored or self._nobody))
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash is of an older scheme or another cost than today's."""
        return self._context.needs_update(stored)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return bool(self._context.verify(password, stored))
        except ValueError:
            # Plain bcrypt takes neither a NUL nor more than 72 bytes, so such a password cannot be the one it hashed.
            # It takes as long to say so as for anybody else, or it would tell who has such a hash.
            self._context.verify(password, self._nobody)
            return False

    async def _in_thread(self, network: str, work: Callable[[], T]) -> T:
        async with self._turns.turn(network):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def most_waiting(cores: int, rounds: int) -> int:
    """Return how many hashes of this cost may be under way or wait, so that the last has not long to wait."""
    return max(cores, int(cores * HASH_PATIENCE / (HASH_SECONDS * 2 ** (rounds - HASH_COST))))


def _be_nice() -> None:
    # bcrypt lets go of the GIL but not of the core: without this, reads wait behind sign-ins.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASH_NICENESS)
