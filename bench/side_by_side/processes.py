"""Processes that serve or follow, and what the kernel says they used."""

import atexit
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    """User and system time so far, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int, what: str) -> float:
    """`VmRSS` is what is resident, `VmHWM` the most that ever was."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) / 1024


# What runs. Whatever ends the driver, nothing of it stays behind.
_RUNNING: set["Process"] = set()


@atexit.register
def _end_all() -> None:
    for process in list(_RUNNING):
        process.end()


class Process:
    """A process that goes on until it is ended. Its output is read all the time, so that it never waits for us."""

    def __init__(self, command: list, log: Path, environment: dict[str, str] | None = None):
        self.began = time.perf_counter()
        self._name = str(command[0])
        self._log = log
        with log.open("wb") as errors:
            self._popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=environment, text=True, bufsize=1,
            )
        self.pid = self._popen.pid
        _RUNNING.add(self)
        self._lines: list[tuple[float, str]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._popen.stdout:
            with self._news:
                self._lines.append((time.perf_counter(), line.rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def await_line(self, pattern: str, seconds: float) -> tuple[float, re.Match]:
        """The first line that matches, and how long after the start it came."""
        end = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for at, line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return at - self.began, match
                seen = len(self._lines)
                if self._popen.poll() is not None and not self._reader.is_alive():
                    raise SystemExit(f"bench: {self._name} ended with {self._popen.returncode}; see {self._log}")
                if not self._news.wait(max(0.0, min(1.0, end - time.monotonic()))) and time.monotonic() > end:
                    raise SystemExit(f"bench: {self._name} did not say {pattern!r} within {seconds} s; see {self._log}")

    def say(self, line: str) -> None:
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def end(self) -> None:
        """All of them end when they are interrupted."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGINT)
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        _RUNNING.discard(self)
