"""Pure values: money, periods, texts, field types. No input or output, no clock, nothing of ours imported."""
