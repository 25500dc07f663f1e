"""The HTTP layer: route class, dependencies, request parsing, problems, headers and the OpenAPI document."""
