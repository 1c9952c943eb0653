"""What the page says follows from the figures: `python3 -m unittest discover -s bench -t bench`."""

import socket
import threading
import time
import unittest

from . import report
from .proxy import Proxy


def contender(name: str, who: str, walls: list[float]) -> dict:
    runs = [{"wall": wall, "cpu": 1.0, "peak": 10.0, "server": 0.0} for wall in walls]
    return {"name": name, "who": who, "received": 2_000_000, "requests": 3, "runs": runs}


class Report(unittest.TestCase):
    def test_a_figure_is_its_median_its_range_and_how_many_times_ours(self):
        scenario = {"contenders": [contender("theirs", "theirs", [4, 8, 6]), contender("ours", "ours", [2, 1, 3])]}
        head, rows = report.table({"pods": 1000}, scenario)
        self.assertEqual(head[1], "Wall, s")
        self.assertEqual(rows[0][1], "6.00 (4.00–8.00) **3.00×**")
        self.assertEqual(rows[1][1], "2.00 (1.00–3.00)")
        self.assertEqual(rows[0][-2:], ["2.0", "3"])

    def test_what_cost_nothing_is_no_measure(self):
        scenario = {"contenders": [contender("theirs", "theirs", [4]), contender("ours", "ours", [2])]}
        _, rows = report.table({"pods": 1000}, scenario)
        self.assertEqual(rows[0][4], "0.00")


class Relay(unittest.TestCase):
    def test_bytes_and_requests_are_counted(self):
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, args=(server,), daemon=True).start()
        proxy = Proxy(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            for _ in range(2):
                client.sendall(b"GET /api HTTP/1.1\r\nhost: x\r\n\r\n")
                got = b""
                while len(got) < 100_000:
                    got += client.recv(1 << 16)
        end = time.monotonic() + 10
        while proxy.received < 200_000 and time.monotonic() < end:
            time.sleep(0.01)
        proxy.close()
        server.close()
        self.assertEqual((proxy.received, proxy.requests), (200_000, 2))

    @staticmethod
    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        for _ in range(2):
            connection.recv(1 << 16)
            connection.sendall(b"x" * 100_000)


if __name__ == "__main__":
    unittest.main()
