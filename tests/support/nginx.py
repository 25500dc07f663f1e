"""A real nginx as a proxy of the service, below a path and with compressed JSON, as in many installations."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from tests.support.servers import Process, find_program, free_port, inherited, is_served

CONFIGURATION: Final = """\
daemon off;
master_process off;
pid nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    gzip on;
    gzip_min_length 20;
    gzip_types application/json application/problem+json;
    server {{
        listen 127.0.0.1:{port};
        location = /nginx {{ return 200; }}
        location {path}/ {{ proxy_pass http://127.0.0.1:{upstream}{replacement}; }}
    }}
}}
"""


class Nginx:
    """Runs an nginx that passes requests below `path` to the port `upstream`.

    If it `strips`, it removes `path` from the path of each request.
    """

    def __init__(self, upstream: int, path: str, *, strips: bool) -> None:
        program = find_program("nginx")
        self._folder = TemporaryDirectory(prefix="expenses-nginx-", ignore_cleanup_errors=True)
        folder, self._port = Path(self._folder.name), free_port()
        self.url = f"http://127.0.0.1:{self._port}{path}"
        text = CONFIGURATION.format(port=self._port, path=path, upstream=upstream, replacement="/" if strips else "")
        (folder / "nginx.conf").write_text(text)
        options = ["-p", f"{folder}{os.sep}", "-c", "nginx.conf", "-e", "stderr"]
        self._process = Process([program, *options], folder, inherited())
        try:
            self._process.wait_until(self._answers)
        except BaseException:
            self.close()
            raise

    @property
    def host(self) -> str:
        """The host and port of nginx."""
        return f"127.0.0.1:{self._port}"

    def close(self) -> None:
        """Stop nginx and delete its folder."""
        self._process.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Return the proxy, which has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop nginx."""
        self.close()

    def _answers(self) -> bool:
        return is_served(self._port, "/nginx")
