"""What the figures were measured on."""

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path


def describe() -> dict:
    """Processor, memory, system; and how busy it was before, as others' work is in every absolute figure."""
    processors = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": processors[0] if processors else platform.machine(),
        "cores": os.cpu_count(),
        "memoryGiB": round(memory / 2**20),
        "kernel": platform.release(),
        "system": system,
        "loadBefore": round(os.getloadavg()[0], 2),
    }
