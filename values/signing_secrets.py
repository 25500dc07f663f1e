"""Secrets that sign tokens: which of them could be guessed."""

from typing import Final

SECRET_BYTES: Final = 32
SAMPLE_SECRETS: Final = frozenset(
    {
        # The one in FastAPI's tutorial, which many services have copied.
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "0123456789abcdef0123456789abcdef",
        # The command itself, pasted instead of its output.
        "openssl rand -hex 32",
        "your-256-bit-secret-your-256-bit-secret",
        # Parts of placeholders.
        "changeme",
        "change-me",
        "change-in-production",
        "supersecret",
        "your-secret-key",
        "abcdefghijklmnopqrstuvwxyz",
    }
)


def is_guessable(secret: str) -> bool:
    """Whether a secret is short, repetitive or well known."""
    is_short = len(secret.encode()) < SECRET_BYTES or len(set(secret)) < 8  # noqa: PLR2004
    # A string that repeats a part of itself occurs in the middle of its own double.
    is_repeated = secret in (secret * 2)[1:-1]
    return is_short or is_repeated or any(sample in secret.lower() for sample in SAMPLE_SECRETS)
