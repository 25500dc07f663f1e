"""The OpenAPI document of the app: its schemas by name, its operations by operationId."""

from typing import Any, Final

import main

Node = dict[str, Any]
DOCUMENT: Final = main.app.openapi()
SCHEMAS: Final[Node] = DOCUMENT["components"]["schemas"]
OPERATIONS_BY_ID: Final[dict[str, Node]] = {
    operation["operationId"]: operation | {"method": method.upper(), "path": path}
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
