# Long-running programs: each is a launch script in STATE/daemons, a pid beside it, a log in STATE/log. The script is
# kept so that a test can stop a program and start the very same again.

# launch GROUP NAME COMMAND...
launch() {
    local group=$1 name=$2
    shift 2
    printf '%q ' "$@" >"$STATE/daemons/$name.command"
    echo "$group" >"$STATE/daemons/$name.group"
    relaunch "$name"
}
relaunch() {
    local name=$1 group
    group=$(<"$STATE/daemons/$name.group")
    (
        join_group "$group"
        eval "exec setsid $(<"$STATE/daemons/$name.command")"
    ) >>"$STATE/log/$name.log" 2>&1 </dev/null &
    echo $! >"$STATE/daemons/$name.pid"
}
pid_of() { cat "$STATE/daemons/$1.pid"; }
lives() { [ -e "$STATE/daemons/$1.pid" ] && is_member "$(pid_of "$1")"; }
must_live() {
    lives "$1" && return
    tail -5 "$STATE/log/$1.log" >&2
    die "$1 has ended; its log is $STATE/log/$1.log"
}
