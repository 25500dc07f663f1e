"""What is wrong with a setting, in a sentence that names the variable and repeats nothing of its value."""

from typing import Final

from pydantic_core import ErrorDetails

# What a value must be, by the type of pydantic's error.
_VALUE_RULES: Final = {
    "int_parsing": "write a whole number, like 15",
    "float_parsing": "write a number, like 2.5",
    "bool_parsing": "write true or false",
    "literal_error": "write {expected}",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number of at least {ge}",
    "less_than_equal": "write a number of at most {le}",
}


def describe_setting_error(error: ErrorDetails) -> str:
    """Return the sentence for one of pydantic's errors."""
    variable = ".".join(map(str, error["loc"])).upper()
    message = error["msg"].removeprefix("Value error, ")
    if message.startswith(variable):
        return message
    # The library's own sentences speak to programmers, and some quote the value.
    rule = _VALUE_RULES.get(error["type"], "this value cannot be read").format(**error.get("ctx", {}))
    return f"{variable}: {rule}"
