"""Budgets: limits of spending per period, and how much of them is used."""
