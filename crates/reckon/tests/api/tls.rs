//! Certificates, good and bad.

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::sync::Arc;

/// What a server shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Certificate {
    Good,
    Expired,
    /// Signed by somebody whom the kubeconfig does not name.
    Untrusted,
    ForAnotherHost,
}

/// A server's certificate and key, and the authority that a kubeconfig names for it.
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    authority: String,
}

impl Identity {
    pub(crate) fn new(certificate: Certificate) -> Identity {
        let host = if matches!(certificate, Certificate::ForAnotherHost) { "198.51.100.7" } else { "127.0.0.1" };
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        if matches!(certificate, Certificate::Expired) {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let shown = params.self_signed(&key).unwrap();
        let authority = match certificate {
            Certificate::Untrusted => rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap().cert.pem(),
            _ => shown.pem(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Identity { config: Arc::new(config), authority }
    }

    /// The field of a kubeconfig's cluster, with a comma in front.
    pub(crate) fn authority(&self) -> String {
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &self.authority);
        format!(", certificate-authority-data: {data}")
    }

    pub(crate) fn session(&self) -> ServerConnection {
        ServerConnection::new(Arc::clone(&self.config)).unwrap()
    }
}
