"""Decodes the parts of access tokens."""

import base64
import json
from typing import Any

Claims = dict[str, Any]


def decoded(part: str) -> Claims:
    claims: Claims = json.loads(base64.urlsafe_b64decode(part + "=="))
    return claims
