"""Pure values: money, periods, texts, field types. No input or output, no clock, no import of another package."""
