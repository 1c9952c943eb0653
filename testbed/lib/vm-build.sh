# The disk, kernel and initramfs of the virtual node. Debian packages are only unpacked, never installed; what is built
# is a directory of the cache, named after a hash of all it is made from, as programs and images are.
VM_PACKAGES="containerd runc containernetworking-plugins iptables nftables iproute2 conntrack"
VM_MODULES="overlay br_netfilter bridge veth virtio_net virtio_console nf_conntrack nf_tables nf_nat nft_chain_nat
    nft_compat nft_ct nft_masq nft_fib nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_numgen nft_hash nft_reject_inet nft_log
    nft_limit nft_redir nft_nat nfnetlink nf_conntrack_netlink xt_comment xt_mark xt_addrtype xt_conntrack xt_MASQUERADE
    xt_nat xt_tcpudp xt_statistic"
VM_BOOT_MODULES="virtio_pci virtio_blk"
# Essential packages and those that only maintainer scripts need stay away: nothing runs them.
VM_LEFT_OUT="debconf|perl|dpkg|tar_|init-system|cdebconf|debianutils|install-info|libpam|base-passwd|adduser|passwd|login|libcrypt1|libzstd|liblzma|libbz2|criu|linux-image|libsystemd|systemd|libaudit|python"

locate_vm() { # after locate_programs and locate_images
    VM=$CACHE/vm-$(echo "$KERNEL_PACKAGE ${BIN##*/} ${IMAGES##*/}" |
        hash_of "$TESTBED"/vm/* "$TESTBED/lib/vm-build.sh" "$TESTBED/lib/vm.sh" "$(command -v busybox)")
}

# vm_apt DIR: an apt of its own, in which no package is there yet; with the sources this machine uses
vm_apt() {
    local dir=$1
    mkdir -p "$dir"/{lists/partial,cache/archives/partial}
    : >"$dir/status"
    cat >"$dir/apt.conf" <<EOF
Dir::State "$dir"; Dir::State::lists "$dir/lists"; Dir::State::status "$dir/status"; Dir::Cache "$dir/cache";
Acquire::Languages "none"; APT::Install-Recommends "false"; Debug::NoLocking "true"; APT::Sandbox::User "root";
EOF
    export APT_CONFIG=$dir/apt.conf
    apt-get -qq update
    # shellcheck disable=SC2086 # words on purpose
    apt-get -qq -y --download-only install $VM_PACKAGES </dev/null >/dev/null
    local package
    [ -n "$KERNEL_PACKAGE" ] || { unset APT_CONFIG && return; }
    package=$(apt-cache show --no-all-versions "$KERNEL_PACKAGE" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -1)
    (cd "$dir/cache/archives" && apt-get -qq download "$package")
    unset APT_CONFIG
}
# vm_modules TREE VERSION NAME...: the files of these modules and of all they need, in the order of loading
vm_modules() {
    local tree=$1 version=$2 name
    shift 2
    for name; do modprobe -d "$tree" -S "$version" --show-depends "$name" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'; done | awk '!seen[$0]++'
}
# vm_put_module FILE TARGET: not packed, so that busybox can load it
vm_put_module() { case $1 in *.xz) xz -dc "$1" >"$2" ;; *) cp "$1" "$2" ;; esac; }

vm_root() { # WORK VERSION: WORK/root, the files of the disk
    local work=$1 version=$2 root=$1/root deb name file
    mkdir -p "$root/usr"/{bin,sbin,lib,lib64}
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    for deb in "$work"/apt/cache/archives/*.deb; do
        name=${deb##*/}
        [[ ! $name =~ ^($VM_LEFT_OUT) ]] || continue
        dpkg-deb --fsys-tarfile "$deb" | tar -C "$root" -x --keep-directory-symlink --exclude='./usr/share/*' \
            --exclude='./usr/lib/x86_64-linux-gnu/gconv*' --exclude='./lib/systemd/*' --exclude='./usr/lib/systemd/*'
    done
    mkdir -p "$root/lib/modules"
    # shellcheck disable=SC2086
    for file in $(vm_modules "$work/kernel" "$version" $VM_MODULES); do
        name=$(basename "$file" .xz)
        vm_put_module "$file" "$root/lib/modules/$name"
        echo "$name" >>"$root/lib/modules/order"
    done
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $(busybox --list); do
        [ -e "$root/bin/$name" ] || [ -e "$root/sbin/$name" ] || [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    cp "$BIN/kube" "$root/usr/bin/kube"
    for name in kubelet kube-proxy; do ln -s kube "$root/usr/bin/$name"; done
    musl-gcc -static -O2 -s -o "$root/usr/bin/groupwatch" "$TESTBED/vm/groupwatch.c"
    rm -f "$root"/usr/bin/{containerd-stress,containerd-shim,containerd-shim-runc-v1}
    mkdir -p "$root"/{proc,sys,dev,run,tmp,root,node,images,opt,mnt,etc/ssl/certs,var/lib,var/log}
    cp "$IMAGES"/*.tar "$root/images/"
    cp "$TESTBED"/vm/{rc,svc,inittab} "$root/etc/"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    printf 'nameserver %s\n' "$NET.1" >"$root/etc/resolv.conf"
    printf '127.0.0.1 localhost\n%s registry.test\n' "$NET.1" >"$root/etc/hosts"
}
build_vm() {
    local work=$VM.new version file n=0
    rm -rf "$work"
    mkdir -p "$work/kernel" "$work/first"/{bin,mod,proc,dev,newroot}
    vm_apt "$work/apt"
    dpkg-deb --fsys-tarfile "$work"/apt/cache/archives/linux-image-*.deb | tar -C "$work/kernel" -x
    version=$(basename "$work"/kernel/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    cp "$work/kernel/boot/vmlinuz-$version" "$work/vmlinuz"
    depmod -b "$work/kernel" "$version"
    vm_root "$work" "$version"
    truncate -s 2G "$work/root.ext4"
    mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -m 0 -d "$work/root" "$work/root.ext4"
    cp "$(command -v busybox)" "$work/first/bin/"
    ln -s busybox "$work/first/bin/sh"
    # shellcheck disable=SC2086
    for file in $(vm_modules "$work/kernel" "$version" $VM_BOOT_MODULES); do
        n=$((n + 1))
        vm_put_module "$file" "$work/first/mod/$(printf %02d $n)-$(basename "$file" .xz)"
    done
    cp "$TESTBED/vm/init" "$work/first/init"
    (cd "$work/first" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"
    # A first boot without network, so that no later one has to import the images.
    mkdir -p "$work/prepare/node"
    printf 'NAME=prepare IP=127.0.0.2 HOST=127.0.0.1 PREPARE=1 ROUTES=\n' >"$work/prepare/node/env"
    vm_containerd >"$work/prepare/node/containerd.toml"
    (cd "$work/prepare" && find node | cpio -o -H newc --quiet | gzip -1 | cat "$work/initrd" -) >"$work/prepare/initrd"
    # shellcheck disable=SC2046
    timeout 300 $(vm_qemu "$work" "$work/prepare/initrd" 1024) -serial "file:$work/prepare/console.log" \
        -append "$VM_APPEND" -drive "file=$work/root.ext4,if=virtio,format=raw,cache=unsafe" </dev/null || :
    debugfs -R 'stat /var/lib/imported' "$work/root.ext4" 2>/dev/null | grep -q Inode ||
        die "the images were not imported in the virtual machine, its console is $work/prepare/console.log"
    e2fsck -fy "$work/root.ext4" >/dev/null 2>&1 || :
    echo "$version" >"$work/version"
    rm -rf "$work"/{apt,kernel,root,first,prepare}
    mv "$work" "$VM"
}
