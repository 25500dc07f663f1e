"""How HTTP is spoken: the route class, dependencies, strict requests, problems, headers and the OpenAPI document."""
