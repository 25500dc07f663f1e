"""Payees: `names` finds them by name and makes them, `suggestions` lists them for autocompletion."""
