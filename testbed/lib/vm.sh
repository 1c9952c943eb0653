# The virtual node v1: a machine in software emulation with control groups version 2, on a tap of the bridge. It is
# NET.21, its pods are PODS.21.0/24.
VM_APPEND="console=ttyS0 quiet loglevel=4 net.ifnames=0 panic=-1 psi=1 mitigations=off hugepages=16"

# vm_qemu DIR INITRD MIB: the words common to building and running
vm_qemu() {
    echo qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -machine q35 -cpu max -smp 2 -m "$3" -nodefaults \
        -no-user-config -display none -no-reboot -kernel "$1/vmlinuz" -initrd "$2"
}
vm_must_be_possible() {
    command -v qemu-system-x86_64 >/dev/null || die "no virtual node: qemu-system-x86_64 is not there and could not be installed"
    [ -c /dev/net/tun ] && ip tuntap add reckon-probe mode tap 2>/dev/null ||
        die "no virtual node: this machine cannot make a tap device (/dev/net/tun)"
    ip link del reckon-probe
}
vm_containerd() {
    cat <<'EOF'
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "reckon.test/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/node/cni"
EOF
}
# vm_files DIR: the node's own files, in DIR/node; EXTRA lines of its kubelet's configuration
vm_files() {
    local node=$1/node name=v1 ip=$NET.21 routes="$SERVICES.0/16,$NET.1" i
    mkdir -p "$node/cni"
    for i in {1..9}; do routes+=" $PODS.$i.0/24,$NET.1$i"; done
    printf 'NAME=%s IP=%s HOST=%s SWAP_MIB=%s ROUTES="%s" LABELS=%s\n' $name $ip $NET.1 "$VM_SWAP" "$routes" \
        reckon.test/cgroup=v2,topology.kubernetes.io/region=testbed,topology.kubernetes.io/zone=zone-vm >"$node/env"
    certificate $name "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:$ip"
    write_kubeconfig $name "$node/kubelet.conf"
    cp "$STATE/proxy.conf" "$PKI/ca.crt" "$PKI/$name.crt" "$PKI/$name.key" "$node/"
    cat >"$node/cni/10-testbed.conflist" <<EOF
{"cniVersion":"0.4.0","name":"testbed","plugins":[
 {"type":"bridge","bridge":"cni0","isDefaultGateway":true,"hairpinMode":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"$PODS.21.0/24"}]]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
EOF
    vm_containerd >"$node/containerd.toml"
    # Emulation is slow: the runtime gets time, and the lease is as long as a stock cluster's.
    vm_kubelet $name $ip >"$node/kubelet.yaml"
    cat >"$node/proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: /node/proxy.conf}
hostnameOverride: $name
clusterCIDR: $PODS.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
}
# vm_kubelet NAME IP: the kubelet's configuration; a line of VM_KUBELET stands instead of the one with the same key
vm_kubelet() {
    local name=$1 ip=$2 node=/node line
    while IFS= read -r line; do
        grep -q "^${line%%:*}:" <<<"$VM_KUBELET" || printf '%s\n' "$line"
    done <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
address: $ip
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /node/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: /node/$name.crt
tlsPrivateKeyFile: /node/$name.key
clusterDNS: [$NET.1]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
failSwapOn: false
imageGCHighThresholdPercent: 100
systemReserved: {memory: 512Mi}
evictionHard: {memory.available: 100Mi}
evictionPressureTransitionPeriod: 10s
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 30s
runtimeRequestTimeout: 10m
crashLoopBackOff: {maxContainerRestartPeriod: 20s}
registerWithTaints: [{key: reckon.test/cgroup, value: v2, effect: NoSchedule}]
EOF
    printf '%s' "$VM_KUBELET"
}
# Two memory nodes, of which the second has no processor and a quarter of the memory.
vm_numa() {
    local small=$((VM_MEMORY / 4))
    echo "-object memory-backend-ram,id=m0,size=$((VM_MEMORY - small))M -object memory-backend-ram,id=m1,size=${small}M" \
        "-numa node,nodeid=0,memdev=m0,cpus=0-1 -numa node,nodeid=1,memdev=m1"
}
start_vm() {
    local dir=$STATE/v1 n1
    mkdir -p "$dir"
    vm_files "$dir"
    (cd "$dir" && find node | cpio -o -H newc --quiet | gzip -1 | cat "$VM/initrd" -) >"$dir/initrd"
    truncate -s "$((VM_SWAP > 0 ? VM_SWAP : 1))M" "$dir/swap"
    ip tuntap add reckon-v1 mode tap
    ip link set reckon-v1 master $BRIDGE up
    ip route add "$PODS.21.0/24" via $NET.21
    for n1 in "$STATE"/daemons/n[1-9].pid; do
        in_node "$(basename "$n1" .pid)" ip route replace "$PODS.21.0/24" via $NET.21
    done
    make_group v1
    # Writes to the disk go to a file in TMPDIR that is lost with the machine.
    # shellcheck disable=SC2046
    launch v1 v1 env TMPDIR="$dir" $(vm_qemu "$VM" "$dir/initrd" "$VM_MEMORY") -append "$VM_APPEND" \
        $(vm_numa) -serial "file:$dir/console.log" \
        -drive "file=$VM/root.ext4,if=virtio,format=raw,snapshot=on,cache=unsafe" \
        -drive "file=$dir/swap,if=virtio,format=raw,cache=unsafe" \
        -netdev tap,id=n0,ifname=reckon-v1,script=no,downscript=no \
        -device virtio-net-pci,netdev=n0,mac=52:54:00:77:00:21,romfile= -device virtio-rng-pci -device virtio-serial-pci \
        -chardev "file,id=kmsg,path=$dir/kmsg.txt" -device virtserialport,chardev=kmsg,name=kmsg,nr=1 \
        -chardev "file,id=groups,path=$dir/groups.txt" -device virtserialport,chardev=groups,name=groups,nr=2
}
# in_vm COMMAND...: a shell command line in the machine; its output, not its exit code
in_vm() { printf '%s\nexit\n' "$*" | busybox nc $NET.21 2222; }
