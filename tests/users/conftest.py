"""Fixtures of the tests of accounts."""

import bcrypt
import pytest


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is hashed from now on."""
    hashes: list[bytes] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        hashes.append(password)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    return hashes
