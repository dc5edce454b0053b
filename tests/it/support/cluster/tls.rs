//! The stand-in over TLS, by a certificate for 127.0.0.1 of an authority that nobody else knows. Both were made with openssl
//! for these tests and protect nothing; the authority's key was thrown away.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Cluster, NAMESPACE};

const AUTHORITY: &str = include_str!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

impl Cluster {
    /// As [`Cluster::start`], over TLS.
    pub(crate) async fn start_with_tls() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", tcp.local_addr().unwrap());
        let (cluster, router) = Self::at(url);
        let listener = Listener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        cluster
    }

    /// A kubeconfig that has the token and the authority in files beside it, as pods have them.
    pub(crate) fn kubeconfig_with_files(&self) -> String {
        let write = |name: &str, text: &str| {
            let path: PathBuf = self.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        write("token", Self::TOKEN);
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "other",
            "contexts": [
                { "name": "other", "context": { "cluster": "nowhere", "user": "u" } },
                { "name": "it", "context": { "cluster": "c", "user": "u", "namespace": NAMESPACE } },
            ],
            "clusters": [
                { "name": "nowhere", "cluster": { "server": "https://127.0.0.1:1" } },
                { "name": "c", "cluster": {
                    "server": self.url, "certificate-authority": write("ca.crt", AUTHORITY),
                } },
            ],
            "users": [{ "name": "u", "user": { "tokenFile": self.folder.path().join("token") } }],
        });
        write("kubeconfig", &text.to_string())
    }
}
