"""Turns: every contender once, then again, each time another one first, so that none has the quiet half of the day."""

import os
import time
from pathlib import Path

from .measure import once
from .processes import Process, memory_mib, cpu_seconds
from .programs import Programs
from .proxy import Proxy
from .scenarios import Contender, Scenario, Way

# How long a follower gets to its first line; the slowest peer needs minutes for 100,000 pods.
PATIENCE = 900


class Rounds:
    """Measures on one server."""

    def __init__(self, server, programs: Programs, scratch: Path, seconds: int):
        self._server = server
        self._programs = programs
        self._scratch = scratch
        # How long is waited for what is at rest, and under change.
        self._seconds = seconds
        self._straight = Way(programs, server.url, server.kubeconfig, server.curl())

    def run(self, scenarios: list[Scenario], runs: int) -> list[dict]:
        measured = [self._prepared(scenario) for scenario in scenarios]
        for turn in range(runs):
            for scenario, result in zip(scenarios, measured):
                contenders = list(zip(self._contenders(scenario), result["contenders"]))
                first = turn % len(contenders)
                for contender, entry in contenders[first:] + contenders[:first]:
                    figures = self._measure(scenario, contender)
                    entry["runs"].append(figures)
                    shown = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
                    print(f"  {turn + 1}/{runs}  {contender.name}: {shown}", flush=True)
        return measured

    def _contenders(self, scenario: Scenario) -> list[Contender]:
        return [one for one in scenario.contenders if one.at_most is None or self._server.pods <= one.at_most]

    def _prepared(self, scenario: Scenario) -> dict:
        """Each contender once through the proxy, which also fills the caches that kubectl keeps on disk."""
        entries = []
        for contender in self._contenders(scenario):
            proxy = Proxy(self._server.port)
            url, kubeconfig = self._server.through(proxy)
            way = Way(self._programs, url, kubeconfig, self._server.curl())
            mark = self._server.mark()
            if scenario.follows:
                follower = self._start(contender, way)
                follower.await_line(scenario.ready, PATIENCE)
                follower.end()
            else:
                once(contender.command(way), self._environment(kubeconfig), self._scratch)
            entries.append({
                "name": contender.name, "who": contender.who, "received": proxy.received,
                "requests": self._server.requests_since(mark, proxy), "runs": [],
            })
            proxy.close()
            print(f"  counted  {contender.name}: {proxy.received / 1e6:.1f} MB, {entries[-1]['requests']} requests", flush=True)
        out = [one for one in scenario.contenders if one not in self._contenders(scenario)]
        left_out = [{"name": one.name, "because": one.because} for one in out]
        return {"name": scenario.name, "title": scenario.title, "contenders": entries, "leftOut": left_out}

    def _measure(self, scenario: Scenario, contender: Contender) -> dict[str, float]:
        before = self._server.cpu()
        if scenario.follows:
            return self._follow(scenario, contender)
        command = contender.command(self._straight)
        figures = once(command, self._environment(self._server.kubeconfig), self._scratch)
        return figures | {"server": self._server.cpu() - before}

    def _follow(self, scenario: Scenario, contender: Contender) -> dict[str, float]:
        before = self._server.cpu()
        follower = self._start(contender, self._straight)
        synced, _ = follower.await_line(scenario.ready, PATIENCE)
        figures = {"wall": synced, "cpu": cpu_seconds(follower.pid), "server": self._server.cpu() - before}
        # Lists are over; what was only needed for them is given back, or not.
        time.sleep(min(5, self._seconds))
        figures["resident"] = memory_mib(follower.pid, "VmRSS")
        figures["idle"] = self._share(follower)
        if self._server.can_churn:
            self._server.churn(True)
            figures["churn"] = self._share(follower)
            self._server.churn(False)
            figures["after"] = memory_mib(follower.pid, "VmRSS")
        figures["peak"] = memory_mib(follower.pid, "VmHWM")
        follower.end()
        return figures

    def _share(self, follower: Process) -> float:
        """Percent of a core, over some time."""
        before, began = cpu_seconds(follower.pid), time.perf_counter()
        time.sleep(self._seconds)
        return 100 * (cpu_seconds(follower.pid) - before) / (time.perf_counter() - began)

    def _start(self, contender: Contender, way: Way) -> Process:
        log = self._scratch / "follower.log"
        return Process(contender.command(way), log, self._environment(way.kubeconfig))

    def _environment(self, kubeconfig: Path) -> dict[str, str]:
        # A home of its own: whatever a program keeps there is of this run.
        home = self._scratch / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {"HOME": str(home), "KUBECONFIG": str(kubeconfig)}
