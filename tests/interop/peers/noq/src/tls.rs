//! TLS of either role: rustls with ring, TLS 1.3, X.509 (RFC 8446 §4.4.2), the suites that were asked for.

use std::sync::Arc;

use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq::rustls::crypto::{CryptoProvider, SupportedKxGroup};
use noq::rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use noq::rustls::crypto::ring::default_provider;
use noq::rustls::crypto::ring::kx_group::{SECP256R1, SECP384R1, X25519};
use noq::rustls::pki_types::pem::PemObject;
use noq::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use noq::rustls::quic::Suite;
use noq::rustls::server::WebPkiClientVerifier;
use noq::rustls::version::TLS13;
use noq::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

use crate::Failure;
use crate::options::Options;

/// Takes the certificate of `--cert` and no other.
pub fn client(options: &Options) -> Result<QuicClientConfig, Failure> {
    let roots = roots(options, "cert")?;
    let builder = ClientConfig::builder_with_provider(provider(options)?)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots);
    let mut config = if options.has("own-cert") {
        let (chain, key) = credential(options, "own-cert", "own-key")?;
        builder.with_client_auth_cert(chain, key)?
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![options.text("alpn")?.into()];
    Ok(QuicClientConfig::with_initial(Arc::new(config), initial()?)?)
}

/// Presents the certificate of `--cert` with the key of `--key`; takes clients with the one of `--client-cert`, or anybody.
pub fn server(options: &Options) -> Result<QuicServerConfig, Failure> {
    let provider = provider(options)?;
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
    let builder = if options.has("client-cert") {
        let roots = Arc::new(roots(options, "client-cert")?);
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = credential(options, "cert", "key")?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![options.text("alpn")?.into()];
    Ok(QuicServerConfig::with_initial(Arc::new(config), initial()?)?)
}

fn roots(options: &Options, name: &str) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(options.text(name)?)?)?;
    Ok(roots)
}

type Credential = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn credential(options: &Options, cert: &str, key: &str) -> Result<Credential, Failure> {
    let chain = vec![CertificateDer::from_pem_file(options.text(cert)?)?];
    Ok((chain, PrivateKeyDer::from_pem_file(options.text(key)?)?))
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
    if options.has("group") {
        provider.kx_groups = vec![group(options.text("group")?)?];
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

fn group(name: &str) -> Result<&'static dyn SupportedKxGroup, Failure> {
    match name {
        "x25519" => Ok(X25519),
        "secp256r1" => Ok(SECP256R1),
        "secp384r1" => Ok(SECP384R1),
        _ => Err(format!("there is no group {name}").into()),
    }
}
