"""Categories: `names` finds and makes them by name, `categories` is their resource, `merging` deletes and merges."""
