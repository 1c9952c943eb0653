"""How programs are told where the server is."""

import base64
from pathlib import Path


def write(path: Path, url: str, authority: Path | None = None, token: str = "") -> Path:
    """One cluster and one user, everything inside."""
    trust = ""
    if authority:
        trust = f", certificate-authority-data: {base64.b64encode(authority.read_bytes()).decode()}"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
        f'clusters: [{{name: bench, cluster: {{server: "{url}"{trust}}}}}]\n'
        f"users: [{{name: bench, user: {{{f'token: {token}' if token else ''}}}}}]\n"
        "contexts: [{name: bench, context: {cluster: bench, user: bench, namespace: default}}]\n"
    )
    path.chmod(0o600)
    return path
