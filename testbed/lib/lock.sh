# One up or down at a time. The lock names its holder instead of being held open: daemons and helpers would inherit an
# open file and keep the lock of an up that was killed.
holder_lives() {
    local pid begun
    [ -e "$RUN/holder" ] && read -r pid begun <"$RUN/holder" || return 1
    [ "$(begin_of "$pid")" = "$begun" ]
}
begin_of() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null || echo none; }

take_lock() {
    mkdir -p "$RUN"
    local got=0
    (
        flock 9
        ! holder_lives || exit 1
        echo "$$ $(begin_of $$)" >"$RUN/holder"
    ) 9>"$RUN/lock" || got=1
    if [ $got != 0 ]; then
        echo "testbed: another up or down is at work (process $(cut -d' ' -f1 "$RUN/holder")); try again when it has ended" >&2
        exit "$EXIT_BUSY"
    fi
}
release_lock() { rm -f "$RUN/holder"; }
