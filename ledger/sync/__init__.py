"""Keeping a copy in step: many changes in one request, and the feed of what changed."""
