"""What talks to the outside: database engines and their errors, the check that statements name the owner, the log."""
