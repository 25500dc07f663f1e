"""Files: a bank's statement or another application's export in, and everything out."""
