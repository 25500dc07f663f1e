"""Synchronization: many changes in one request (batch), and the feed of changes for clients with a copy."""
