# Takes away whatever an up made, finished or not. Safe to call when there is nothing.
clean() {
    kill_members
    remove_links
    remove_groups
    restore_sysctls
    rm -rf "$STATE"
    rm -f "$RUN/state" "$RUN/kubeconfig" "$RUN/audit.log"
}
# A cluster runs if its up came to the end and the API server is still there.
cluster_runs() { [ -e "$STATE/up-since" ] && lives kube-apiserver; }
