"""A real etcd and kube-apiserver, alone: no controllers, which would take the pods of nodes without kubelets away."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from . import kubeconfig, population
from .api import Api
from .processes import Process, cpu_seconds, free_port
from .programs import Programs
from .proxy import Proxy
from .simulated import Simulated

TOKEN = "bench"
AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


class Real:
    """Serves TLS on loopback; holds what the simulator holds."""

    name = "real"
    can_churn = False

    def __init__(self, programs: Programs, pods: int, scratch: Path, _churn: int = 0):
        self.pods = pods
        self._scratch = scratch
        self._audit = scratch / "audit.log"
        self._authority = scratch / "ca.crt"
        self.port = free_port()
        _certificates(scratch)
        self._etcd = self._start_etcd(programs)
        self._apiserver = self._start_apiserver(programs)
        self.kubeconfig = kubeconfig.write(scratch / "real.kubeconfig", self.url, self._authority, TOKEN)
        self._await_ready()
        source = Simulated(programs, pods, scratch)
        population.copy(source.api(), self.api)
        self.failing = source.failing
        source.end()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def api(self) -> Api:
        return Api(self.port, self._authority, TOKEN)

    def curl(self) -> list:
        return ["--cacert", self._authority, "-H", f"Authorization: Bearer {TOKEN}"]

    def through(self, proxy: Proxy) -> tuple[str, Path]:
        url = f"https://127.0.0.1:{proxy.port}"
        return url, kubeconfig.write(self._scratch / "proxy.kubeconfig", url, self._authority, TOKEN)

    def cpu(self) -> float:
        """Of both: what the one does not answer from memory the other does."""
        return cpu_seconds(self._apiserver.pid) + cpu_seconds(self._etcd.pid)

    def mark(self) -> int:
        return self._audit.stat().st_size

    def requests_since(self, mark: int, _proxy: Proxy) -> int:
        """As the audit log has them: through TLS nobody else sees them."""
        with self._audit.open("rb") as log:
            log.seek(mark)
            events = [json.loads(line) for line in log]
        return len({event["auditID"] for event in events if event["user"].get("username") == TOKEN})

    def end(self) -> None:
        self._apiserver.end()
        self._etcd.end()
        shutil.rmtree(self._scratch / "etcd", ignore_errors=True)

    def _start_etcd(self, programs: Programs) -> Process:
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        return Process([
            programs.etcd, "--name", "bench", "--data-dir", self._scratch / "etcd", "--unsafe-no-fsync",
            "--log-level", "warn", "--quota-backend-bytes", 8 << 30,
            "--listen-client-urls", self._etcd_url, "--advertise-client-urls", self._etcd_url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"bench={peer}",
        ], self._scratch / "etcd.log")

    def _start_apiserver(self, programs: Programs) -> Process:
        scratch = self._scratch
        (scratch / "audit-policy.yaml").write_text(AUDIT)
        (scratch / "tokens.csv").write_text(f'{TOKEN},{TOKEN},1,"system:masters"\n')
        return Process([
            programs.apiserver, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", f"--secure-port={self.port}", f"--etcd-servers={self._etcd_url}",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
            f"--token-auth-file={scratch}/tokens.csv",
            f"--tls-cert-file={scratch}/server.crt", f"--tls-private-key-file={scratch}/server.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={scratch}/accounts.key", f"--service-account-signing-key-file={scratch}/accounts.key",
            # Pods are to be as the simulator has them: no accounts, taints and tolerations added.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds",
            f"--audit-policy-file={scratch}/audit-policy.yaml", f"--audit-log-path={self._audit}",
        ], scratch / "apiserver.log")

    def _await_ready(self) -> None:
        for _ in range(600):
            try:
                self.api().ask("GET", "/readyz")
                self.api().ask("GET", "/api/v1/namespaces/default")
                return
            except (OSError, SystemExit):
                time.sleep(0.1)
        raise SystemExit(f"bench: the API server is not ready; see {self._scratch}/apiserver.log")


def _certificates(scratch: Path) -> None:
    """An authority, a certificate for loopback, and the key that signs service accounts' tokens."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (scratch / "server.ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    for arguments in (
        ["req", "-x509", *curve, "-days", "2", "-subj", "/CN=bench-ca", "-keyout", "ca.key", "-out", "ca.crt",
         "-addext", "keyUsage=critical,keyCertSign"],
        ["req", "-new", *curve, "-subj", "/CN=bench", "-keyout", "server.key", "-out", "server.csr"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-set_serial", "2", "-days", "2",
         "-extfile", "server.ext", "-out", "server.crt"],
        ["genrsa", "-out", "accounts.key", "2048"],
    ):
        subprocess.run(["openssl", *arguments], cwd=scratch, check=True, capture_output=True)
