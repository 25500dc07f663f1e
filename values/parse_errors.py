"""The error of a parser; it is apart from field errors, because processes that read files start without pydantic."""

from typing import ClassVar


class ParseError(ValueError):
    """This value cannot be used."""

    code: ClassVar[str] = "malformed"

    def __init__(self, detail: str | None = None) -> None:
        """Take the sentence for the client; the default is the class's docstring."""
        super().__init__(detail or self.__doc__)
