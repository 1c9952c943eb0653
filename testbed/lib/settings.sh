# Names, addresses and places; sourced first by every command.
TESTBED=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${RECKON_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reckon-testbed}

# There is one cluster at a time on a machine, whoever started it from whichever checkout: RUN is the same for all.
# RUN/state is a link to the state directory, RUN/kubeconfig and RUN/audit.log to what tests want.
RUN=/run/reckon-testbed
# Not below /run and /var/lib: nodes have their own of these two.
STATE=$CACHE/state
[ ! -L "$RUN/state" ] || STATE=$(readlink "$RUN/state")
KUBECONFIG=$STATE/kubeconfig
export KUBECONFIG

NET=10.77.0     # the bridge is NET.1, node i is NET.1i
PODS=10.244     # node i has PODS.i.0/24
SERVICES=10.96.0
BRIDGE=reckon0
REGISTRY=registry.test:5000

CGROUPS=/sys/fs/cgroup
GROUP=reckon-testbed # the group of all our processes, in each hierarchy
HIERARCHIES="cpu cpuacct cpuset memory pids devices freezer blkio hugetlb systemd unified"

# Distinct exit codes of up.
EXIT_RUNNING=3 # a cluster runs already
EXIT_BUSY=4    # another up or down is at work
