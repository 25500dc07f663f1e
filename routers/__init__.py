"""The operations of the API, one module per noun; the docstrings of the endpoints are the API's documentation."""
