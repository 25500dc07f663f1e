"""What talks to the outside: database engines and their faults, the rule that statements name their owner, the log."""
