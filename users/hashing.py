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

from users.fair_queue import FairQueue
from values.field_errors import invalid_value
from values.fields import MAX_CODE_POINTS_COMPOSED, normalize_email, refuse_surrogates
from values.texts import make_name_key

T = TypeVar("T")

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
# Longer than any password that was ever accepted, in whatever form it is typed now.
MAX_ATTEMPT_LENGTH: Final = 1024
COMMON_PASSWORD_COUNT: Final = 3_000
# Who would wait longer than so many seconds for a hash is told to come again; one of cost 12 takes a quarter of one.
MAX_WAIT_SECONDS: Final = 10
SECONDS_PER_HASH: Final = 0.25
REFERENCE_COST: Final = 12
HASH_NICENESS: Final = 10


# --- Which are accepted -----------------------------------------------------------------------------------------------


def normalize_password(password: str) -> str:
    """Return a password as it is hashed, however the keyboard composed it (NFKC, NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", refuse_surrogates(password))


def check_length(password: str) -> str:
    """Return a new password as it is hashed, or refuse its length; `check` says which are too easily guessed."""
    kept = normalize_password(password[: MAX_LENGTH * MAX_CODE_POINTS_COMPOSED + 1])
    if len(kept) < MIN_LENGTH:
        raise invalid_value("too_short", f"Send at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH * MAX_CODE_POINTS_COMPOSED or len(kept) > MAX_LENGTH:
        raise invalid_value("too_long", f"Send at most {MAX_LENGTH} characters.")
    return kept


def refuse_guessable(password: str, shortest: int, *own_names: str) -> None:
    """Refuse a new password that anyone would try first (NIST SP 800-63B-4 section 3.1.1.2).

    Raises a refusal: shorter than `shortest` characters, one of the 3,000 most common, or one of the user's own names.
    """
    if len(password) < shortest:
        raise invalid_value("too_short", f"Send at least {shortest} characters.")
    if password.casefold() in _load_common(shortest):
        raise invalid_value("not_allowed", "This is one of the most common passwords; choose another.")
    if make_name_key(normalize_email(password)) in map(make_name_key, own_names):
        raise invalid_value("not_allowed", "The password must not be your own name or e-mail.")


@cache
def _load_common(shortest: int) -> frozenset[str]:
    ranked: list[str] = FREQUENCY_LISTS["passwords"]
    return frozenset([word for word in ranked if len(word) >= shortest][:COMMON_PASSWORD_COUNT])


NewPassword = Annotated[
    str,
    AfterValidator(check_length),
    WithJsonSchema({"type": "string", "format": "password", "minLength": MIN_LENGTH, "maxLength": MAX_LENGTH}),
]
EnteredPassword = Annotated[
    str,
    Field(max_length=MAX_ATTEMPT_LENGTH, json_schema_extra={"format": "password", "minLength": 1}),
    AfterValidator(normalize_password),
]


# --- How they are hashed ----------------------------------------------------------------------------------------------


class PasswordHasher:
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
        self._threads = ThreadPoolExecutor(cores, "hash", initializer=_lower_priority)
        self._turns = FairQueue(cores, compute_capacity(cores, rounds))
        self._nobody = self._context.hash(secrets.token_hex(16))

    async def hash(self, password: str, network: str = "") -> str:
        """Return the hash to store, asked for from a network; raise Unavailable where too many wait to be hashed."""
        return await self._in_thread(network, lambda: self._context.hash(normalize_password(password)))

    async def verify(self, password: str, stored: str | None, network: str = "") -> bool:
        """Tell whether the password is right; for an unknown user (None) it takes as long and is always wrong.

        Raises Unavailable where too many wait to be hashed.
        """
        right = await self._in_thread(
            network, lambda: self._matches(normalize_password(password), stored or self._nobody)
        )
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
        async with self._turns.wait_for_turn(network):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def compute_capacity(cores: int, rounds: int) -> int:
    """Return how many hashes of this cost may be under way or wait, so that the last has not long to wait."""
    return max(cores, int(cores * MAX_WAIT_SECONDS / (SECONDS_PER_HASH * 2 ** (rounds - REFERENCE_COST))))


def _lower_priority() -> None:
    # bcrypt lets go of the GIL but not of the core: without this, reads wait behind sign-ins.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASH_NICENESS)
