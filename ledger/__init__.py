"""What one user owns, behind `core.Ledger`: a new noun is a folder here, with a `schemas.py` of its own."""
