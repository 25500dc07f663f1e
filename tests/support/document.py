"""The OpenAPI document of the app: its schemas by name, its operations by operationId."""

from typing import Any, Final

from config import Settings
from main import create_app

Node = dict[str, Any]
DOCUMENT: Final = create_app(Settings(_env_file=None)).openapi()
SCHEMAS: Final[Node] = DOCUMENT["components"]["schemas"]
OPERATIONS: Final[dict[str, Node]] = {
    operation["operationId"]: operation | {"method": method.upper(), "path": path}
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
