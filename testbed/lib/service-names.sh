# Names of Services for the name server: instead of a cluster DNS with its pods, one watch writes lines in the form of
# /etc/hosts. A deleted Service leaves a line with "-" for the address. No headless Services, no pod names.
start_service_names() {
    write_kubeconfig names "$STATE/names.conf"
    launch control-plane service-names env KUBECONFIG="$STATE/names.conf" "$TESTBED/lib/watch-services" "$BIN/kubectl" "$STATE/hosts"
}
