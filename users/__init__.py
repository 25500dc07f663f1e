"""Who: accounts, sign-ins and sessions, personal tokens, and how attempts to sign in are counted and slowed."""
