"""Why a database is not migrated or not used. The docstring of a class is the sentence that the operator reads.

    SchemaError
    ├── NewerSchema
    ├── MigrationLocked
    └── MigrationTakenOver

They need no module of ours, so that each module of this package may raise them.
"""


class SchemaError(Exception):
    """The database is empty, or has another schema than this code: run `make migrate`."""

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.__doc__)


class NewerSchema(SchemaError):
    """The database is newer than this code: deploy the newer code."""


class MigrationLocked(SchemaError):
    """Another process has been migrating this database for a minute: wait until it is done, and start again."""


class MigrationTakenOver(SchemaError):
    """Another process has taken over the migration, because this one stood still: wait for it, and start again."""
