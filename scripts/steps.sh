# Sourced by the tiers: where we are, and steps that say what they do and how long it took.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
export RECKON_BIN=$TARGET/debug/reckon
TIER=$(basename "$0")
TIER_BEGIN=$EPOCHREALTIME
TIMES=()

seconds_since() { awk "BEGIN{printf \"%.1f\", $EPOCHREALTIME - $1}"; }

# step "what" COMMAND...
step() {
    local what=$1 begin=$EPOCHREALTIME code=0
    shift
    printf '\n== %s: %s\n' "$TIER" "$what"
    "$@" || code=$?
    TIMES+=("$(printf '%8s s  %s' "$(seconds_since "$begin")" "$what")")
    if [ $code != 0 ]; then
        printf '\n== %s: failed at "%s"\n' "$TIER" "$what" >&2
        exit $code
    fi
}

# What the steps so far took. Before the last step, so that its own summary is the last that is said.
times() {
    printf '\n== %s: so far\n' "$TIER"
    printf '%s\n' "${TIMES[@]}"
    printf '%8s s  together\n' "$(seconds_since "$TIER_BEGIN")"
}

# The crates, from the net only if they are not there yet. From here on cargo asks nobody.
fetch() {
    cargo fetch --locked --offline --quiet 2>/dev/null || cargo fetch --locked
}
