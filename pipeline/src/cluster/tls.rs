//! TLS between the processes of a cluster.
//!
//! Client, scheduler and executors each show a certificate of one authority, as servers and as clients, and talk to
//! nobody who cannot.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::error::BallistaError;
use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt};
use ballista_executor::ArrowFlightServerProvider;
use ballista_executor::flight_service::BallistaFlightService;
use datafusion::prelude::SessionConfig;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig, Uri};

use super::MESSAGE_BYTES;
use super::client::{ClusterError, chain};
use crate::engine::TlsFiles;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(20);

/// The certificate that a process shows, and the authority whose certificates it takes.
#[derive(Clone)]
pub struct Tls {
    authority: Certificate,
    identity: Identity,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ClusterError::Process`] with the file that cannot be read or is not what it should be.
    pub fn open(files: &TlsFiles) -> Result<Self, ClusterError> {
        // Other crates bring another set of algorithms too, and then somebody has to choose. An error says that one is chosen already.
        let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let read = |path: &Path, what: &str| {
            let failed = |message: String| ClusterError::Process { place: path.display().to_string(), message };
            let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
            // A wrong file would be found by the first handshake, and named by nobody.
            match std::str::from_utf8(&bytes) {
                Ok(text) if text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(what)) => Ok(bytes),
                _ => Err(failed(format!("no PEM file with a {}", what.to_lowercase()))),
            }
        };
        let identity = Identity::from_pem(read(&files.certificate, "CERTIFICATE")?, read(&files.key, "PRIVATE KEY")?);
        let tls = Self { authority: Certificate::from_pem(read(&files.authority, "CERTIFICATE")?), identity };
        // Parses all three, and fails where the key is not the certificate's.
        Server::builder()
            .tls_config(tls.server())
            .map_err(|e| ClusterError::Process { place: files.certificate.display().to_string(), message: chain(&e) })?;
        Ok(tls)
    }

    /// How a server presents itself, and whom it lets in.
    pub(super) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity.clone()).client_ca_root(self.authority.clone())
    }

    /// Turns the address of a connection that is to be made into one over TLS.
    pub(super) fn endpoint(&self) -> EndpointOverrideFn {
        let config = ClientTlsConfig::new().identity(self.identity.clone()).ca_certificate(self.authority.clone());
        Arc::new(move |endpoint| Ok(over_tls(endpoint.uri())?.tls_config(config.clone())?))
    }

    /// The options of a session whose shuffles are read over TLS.
    pub(super) fn session(&self, config: SessionConfig) -> SessionConfig {
        config.with_ballista_use_tls(true).with_ballista_override_create_grpc_client_endpoint(self.endpoint())
    }

    /// Serves an executor's shuffles.
    pub(super) fn flight(&self) -> Arc<ArrowFlightServerProvider> {
        let config = self.server();
        Arc::new(move |work_dir, address, mut shutdown, _| {
            let config = config.clone();
            tokio::spawn(async move {
                let service = FlightServiceServer::new(BallistaFlightService::new(work_dir))
                    .max_decoding_message_size(MESSAGE_BYTES as usize)
                    .max_encoding_message_size(MESSAGE_BYTES as usize);
                let mut server = Server::builder().tls_config(config).map_err(BallistaError::TonicError)?;
                server.add_service(service).serve_with_shutdown(address, shutdown.recv()).await.map_err(BallistaError::TonicError)
            })
        })
    }
}

/// Ballista writes some addresses with `http`, whatever it is told; its other settings of an endpoint are repeated here.
fn over_tls(uri: &Uri) -> Result<Endpoint, Box<dyn Error + Send + Sync>> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    Ok(Endpoint::from(Uri::from_parts(parts)?)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(3600)))
        .http2_keep_alive_interval(Duration::from_secs(300))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true))
}
