//! TLS 1.3 by rustls with ring, authenticating the server alone or both ends. No resumption.

use crate::blocking::{Connector, Pipe};
use crate::buffer::Buffer;
use crate::job::BATCH_BYTES;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CipherSuite, ServerConnection, crypto::CryptoProvider};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};

/// The name in the certificates.
const NAME: &str = "peer.example";

pub(super) struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(mutual: bool) -> Self {
        Self::try_new(mutual).expect("the certificates are made for each other")
    }

    fn try_new(mutual: bool) -> Result<Self, Box<dyn std::error::Error>> {
        let provider = Arc::new(aes_256_only());
        let authority = Authority::new()?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone())?;
        let roots = Arc::new(roots);

        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let server = if mutual {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
            server.with_client_cert_verifier(verifier.build()?)
        } else {
            server.with_no_client_auth()
        };
        let (chain, key) = authority.issue()?;
        let mut server = server.with_single_cert(chain, key)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut client = if mutual {
            let (chain, key) = authority.issue()?;
            client.with_client_auth_cert(chain, key)?
        } else {
            client.with_no_client_auth()
        };
        client.resumption = Resumption::disabled();
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    fn pipe(mut tls: Connection, mut stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Box::new(TlsPipe { tls, stream, input: None }))
    }
}

/// The provider with the one cipher that the others are compared by.
fn aes_256_only() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_256_GCM_SHA384);
    provider
}

/// Where the parent process leaves its authority's key for the children.
pub(super) const AUTHORITY: &str = "P2PNET_BENCH_AUTHORITY";

/// The authority's key, which both processes need: the parent's own, or what a child has inherited.
pub(super) fn authority() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let generate = |_| KeyPair::generate().expect("randomness").serialize_pem();
        std::env::var(AUTHORITY).unwrap_or_else(generate)
    })
}

/// Issues certificates.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let key = KeyPair::from_pem(authority())?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(parameters, key) })
    }

    fn issue(&self) -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        let parameters = CertificateParams::new(vec![NAME.to_owned()])?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![certificate.der().clone()], key))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Connector for Tls {
    fn client(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let tls = ClientConnection::new(self.client.clone(), name).map_err(io::Error::other)?;
        Self::pipe(tls.into(), stream)
    }

    fn server(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        let tls = ServerConnection::new(self.server.clone()).map_err(io::Error::other)?;
        Self::pipe(tls.into(), stream)
    }
}

struct TlsPipe {
    tls: Connection,
    stream: TcpStream,
    input: Option<Buffer>,
}

impl TlsPipe {
    fn push(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

impl Pipe for TlsPipe {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.tls.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.push()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }

    fn read(&mut self) -> io::Result<&[u8]> {
        let input = self.input.get_or_insert_with(|| Buffer::new(BATCH_BYTES));
        loop {
            match self.tls.reader().read(input) {
                Ok(length) => return Ok(&input[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.tls.read_tls(&mut self.stream)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.push()?;
        self.stream.shutdown(Shutdown::Write)
    }

    fn rest(&mut self) {
        self.input = None;
    }
}
