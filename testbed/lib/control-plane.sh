# etcd, API server, controller manager and scheduler, on the machine itself.
start_api() {
    make_group control-plane
    # No fsync: a test cluster that loses power is started anew.
    launch control-plane etcd "$BIN/etcd" --name testbed --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster testbed=http://127.0.0.1:2380
    cat >"$STATE/audit-policy.yaml" <<'EOF'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
EOF
    # Aggregator routing: no kube-proxy runs on the machine itself, so webhooks are called at their endpoints.
    launch control-plane kube-apiserver "$BIN/kube-apiserver" --advertise-address=$NET.1 --bind-address=$NET.1 --secure-port=6443 \
        --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=$SERVICES.0/16 --allow-privileged=true \
        --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key" \
        --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname \
        --requestheader-client-ca-file="$PKI/front-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
        --enable-aggregator-routing=true \
        --audit-policy-file="$STATE/audit-policy.yaml" --audit-log-path="$STATE/audit.log" \
        --audit-log-maxsize=1000 --audit-log-maxbackup=2
}
# Only when the API server is ready: before its first RBAC objects exist the controller manager would end at once.
start_controllers() {
    local timing=()
    # A node counts as unreachable after 12 s instead of 50 s; its kubelet reports accordingly often (see node.sh).
    [ "$STOCK" = 1 ] || timing+=(--node-monitor-grace-period=12s --node-monitor-period=1s)
    # With the default 20 requests a second its service accounts alone take 5 s.
    launch control-plane kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig="$STATE/controller-manager.conf" \
        --authentication-kubeconfig="$STATE/controller-manager.conf" --authorization-kubeconfig="$STATE/controller-manager.conf" \
        --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true \
        --kube-api-qps=200 --kube-api-burst=400 --flex-volume-plugin-dir="$STATE/volume-plugins" \
        --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key" \
        --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" "${timing[@]}"
    launch control-plane kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$STATE/scheduler.conf" \
        --authentication-kubeconfig="$STATE/scheduler.conf" --authorization-kubeconfig="$STATE/scheduler.conf" \
        --bind-address=127.0.0.1 --leader-elect=false
}
