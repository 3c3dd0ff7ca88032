//! TLS of either role: rustls with ring, TLS 1.3, X.509 (RFC 8446 §4.4.2), the suites that were asked for.

use std::sync::Arc;

use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq::rustls::crypto::CryptoProvider;
use noq::rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use noq::rustls::crypto::ring::default_provider;
use noq::rustls::pki_types::pem::PemObject;
use noq::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use noq::rustls::quic::Suite;
use noq::rustls::version::TLS13;
use noq::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

use crate::Failure;
use crate::options::Options;

/// Takes the certificate of `--cert` and no other.
pub fn client(options: &Options) -> Result<QuicClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(options.text("cert")?)?)?;
    let mut config = ClientConfig::builder_with_provider(provider(options)?)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![options.text("alpn")?.into()];
    Ok(QuicClientConfig::with_initial(Arc::new(config), initial()?)?)
}

/// Presents the certificate of `--cert` with the key of `--key`.
pub fn server(options: &Options) -> Result<QuicServerConfig, Failure> {
    let chain = vec![CertificateDer::from_pem_file(options.text("cert")?)?];
    let key = PrivateKeyDer::from_pem_file(options.text("key")?)?;
    let mut config = ServerConfig::builder_with_provider(provider(options)?)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![options.text("alpn")?.into()];
    Ok(QuicServerConfig::with_initial(Arc::new(config), initial()?)?)
}

/// Initial packets are always protected with this one (RFC 9001 §5.2).
fn initial() -> Result<Suite, Failure> {
    TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite()).ok_or_else(|| "no suite for Initials".into())
}

fn provider(options: &Options) -> Result<Arc<CryptoProvider>, Failure> {
    let mut provider = default_provider();
    if options.has("suite") {
        provider.cipher_suites = vec![suite(options.text("suite")?)?];
    }
    Ok(Arc::new(provider))
}

fn suite(name: &str) -> Result<SupportedCipherSuite, Failure> {
    match name {
        "TLS_AES_128_GCM_SHA256" => Ok(TLS13_AES_128_GCM_SHA256),
        "TLS_AES_256_GCM_SHA384" => Ok(TLS13_AES_256_GCM_SHA384),
        "TLS_CHACHA20_POLY1305_SHA256" => Ok(TLS13_CHACHA20_POLY1305_SHA256),
        _ => Err(format!("there is no suite {name}").into()),
    }
}
