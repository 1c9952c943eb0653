# The built things, each in a directory of the cache named after a hash of all it is made from. A directory appears
# complete (renamed at the end) or not at all.
hash_of() { # the file names count only by their last part, so that two checkouts share the cache
    { for file; do printf '%s ' "${file##*/}" && sha256sum <"$file"; done; cat; } | sha256sum | cut -c1-16
}

locate_programs() { BIN=$CACHE/programs-$(go version | hash_of "$TESTBED"/kube/{go.mod,go.sum,main.go,build}); }
locate_images() {
    IMAGES=$CACHE/images-$(musl-gcc --version | hash_of "$TESTBED"/workload/*.[ch] "$TESTBED"/image/{pause.c,pack} \
        "$TESTBED/lib/build.sh" "$(command -v busybox)")
}

build_programs() {
    local work=$BIN.new name
    rm -rf "$work"
    mkdir -p "$work"
    "$TESTBED/kube/build" "$work/kube"
    for name in etcd kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do
        ln -s kube "$work/$name"
    done
    mv "$work" "$BIN"
}
build_images() {
    local work=$IMAGES.new root
    rm -rf "$work"
    mkdir -p "$work/pause" "$work/root"/{bin,etc,tmp}
    musl-gcc -static -Os -s -o "$work/pause/pause" "$TESTBED/image/pause.c"
    musl-gcc -static -O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -s -o "$work/workload" "$TESTBED"/workload/*.c
    root=$work/root
    chmod 1777 "$root/tmp"
    cp "$work/workload" "$root/bin/workload"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $(busybox --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
    printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
    # Tags other than latest, so that the pull policy is IfNotPresent and nothing is pulled.
    "$TESTBED/image/pack" "$work/pause.tar" "$work/pause" /pause reckon.test/pause:1
    "$TESTBED/image/pack" "$work/workload.tar" "$root" /bin/workload reckon.test/workload:1 reckon.test/workload:2
    # What the registry serves must not be the image that nodes already have: once a kubelet has pulled an image by one
    # name it no longer counts as preloaded under its other names, and every pod that uses it would want to pull.
    mkdir -p "$work/registry"
    for name in ok slow private; do
        echo "$name" >"$root/etc/registry"
        "$TESTBED/image/pack" "$work/registry/$name.tar" "$root" /bin/workload "registry.test/$name:1"
    done
    rm -rf "$work/pause" "$root"
    mv "$work" "$IMAGES"
}
# Of each kind the two newest stay.
forget_old() {
    local kind
    for kind in programs images vm; do
        find "$CACHE" -maxdepth 1 -name "$kind-*" -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- | xargs -r rm -rf
    done
}
build_all() {
    "$TESTBED/packages"
    locate_programs
    locate_images
    [ ! -d "$BIN" ] || [ ! -d "$IMAGES" ] || return 0
    mkdir -p "$CACHE"
    exec 8>"$CACHE/build.lock"
    flock 8 # one build at a time; the second finds it done
    [ -d "$BIN" ] || { step "building Kubernetes (about 7 minutes on two cores, once)" && build_programs && step "built $BIN"; }
    [ -d "$IMAGES" ] || { build_images && step "built $IMAGES"; }
    forget_old
    exec 8>&-
}
