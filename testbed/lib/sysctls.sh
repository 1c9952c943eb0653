# Settings of the whole machine that a kubelet changes; kept at up, put back at down.
CHANGED_BY_KUBELET="vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes"
keep_sysctls() {
    local name
    for name in $CHANGED_BY_KUBELET; do echo "$name $(cat "/proc/sys/$name")"; done >"$STATE/sysctls.new"
    mv "$STATE/sysctls.new" "$STATE/sysctls"
}
restore_sysctls() {
    local name value
    [ -e "$STATE/sysctls" ] || return 0
    while read -r name value; do echo "$value" >"/proc/sys/$name"; done <"$STATE/sysctls"
}
