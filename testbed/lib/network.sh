# The bridge all nodes hang on, and what answers on it: the registry and the name server.
make_bridge() {
    ip link add $BRIDGE type bridge
    ip addr add $NET.1/24 dev $BRIDGE
    ip link set $BRIDGE up
}
remove_links() {
    local link
    for link in $(ip -o link show type veth | sed -n 's/^[0-9]*: \(reckon-n[0-9]*\)@.*/\1/p'); do ip link del "$link" || :; done
    ! ip link show $BRIDGE >/dev/null 2>&1 || ip link del $BRIDGE
}

# The registry refuses in every way that registries do, by the first part of the name; see README. Tests may append
# rules to STATE/registry/rules: they are read for each request.
start_registry() {
    local dir=$STATE/registry digest arm
    mkdir -p "$dir"
    tar -C "$dir" -xf "$IMAGES/workload.tar"
    for digest in "$dir"/blobs/sha256/*; do mv "$digest" "$dir/blobs/sha256:${digest##*/}"; done
    digest=$(sed 's/.*"manifests":\[[^]]*"digest":"\([^"]*\)".*/\1/' "$dir/index.json")
    # An image index for another processor only.
    arm='{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"'$digest'","size":'$(stat -c %s "$dir/blobs/$digest")',"platform":{"architecture":"s390x","os":"linux"}}]}'
    printf %s "$arm" >"$dir/other-platform.json"
    arm=sha256:$(sha256sum "$dir/other-platform.json" | cut -d' ' -f1)
    local manifest="header=Content-Type: application/vnd.oci.image.manifest.v1+json,header=Docker-Content-Digest: $digest,file=$dir/blobs/$digest"
    local index="header=Content-Type: application/vnd.oci.image.index.v1+json,header=Docker-Content-Digest: $arm,file=$dir/other-platform.json"
    local blob="header=Content-Type: application/octet-stream,dir=$dir/blobs"
    cat >"$dir/rules" <<EOF
/v2/=200
/v2/ok/*/manifests/*=200,$manifest
/v2/ok/*/blobs/*=200,$blob
/v2/slow/*/manifests/*=200@60s,$manifest
/v2/slow/*/blobs/*=200,$blob
/v2/private/*/manifests/*=200,auth=dXNlcjpwYXNzd29yZA==,$manifest
/v2/private/*/blobs/*=200,auth=dXNlcjpwYXNzd29yZA==,$blob
/v2/platform/*/manifests/*=200,$index
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
