"""What is measured and what serves it: built if it is not there yet."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Programs:
    """Where they are. `etcd`, `apiserver` and `kubectl` are the testbed's."""

    reckon: Path
    serve: Path
    kubectl: Path
    etcd: Path
    apiserver: Path
    informer: Path
    reflector: Path
    python: Path

    def versions(self) -> dict[str, str]:
        """What each of them calls itself."""
        kube = _line(ROOT / "testbed/kube/go.mod", "\tk8s.io/kubernetes ")
        return {
            "reckon": f"{_first(self.reckon, 'version').removeprefix('reckon ')}, commit {_first('git', '-C', ROOT, 'describe', '--always', '--dirty')}",
            "kube-apiserver and kubectl": kube,
            "etcd": _first(self.etcd, "--version").removeprefix("etcd Version: "),
            "client-go": _line(ROOT / "bench/peers/informer/go.mod", "require k8s.io/client-go "),
            "kube (Rust)": _locked(ROOT / "bench/peers/reflector/Cargo.lock", "kube"),
            "kubernetes (Python)": _line(ROOT / "bench/peers/python/requirements.txt", "kubernetes=="),
            "curl": _first("curl", "--version").split(" (")[0].removeprefix("curl "),
            "Go": _first("go", "version").split()[2],
            "Rust": _first("rustc", "--version").split(" (")[0],
        }


# What is not built here.
NEEDED = ["cargo", "curl", "go", "openssl", "rustc", "time"]


def build(ours: bool) -> Programs:
    """Builds with the very scripts that people use; a second time it takes seconds. Ours only if asked to."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise SystemExit(f"bench: not installed: {', '.join(missing)}; as root, make bench installs what Debian has")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    kube = Path(_said([ROOT / "testbed/build"], "programs"))
    peers = Path(_said([ROOT / "bench/peers/build"], "peers"))
    for what in (["-p", "reckon"], ["-p", "reckon-sim", "--example", "serve"]) if ours else ():
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", *what], cwd=ROOT, check=True)
    return Programs(
        reckon=target / "reckon",
        serve=target / "examples/serve",
        kubectl=kube / "kubectl",
        etcd=kube / "etcd",
        apiserver=kube / "kube-apiserver",
        informer=peers / "informer",
        reflector=peers / "reflector",
        python=peers / "python/bin/python3",
    )


def _said(command: list, word: str) -> str:
    """What stands behind this word on a line of its own; everything else is shown as it comes."""
    found = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            first, _, rest = line.strip().partition(" ")
            if first == word:
                found = rest.strip()
            else:
                print(line, end="", flush=True)
    if process.returncode != 0 or not found:
        raise SystemExit(f"bench: {command[0]} failed with {process.returncode}")
    return found


def _first(*command: object) -> str:
    output = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return (output.stdout or output.stderr).partition("\n")[0].strip()


def _line(path: Path, start: str) -> str:
    lines = (line for line in path.read_text().splitlines() if line.startswith(start))
    return next(lines, "").removeprefix(start).split()[0]


def _locked(path: Path, name: str) -> str:
    return path.read_text().split(f'name = "{name}"\nversion = "')[1].split('"')[0]
