# What is told on the terminal: steps with the time since the start, and the end of it.
BEGIN=${EPOCHREALTIME/./}

step() {
    local us=$((${EPOCHREALTIME/./} - BEGIN))
    printf '%4d.%02d s  %s\n' $((us / 1000000)) $((us % 1000000 / 10000)) "$*"
}
die() {
    echo "testbed: $*" >&2
    exit 1
}
# await SECONDS WHAT COMMAND...: until the command succeeds
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "$what: not there in time"
        sleep 0.05
    done
}
