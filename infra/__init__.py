"""What talks to the outside: engines and their errors, statements, the owner check, column types, keys, log, port."""
