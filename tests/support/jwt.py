"""Decodes and encodes the parts of access tokens and cursors."""

import base64
import json
from typing import Any

Claims = dict[str, Any]


def encode_base64url(content: bytes) -> str:
    """Encode bytes in base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> Claims:
    claims: Claims = json.loads(base64.urlsafe_b64decode(part + "=="))
    return claims
