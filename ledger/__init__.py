"""What one user owns, reached through `core.Ledger`. A new noun is a folder here with a `schemas.py` of its own."""
