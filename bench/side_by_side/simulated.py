"""The simulated API server: any number of pods, and changes of them at a rate."""

from pathlib import Path

from . import kubeconfig, population
from .api import Api
from .processes import Process, cpu_seconds
from .programs import Programs
from .proxy import Proxy


class Simulated:
    """Serves plain HTTP; nothing is compressed."""

    name = "sim"
    can_churn = True
    # With fewer it has controllers, which would put right what is to be wrong.
    least = 1001

    def __init__(self, programs: Programs, pods: int, scratch: Path, churn: int = 0):
        self.pods = pods
        self._scratch = scratch
        self._rate = churn
        # As many pods on a node as in a large cluster.
        nodes = max(3, pods // 100)
        command = [programs.serve, "--pods", pods, "--nodes", nodes, "--port", 0]
        self._process = Process(command, scratch / "sim.log")
        _, found = self._process.await_line(r"http://127\.0\.0\.1:(\d+)", 300)
        self.port = int(found[1])
        self.kubeconfig = kubeconfig.write(scratch / "sim.kubeconfig", self.url)
        self.failing = population.fail(self.api())
        population.remark(self.api(), pods)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self) -> Api:
        return Api(self.port)

    def curl(self) -> list:
        """Arguments that every curl needs to be let in."""
        return []

    def through(self, proxy: Proxy) -> tuple[str, Path]:
        """The address and the kubeconfig of the way through a proxy."""
        url = f"http://127.0.0.1:{proxy.port}"
        return url, kubeconfig.write(self._scratch / "proxy.kubeconfig", url)

    def cpu(self) -> float:
        return cpu_seconds(self._process.pid)

    def mark(self) -> int:
        return 0

    def requests_since(self, _mark: int, proxy: Proxy) -> int:
        return proxy.requests

    def churn(self, on: bool) -> None:
        self._process.say(str(self._rate if on else 0))

    def end(self) -> None:
        self._process.end()
