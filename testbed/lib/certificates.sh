# The cluster's certificates and the kubeconfigs made of them.
PKI=$STATE/pki

# authority NAME COMMON-NAME
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$2" \
        -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}
# certificate NAME SUBJECT [ALTERNATIVE-NAMES [AUTHORITY]]
certificate() {
    local authority=${4:-ca}
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$PKI/$1.key" 2>/dev/null |
        openssl x509 -req -CA "$PKI/$authority.crt" -CAkey "$PKI/$authority.key" -set_serial "0x$(openssl rand -hex 8)" \
            -days 365 -out "$PKI/$1.crt" -extfile <(
                echo keyUsage=critical,digitalSignature,keyEncipherment
                echo extendedKeyUsage=serverAuth,clientAuth
                [ -z "${3:-}" ] || echo "subjectAltName=$3"
            ) 2>/dev/null
}
# write_kubeconfig CERTIFICATE FILE: with everything inside, so that the file can be copied elsewhere
write_kubeconfig() {
    cat >"$2" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: "https://$NET.1:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
contexts: [{name: testbed, context: {cluster: testbed, user: $1}}]
current-context: testbed
EOF
    chmod 600 "$2"
}
make_certificates() {
    mkdir -p "$PKI"
    authority ca testbed-ca
    authority front-ca testbed-front-proxy-ca
    openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
    openssl rsa -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
    certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$NET.1,IP:$SERVICES.1"
    certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate front-proxy /CN=front-proxy-client "" front-ca
    certificate admin /O=system:masters/CN=admin
    certificate controller-manager /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate proxy /CN=system:kube-proxy
    certificate names /O=system:masters/CN=testbed-names
    write_kubeconfig admin "$KUBECONFIG"
    write_kubeconfig controller-manager "$STATE/controller-manager.conf"
    write_kubeconfig scheduler "$STATE/scheduler.conf"
    write_kubeconfig proxy "$STATE/proxy.conf"
}
