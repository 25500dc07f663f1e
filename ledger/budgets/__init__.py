"""Budgets: how much may be spent in a period, and how it stands."""
