"""One command from its start to its end."""

import os
import subprocess
import time
from pathlib import Path


def once(command: list, environment: dict[str, str], scratch: Path) -> dict[str, float]:
    """Wall time, processor time and peak memory, children included.

    The peak is what `time` reports: a process begins with the peak of the one that it was forked from, and `time` is
    smaller than anything measured here, which Python is not.
    """
    peak, errors = scratch / "peak", scratch / "errors"
    timed = ["time", "-f", "%M", "-o", peak, *command]
    began = time.perf_counter()
    with errors.open("wb") as said:
        process = subprocess.Popen(
            [str(word) for word in timed], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env=environment,
        )
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last = errors.read_text(errors="replace")[-2000:]
        raise SystemExit(f"bench: {' '.join(map(str, command))} ended with {process.returncode}:\n{last}")
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": int(peak.read_text().split()[-1]) / 1024}
