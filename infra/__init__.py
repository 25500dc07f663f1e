"""What talks to the outside: engines and their errors, statements, owner check, column types, keys and the log."""
