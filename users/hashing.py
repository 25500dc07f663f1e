"""Passwords are hashed and verified here, in threads, without delaying other requests."""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from passlib.context import CryptContext

from users.fair_queue import FairQueue
from values.passwords import normalize_password

T = TypeVar("T")

# Who would wait longer than so many seconds for a hash is told to come again; one of cost 12 takes a quarter of one.
MAX_WAIT_SECONDS: Final = 10
SECONDS_PER_HASH: Final = 0.25
REFERENCE_COST: Final = 12
HASH_NICENESS: Final = 10


# --- Which are accepted -----------------------------------------------------------------------------------------------


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
