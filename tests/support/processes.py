"""Users of a service that runs as a process."""

import secrets

import httpx

from tests.support.servers import Service

PASSWORD = "a walk along the sea"


async def sign_up(service: Service) -> httpx.AsyncClient:
    """Register and sign in a new user; return an HTTP client that sends the token."""
    name = f"user-{secrets.token_hex(6)}"
    client = httpx.AsyncClient(base_url=service.url, timeout=20, trust_env=False)
    form = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await client.post("/users/register", json=form)).status_code == 201
    token = await client.post("/users/token", data={"username": name, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
    return client
