"""What stands on the servers beside healthy pods: workloads that fail, Events of both sorts; and the copy for the real one."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .api import Api

# What is copied, in an order in which owners come first.
COPIED = [
    "/api/v1/namespaces", "/api/v1/nodes", "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/api/v1/pods",
    "/api/v1/events",
]
WITH_STATUS = {"namespaces", "nodes", "deployments", "replicasets", "pods"}
# One Event that says nothing is wrong for so many pods.
PODS_PER_EVENT = 10
MOMENT = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Fault:
    """A way to fail, as a kubelet or the scheduler would write it."""

    name: str
    waiting: tuple[str, str] | None
    event: tuple[str, str]
    killed: bool = False


FAULTS = [
    Fault("leaky", ("CrashLoopBackOff", "back-off 5m0s restarting failed container=app"),
          ("BackOff", "Back-off restarting failed container app"), killed=True),
    Fault("untagged", ("ImagePullBackOff", 'Back-off pulling image "registry.example/untagged:9.9"'),
          ("Failed", 'Failed to pull image "registry.example/untagged:9.9": not found')),
    Fault("unset", ("CreateContainerConfigError", 'configmap "unset-settings" not found'),
          ("Failed", 'Error: configmap "unset-settings" not found')),
    Fault("greedy", None,
          ("FailedScheduling", "0/100 nodes are available: 100 Insufficient cpu. preemption: not helpful for scheduling.")),
]
# Workloads of each fault.
EACH = 5


def fail(api: Api) -> int:
    """Makes workloads that fail, each with one pod. How many they are."""
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "failing"}}, may_fail=True)
    node = api.ask("GET", "/api/v1/nodes?limit=1")["items"][0]["metadata"]["name"]
    for fault, i in itertools.product(FAULTS, range(EACH)):
        _fail_one(api, fault, f"{fault.name}-{i}", node)
    return len(FAULTS) * EACH


def _fail_one(api: Api, fault: Fault, name: str, node: str) -> None:
    labels = {"app": name}
    requests = {"cpu": "200"} if fault.waiting is None else {"cpu": "100m", "memory": "64Mi"}
    container = {
        "name": "app", "image": f"registry.example/{fault.name}:9.9",
        "resources": {"requests": requests, "limits": {"memory": "64Mi"}},
    }
    if fault.name == "unset":
        container["env"] = [{"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "unset-settings", "key": "a"}}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    counts = {"replicas": 1, "observedGeneration": 1, "unavailableReplicas": 1}
    deployment = _make(api, "/apis/apps/v1", "deployments", {
        "metadata": {"name": name, "namespace": "failing", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        "status": counts,
    })
    replica_set = _make(api, "/apis/apps/v1", "replicasets", {
        "metadata": {"name": f"{name}-5c", "namespace": "failing", "labels": labels,
                     "ownerReferences": [_owner("Deployment", deployment)]},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 1, "observedGeneration": 1},
    })
    spec = {**template["spec"], **({} if fault.waiting is None else {"nodeName": node})}
    pod = _make(api, "/api/v1", "pods", {
        "metadata": {"name": f"{name}-5c-x", "namespace": "failing", "labels": labels,
                     "ownerReferences": [_owner("ReplicaSet", replica_set)]},
        "spec": spec, "status": _status(fault, container["image"]),
    })
    about = {"apiVersion": "v1", "kind": "Pod", "namespace": "failing", "name": f"{name}-5c-x", "uid": pod["metadata"]["uid"]}
    _event(api, f"{name}.1", about, "Warning", *fault.event)


def _status(fault: Fault, image: str) -> dict:
    if fault.waiting is None:
        unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": fault.event[1]}
        return {"phase": "Pending", "conditions": [{**unscheduled, "lastTransitionTime": MOMENT}]}
    reason, message = fault.waiting
    state = {"name": "app", "image": image, "imageID": "", "ready": False, "started": False, "restartCount": 0,
             "state": {"waiting": {"reason": reason, "message": message}}}
    if fault.killed:
        state |= {"restartCount": 9, "lastState": {"terminated": {
            "reason": "OOMKilled", "exitCode": 137, "startedAt": MOMENT, "finishedAt": "2026-01-01T00:01:00Z"}}}
    conditions = [{"type": name, "status": status, "lastTransitionTime": MOMENT}
                  for name, status in (("PodScheduled", "True"), ("Initialized", "True"), ("Ready", "False"))]
    phase = "Running" if fault.killed else "Pending"
    return {"phase": phase, "startTime": MOMENT, "conditions": conditions, "containerStatuses": [state]}


def remark(api: Api, pods: int) -> None:
    """Events of pods that are well: what stands between a reader of Events and what is wrong. They are all about the first
    pods, so that not all have to be read for it."""
    for pod in itertools.islice(api.all("/api/v1/pods"), pods // PODS_PER_EVENT):
        meta = pod["metadata"]
        about = {"apiVersion": "v1", "kind": "Pod", **{key: meta[key] for key in ("namespace", "name", "uid")}}
        _event(api, f"{meta['name']}.1", about, "Normal", "Pulled", "Container image already present on machine")


def _event(api: Api, name: str, about: dict, kind: str, reason: str, message: str) -> None:
    api.ask("POST", f"/api/v1/namespaces/{about['namespace']}/events", {
        "metadata": {"name": name, "namespace": about["namespace"]}, "involvedObject": about, "type": kind,
        "reason": reason, "message": message, "count": 1, "firstTimestamp": MOMENT, "lastTimestamp": MOMENT,
        "source": {"component": "bench"},
    })


def _owner(kind: str, owner: dict) -> dict:
    return {"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}


def _make(api: Api, group: str, plural: str, wanted: dict) -> dict:
    """Creates an object, and gives it its status: a server takes none with what is new."""
    namespace = wanted["metadata"].get("namespace")
    path = f"{group}/namespaces/{namespace}/{plural}" if namespace else f"{group}/{plural}"
    made = api.ask("POST", path, wanted, may_fail=plural == "namespaces")
    status = wanted.get("status")
    if made and status and plural in WITH_STATUS and plural != "namespaces":
        made["status"] = status
        made = api.ask("PUT", f"{path}/{made['metadata']['name']}/status", made)
    return made


def copy(source: Api, connect: Callable[[], Api], threads: int = 4) -> None:
    """Makes the objects of one server on another, which gives them names of its own for their UIDs."""
    uids: dict[str, str] = {}
    for path in COPIED:
        group, _, plural = path.rpartition("/")
        with ThreadPoolExecutor(threads) as pool:
            lanes = [_Lane(connect(), group, plural, uids) for _ in range(threads)]
            list(pool.map(lambda part: part[0].run(part[1]), zip(lanes, _dealt(source.all(path), threads))))


def _dealt(objects: Iterator[dict], hands: int) -> list[list[dict]]:
    dealt: list[list[dict]] = [[] for _ in range(hands)]
    for hand, one in zip(itertools.cycle(dealt), objects):
        hand.append(one)
    return dealt


@dataclass
class _Lane:
    """One connection's share of a kind."""

    api: Api
    group: str
    plural: str
    uids: dict[str, str]

    def run(self, objects: list[dict]) -> None:
        for wanted in objects:
            meta = wanted["metadata"]
            before = meta.pop("uid")
            for key in ("resourceVersion", "managedFields", "selfLink", "generateName"):
                meta.pop(key, None)
            for owner in meta.get("ownerReferences", []):
                owner["uid"] = self.uids[owner["uid"]]
            if self.plural == "nodes":
                _unreachable(wanted)
            if self.plural == "events":
                about = wanted["involvedObject"]
                about["uid"] = self.uids.get(about.get("uid", ""), "")
            made = _make(self.api, self.group, self.plural, wanted)
            if made:
                self.uids[before] = made["metadata"]["uid"]


def _unreachable(node: dict) -> None:
    """There are no kubelets: what asks one for a log is refused at once, on this machine."""
    node["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
    node["status"]["daemonEndpoints"] = {"kubeletEndpoint": {"Port": 1}}
