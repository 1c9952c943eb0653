# A node: its own network, mount and host-name namespaces, in which containerd, kubelet and kube-proxy run with their
# usual paths. What it mounts and every link, route and rule of it goes away with the last process in the namespaces.
in_node() {
    local node=$1
    shift
    nsenter -t "$(pid_of "$node")" -m -n -u -- "$@"
}
enter_of() { echo "nsenter -t $(pid_of "$1") -m -n -u --"; }

# make_node I COUNT
make_node() {
    local i=$1 node=n$1 dir=$STATE/n$1 ip=$NET.1$1 other
    mkdir -p "$dir"/{lib/kubelet,lib/containerd,lib/cni,log,mnt,cni,registries}
    make_group "$node/daemons"
    # No search domain, one name server that answers at once: a wrong image name fails in milliseconds.
    echo "nameserver $NET.1" >"$dir/resolv.conf"
    printf '127.0.0.1 localhost\n%s registry.test\n%s %s\n' "$NET.1" "$ip" "$node" >"$dir/hosts"
    launch "$node/daemons" "$node" unshare --net --mount --uts --propagation private -- /bin/sh -euc "
        hostname $node
        mount --bind $dir/lib /var/lib
        mount --bind $dir/log /var/log
        mount --bind $dir/mnt /mnt
        mount --bind $dir/resolv.conf /etc/resolv.conf
        mount --bind $dir/hosts /etc/hosts
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir /run/netns
        mount --make-rshared /
        touch $dir/made
        exec sleep infinity"
    await 5 "namespaces of $node" test -e "$dir/made"
    ip link add "reckon-$node" type veth peer name eth0 netns "$(pid_of "$node")"
    ip link set "reckon-$node" master $BRIDGE up
    ip route add "$PODS.$i.0/24" via "$ip"
    in_node "$node" /bin/sh -euc "
        ip link set lo up
        ip addr add $ip/24 dev eth0
        ip link set eth0 up
        ip route add unreachable default
        sysctl -qw net.ipv4.ip_forward=1"
    for ((other = 1; other <= $2; other++)); do
        [ "$other" = "$i" ] || in_node "$node" ip route add "$PODS.$other.0/24" via "$NET.1$other"
    done
}

start_containerd() {
    local i=$1 node=n$1 dir=$STATE/n$1 host
    cat >"$dir/cni/10-testbed.conflist" <<EOF
{"cniVersion":"0.4.0","name":"testbed","plugins":[
 {"type":"bridge","bridge":"cni0","isDefaultGateway":true,"hairpinMode":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"$PODS.$i.0/24"}]]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
EOF
    for host in $REGISTRY $NET.1:5000; do # plain HTTP must be said
        mkdir -p "$dir/registries/$host"
        printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$host" "$host" >"$dir/registries/$host/hosts.toml"
    done
    # restrict_oom_score_adj: lowering a score needs a capability that a machine may not give its root.
    # The path of "opt" keeps containerd from making /opt/containerd on the machine.
    cat >"$dir/containerd.toml" <<EOF
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "reckon.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/registries"
EOF
    # shellcheck disable=SC2046 # words on purpose
    launch "$node/daemons" "$node-containerd" $(enter_of "$node") containerd -c "$dir/containerd.toml"
}
import_images() {
    local node=$1 image
    await 10 "containerd of $node" in_node "$node" test -S /run/containerd/containerd.sock
    await 10 "containerd of $node" in_node "$node" ctr -n k8s.io images ls
    for image in "$IMAGES"/*.tar; do
        in_node "$node" ctr -n k8s.io images import "$image" >>"$STATE/log/$node-import.log" 2>&1
    done
}

# kubelet_timing: the lines that --stock leaves out
kubelet_timing() {
    [ "$STOCK" = 0 ] || return 0
    # The lease is renewed each 2 s, so that the shorter grace period of the controller manager is kept (default 40: 10 s).
    echo "nodeLeaseDurationSeconds: 8"
    echo "nodeStatusUpdateFrequency: 2s"
    echo "nodeStatusReportFrequency: 30s"
    # Pressure conditions go away after 10 s instead of 5 min.
    echo "evictionPressureTransitionPeriod: 10s"
    # A slow pull does not hold up the others.
    echo "serializeImagePulls: false"
    # Crash-loop back-off ends at 20 s instead of 5 min: more restarts, sooner.
    echo "crashLoopBackOff: {maxContainerRestartPeriod: 20s}"
}
start_kubelet() {
    local i=$1 node=n$1 dir=$STATE/n$1 ip=$NET.1$1 total
    certificate "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$ip"
    write_kubeconfig "$node" "$dir/kubelet.conf"
    total=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
    # failCgroupV1, failSwapOn, oomScoreAdj, maxOpenFiles: let it run on any machine. systemReserved makes the node as
    # small as asked for, whatever the machine has. imageGC: never collect the images that nobody could pull again.
    cat >"$dir/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$GROUP/$node
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
oomScoreAdj: 0
address: $ip
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/$node.crt
tlsPrivateKeyFile: $PKI/$node.key
clusterDNS: [$NET.1]
clusterDomain: cluster.local
resolvConf: $dir/resolv.conf
volumePluginDir: $dir/volume-plugins
failSwapOn: false
maxOpenFiles: $(ulimit -n)
imageGCHighThresholdPercent: 100
systemReserved: {memory: $((total > NODE_MEMORY ? total - NODE_MEMORY : 0))Mi}
evictionHard: {memory.available: 100Mi}
$(kubelet_timing)
EOF
    # shellcheck disable=SC2046
    launch "$node/daemons" "$node-kubelet" $(enter_of "$node") "$BIN/kubelet" --config="$dir/kubelet.yaml" \
        --kubeconfig="$dir/kubelet.conf" --hostname-override="$node" --node-ip="$ip" \
        --node-labels="topology.kubernetes.io/zone=zone-$i,topology.kubernetes.io/region=testbed" --v=2
}
start_proxy() {
    local node=n$1 dir=$STATE/n$1
    cat >"$dir/proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $PROXY_MODE
clientConnection: {kubeconfig: $STATE/proxy.conf}
hostnameOverride: $node
clusterCIDR: $PODS.0.0/16
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
    # shellcheck disable=SC2046
    launch "$node/daemons" "$node-kube-proxy" $(enter_of "$node") "$BIN/kube-proxy" --config="$dir/proxy.yaml"
}
