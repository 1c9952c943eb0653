"""Lists all pods as a script does: the official client with its defaults."""

import sys

from kubernetes import client, config

config.load_kube_config(config_file=sys.argv[1])
pods = client.CoreV1Api().list_pod_for_all_namespaces()
print(len(pods.items), sum(pod.status.phase != "Running" for pod in pods.items))
