"""FastAPI without its layers around the routes; `EdgeMiddleware` (api/middleware.py) does what is needed of them.

    left out                        why
    ServerErrorMiddleware           EdgeMiddleware answers unexpected exceptions, with a problem
    ExceptionMiddleware             and expected ones
    ExceptionTelemetryMiddleware    the log has the errors; the service has no telemetry
    AppBodyLimitMiddleware          `StrictRequest.read_body` limits bodies, with a problem
    AsyncExitStackMiddleware        there are no uploads, whose files it would close

Each costs every request a few microseconds, and again whenever the request waits for something (decision 46).
"""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class Application(FastAPI):
    """An application with the given middleware, and no other, around its routes."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the router within the middleware, of which the first is the outermost."""
        app: ASGIApp = self.router
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the application."""
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)
