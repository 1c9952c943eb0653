"""A relay on loopback that counts what goes through it, in a run of its own: in timed runs it would cost time."""

import re
import socket
import threading

REQUEST = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE) /\S* HTTP/1\.1\r\n")


class Proxy:
    """Counts bytes both ways; requests only where the bytes are plain HTTP/1.1."""

    def __init__(self, port: int):
        self.received = 0
        self.requests = 0
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for one, other, count in ((client, server, self._sent), (server, client, self._received)):
                threading.Thread(target=self._relay, args=(one, other, count), daemon=True).start()

    @staticmethod
    def _relay(one: socket.socket, other: socket.socket, count) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            while size := one.recv_into(buffer):
                count(buffer[:size])
                other.sendall(buffer[:size])
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _sent(self, data: memoryview) -> None:
        # The head of a request is small and comes in one piece.
        found = len(REQUEST.findall(data))
        with self._lock:
            self.requests += found

    def _received(self, data: memoryview) -> None:
        with self._lock:
            self.received += len(data)
