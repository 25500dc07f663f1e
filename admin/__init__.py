"""Admin: what an operator does beside the service. Only code in here reads the rows of all owners."""
