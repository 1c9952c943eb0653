"""Small requests to either server: for making and copying objects, never for measuring."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path


class Api:
    """One connection that is kept."""

    def __init__(self, port: int, authority: Path | None = None, token: str = ""):
        if authority:
            context = ssl.create_default_context(cafile=str(authority))
            self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        else:
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: object = None, may_fail: bool = False) -> dict:
        text = None if body is None else json.dumps(body)
        try:
            answer = self._send(method, path, text)
        except ConnectionError:
            # Servers close connections on which nothing was said for a while; what only reads may be asked again.
            self._connection.close()
            if method != "GET":
                raise
            answer = self._send(method, path, text)
        content = answer.read()
        if answer.status >= 400 and not may_fail:
            raise SystemExit(f"bench: {method} {path}: {answer.status} {content[:500]!r}")
        return {} if answer.status >= 400 or not content.startswith(b"{") else json.loads(content)

    def _send(self, method: str, path: str, text: str | None) -> http.client.HTTPResponse:
        self._connection.request(method, path, text, self._headers)
        return self._connection.getresponse()

    def all(self, path: str) -> Iterator[dict]:
        """Every object of a list, in pages."""
        token = ""
        while True:
            page = self.ask("GET", f"{path}?limit=500&continue={token}")
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return
