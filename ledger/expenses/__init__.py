"""Expenses: rows, filters, bulk changes and the trash; `crud.py` at the root creates, reads and changes single ones."""
