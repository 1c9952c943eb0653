# The bridge all nodes hang on, and what answers on it: the registry and the name server.
make_bridge() {
    ip link add $BRIDGE type bridge
    ip addr add $NET.1/24 dev $BRIDGE
    ip link set $BRIDGE up
}
remove_links() {
    local link
    for link in $(ip -o link show type veth | sed -n 's/^[0-9]*: \(reckon-n[0-9]*\)@.*/\1/p'); do ip link del "$link" 2>/dev/null || :; done
    remove_vm_link
    ! ip link show $BRIDGE >/dev/null 2>&1 || ip link del $BRIDGE
}
# The virtual node's own: its tap and the machine's route to its pods.
remove_vm_link() {
    ip route del "$PODS.21.0/24" 2>/dev/null || :
    ! ip link show reckon-v1 >/dev/null 2>&1 || ip link del reckon-v1
}

# The registry refuses in every way that registries do, by the first part of the name; see README. Tests may append
# rules to STATE/registry/rules: they are read for each request.
start_registry() {
    local dir=$STATE/registry name digest rule
    local types=application/vnd.oci.image
    mkdir -p "$dir"
    echo '/v2/=200' >"$dir/rules"
    for name in ok slow private; do
        mkdir -p "$dir/$name"
        tar -C "$dir/$name" -xf "$IMAGES/registry/$name.tar"
        for digest in "$dir/$name"/blobs/sha256/*; do mv "$digest" "$dir/$name/blobs/sha256:${digest##*/}"; done
        digest=$(jq -r '.manifests[0].digest' "$dir/$name/index.json")
        rule=200
        [ $name != slow ] || rule=200@60s
        [ $name != private ] || rule+=,auth=$(printf user:password | base64)
        echo "/v2/$name/*/manifests/*=$rule,header=Content-Type: $types.manifest.v1+json,header=Docker-Content-Digest: $digest,file=$dir/$name/blobs/$digest"
        echo "/v2/$name/*/blobs/*=${rule/@60s/},header=Content-Type: application/octet-stream,dir=$dir/$name/blobs"
    done >>"$dir/rules"
    # An image index for another processor only.
    printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[{"mediaType":"%s.manifest.v1+json","digest":"%s","size":%d,"platform":{"architecture":"s390x","os":"linux"}}]}' \
        $types $types "$digest" "$(stat -c %s "$dir/private/blobs/$digest")" >"$dir/other-platform.json"
    digest=sha256:$(sha256sum "$dir/other-platform.json" | cut -d' ' -f1)
    cat >>"$dir/rules" <<EOF
/v2/platform/*/manifests/*=200,header=Content-Type: $types.index.v1+json,header=Docker-Content-Digest: $digest,file=$dir/other-platform.json
/v2/notfound/*=404,header=Content-Type: application/json,text={"errors":[{"code":"MANIFEST_UNKNOWN"}]}
/v2/unauthorized/*=401,header=WWW-Authenticate: Basic realm="registry.test"
/v2/token/*=401,header=WWW-Authenticate: Bearer realm="http://$REGISTRY/token"
/token=401
/v2/forbidden/*=403
/v2/busy/*=429,header=Content-Type: application/json,text={"errors":[{"code":"TOOMANYREQUESTS"}]}
/v2/broken/*=500
EOF
    launch control-plane registry "$IMAGES/workload" listen $NET.1:5000 "rules=$dir/rules"
}

# Pods and nodes ask the bridge's address for names. STATE/hosts is kept by services_to_hosts; tests may write hosts.extra.
start_names() {
    echo "$NET.1 registry.test" >"$STATE/hosts.extra"
    : >"$STATE/hosts"
    launch control-plane names "$IMAGES/workload" names $NET.1:53 "$STATE/hosts" "$STATE/hosts.extra"
}
