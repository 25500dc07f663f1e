"""Tags: `sets` has those that expenses have together, `names` finds and makes tags, `tags` is their resource."""
