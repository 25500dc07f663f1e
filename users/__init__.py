"""Who uses the service: accounts, sessions, personal tokens, password hashing, and the limits of sign-in attempts."""
