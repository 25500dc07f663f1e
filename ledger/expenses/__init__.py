"""Expenses: their columns and rows, filters, bulk changes and the trash; `crud.py` at the root has the rest."""
