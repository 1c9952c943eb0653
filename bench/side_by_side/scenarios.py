"""What is compared with what. Each contender is a command that a person or a program would run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .programs import ROOT, Programs

OURS, THEIRS, FLOOR = "ours", "theirs", "floor"

# Every kind that ours reads (reckon_detect::kinds), so that the floor reads as much.
LISTS = [
    *(f"/api/v1/{plural}" for plural in (
        "namespaces", "nodes", "pods", "replicationcontrollers", "services", "configmaps", "secrets", "serviceaccounts",
        "persistentvolumeclaims", "persistentvolumes", "events")),
    *(f"/apis/apps/v1/{plural}" for plural in (
        "deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions")),
    "/apis/batch/v1/jobs", "/apis/batch/v1/cronjobs", "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/storage.k8s.io/v1/storageclasses", "/apis/autoscaling/v2/horizontalpodautoscalers",
]


@dataclass(frozen=True)
class Way:
    """How a contender gets to the server: straight, or through the proxy that counts."""

    programs: Programs
    url: str
    kubeconfig: Path
    curl: list


@dataclass(frozen=True)
class Contender:
    name: str
    who: str
    command: Callable[[Way], list]
    # With more pods than this it is left out, and the report says why.
    at_most: int | None = None
    because: str = ""


@dataclass(frozen=True)
class Scenario:
    """Contenders that give, or hold, the same. Those of one that follows say a line once they are in sync."""

    name: str
    title: str
    contenders: list[Contender]
    follows: bool = False
    # The line that ends the wait, by contender; what ours says is its first verdict.
    ready: str = r"^synced (\d+)|failing/"


def _kubectl(*arguments: str) -> Callable[[Way], list]:
    return lambda way: [way.programs.kubectl, *arguments]


def _reckon(*arguments: str) -> Callable[[Way], list]:
    return lambda way: [way.programs.reckon, *arguments]


# A curl that calls itself curl is answered in lines and indents for a person: more than twice the bytes.
CURL = ["-fsS", "-A", "bench"]


def _curl(*paths: str) -> Callable[[Way], list]:
    return lambda way: ["curl", *CURL, *way.curl, *(f"{way.url}{path}" for path in paths)]


def _pages(way: Way) -> list:
    return [ROOT / "bench/peers/pages", way.url, *CURL, *way.curl]


def _python(way: Way) -> list:
    return [way.programs.python, ROOT / "bench/peers/python/list.py", way.kubeconfig]


SCENARIOS = [
    Scenario("list", "List everything", [
        Contender("curl: list of pods, whole", FLOOR, _curl("/api/v1/pods")),
        Contender("curl: list of pods, pages of 500", FLOOR, _pages),
        Contender("curl: lists of all 21 kinds", FLOOR, _curl(*LISTS)),
        Contender("kubectl get pods -A", THEIRS, _kubectl("get", "pods", "-A")),
        Contender("Python client: list of pods", THEIRS, _python, 20_000, "takes minutes and more memory than there is"),
        Contender("reckon problems -A", OURS, _reckon("problems", "-A")),
    ]),
    Scenario("machine", "Output for a program", [
        Contender("kubectl get pods -A -o json", THEIRS, _kubectl("get", "pods", "-A", "-o", "json"), 20_000,
                  "needs about 200 kB of memory for each pod"),
        Contender("reckon problems -A -o json", OURS, _reckon("problems", "-A", "-o", "json")),
    ]),
    Scenario("wrong", "What is wrong?", [
        Contender("kubectl: events, pods, describe", THEIRS,
                  lambda way: [ROOT / "bench/peers/what-is-wrong", way.programs.kubectl]),
        Contender("reckon problems -A", OURS, _reckon("problems", "-A")),
    ]),
    Scenario("follow", "Stay in sync", [
        Contender("client-go informer (pods)", THEIRS, lambda way: [way.programs.informer, "-kubeconfig", way.kubeconfig]),
        Contender("kube-rs reflector (pods)", THEIRS, lambda way: [way.programs.reflector]),
        Contender("reckon problems --watch -A", OURS, _reckon("problems", "--watch", "-A")),
    ], follows=True),
]
