//! Connections that would be secure and do not come about.

use super::{Far, Fault, Line, Testimony};

/// What a line says of TLS.
pub(super) fn of(line: &Line) -> Option<Testimony> {
    // A server that tells of its callers: scanners and probes make it say so all day.
    if line.any(&["tls handshake error from", "ssl_do_handshake() failed", "client sent an http request to an https"]) {
        return None;
    }
    // That is between the API server and whom it calls.
    if line.any(&["failed calling webhook", "conversion webhook"]) {
        return None;
    }
    let own = [
        "key values mismatch",
        "private key does not match public key",
        "failed to find any pem data",
        "pem_read_bio",
        "no start line",
        "unable to load certificate",
        "could not parse certificate",
        "keystore was tampered with, or password was incorrect",
    ];
    // What the other end says of it, or the program itself.
    let expired = line.has("client certificate") && line.any(&["has expired", "not yet valid"]);
    if line.any(&own) || expired || line.has("remote error: tls: expired certificate") {
        return Some(Testimony::OwnCertificate);
    }
    let plain = [
        "wrong version number",
        "wrong_version_number",
        "first record does not look like a tls handshake",
        "server gave http response to https client",
        "unsupported or unrecognized ssl message",
        "unrecognized ssl message, plaintext connection",
        "corrupt message of type invalidcontenttype",
        "server does not support ssl",
        "ssl is not enabled on the server",
        "not an ssl/tls record",
    ];
    if line.any(&plain) {
        return Some(Testimony::NoTls(Far::of(line)));
    }
    let untrusted = [
        "x509: certificate",
        "x509: cannot validate",
        "certificate verify failed",
        "certificate_verify_failed",
        "pkix path building failed",
        "pkix path validation failed",
        "unable to verify the first certificate",
        "unable_to_verify_leaf_signature",
        "self signed certificate",
        "self-signed certificate",
        "self_signed_cert",
        "certificate has expired",
        "cert_has_expired",
        "unable to get local issuer certificate",
        "ssl certificate problem",
        "err_tls_cert_altname_invalid",
        "does not match certificate's altnames",
        "no subject alternative dns name matching",
        "no subject alternative names matching",
        "the remote certificate is invalid",
        "remote certificate was rejected",
        "invalid peer certificate",
        "tls: handshake failure",
        "tls: bad certificate",
        "tls: unknown certificate",
        "tls: failed to verify certificate",
        "alert unknown ca",
        "alert bad certificate",
        "alert: certificate_unknown",
    ];
    line.any(&untrusted).then(|| Testimony::Untrusted(fault(line), Far::of(line)))
}

/// What is wrong with a certificate that is not believed.
fn fault(line: &Line) -> Fault {
    let time = ["has expired", "cert_has_expired", "not yet valid", "certificateexpired", "certexpired", "notafter"];
    let name = [
        "is valid for",
        "is not valid for any names",
        "altname",
        "no subject alternative",
        "hostname mismatch",
        "doesn't contain any ip sans",
        "notvalidforname",
        "certificate name does not match",
    ];
    match () {
        () if line.any(&time) => Fault::Time,
        () if line.any(&name) => Fault::Name,
        () => Fault::Authority,
    }
}
