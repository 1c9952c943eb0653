# The control groups of the testbed. Whatever it starts lives below GROUP; nothing else is ever signalled.

# make_group NAME: GROUP/NAME in each hierarchy. A new cpuset takes no process before it has processors and memory.
make_group() {
    local hierarchy dir part
    for hierarchy in $HIERARCHIES; do
        mountpoint -q "$CGROUPS/$hierarchy" || continue
        dir=$CGROUPS/$hierarchy
        for part in "$GROUP" ${1//\// }; do
            dir+=/$part
            [ ! -d "$dir" ] || continue
            mkdir "$dir"
            if [ "$hierarchy" = cpuset ]; then
                cat "$CGROUPS/cpuset/cpuset.cpus" >"$dir/cpuset.cpus"
                cat "$CGROUPS/cpuset/cpuset.mems" >"$dir/cpuset.mems"
            fi
        done
    done
}
# join_group NAME: the calling process, for counting (memory) and for finding it again (pids)
join_group() {
    echo "$BASHPID" >"$CGROUPS/pids/$GROUP/$1/cgroup.procs"
    echo "$BASHPID" >"$CGROUPS/memory/$GROUP/$1/cgroup.procs"
}
group_members() {
    local dirs=()
    for dir in "$CGROUPS/pids/$GROUP" "$CGROUPS/memory/$GROUP"; do [ ! -d "$dir" ] || dirs+=("$dir"); done
    [ ${#dirs[@]} = 0 ] || find "${dirs[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un
}
is_member() { grep -q ":pids:/$GROUP/" "/proc/$1/cgroup" 2>/dev/null; }

kill_members() {
    local members killed=() pid
    for _ in {1..100}; do
        mapfile -t members < <(group_members)
        if [ ${#members[@]} = 0 ]; then
            # A process leaves its groups when it ends and is gone when its parent has taken notice.
            for pid in "${killed[@]}"; do [ ! -e "/proc/$pid" ] || { sleep 0.05 && continue 2; }; done
            return 0
        fi
        killed+=("${members[@]}")
        kill -KILL "${members[@]}" 2>/dev/null || :
        sleep 0.05
    done
    if [ ${#members[@]} = 0 ]; then return 0; fi # only an idle parent of the machine is late
    echo "testbed: these processes do not end: ${members[*]}" >&2
    return 1
}
remove_groups() {
    local hierarchy
    for hierarchy in $HIERARCHIES; do
        [ ! -d "$CGROUPS/$hierarchy/$GROUP" ] || find "$CGROUPS/$hierarchy/$GROUP" -depth -type d -exec rmdir {} \;
    done
}
