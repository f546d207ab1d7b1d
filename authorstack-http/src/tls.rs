use std::sync::Arc;

use authorstack_core::{Error, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::settings::HttpSettings;

impl HttpSettings {
    /// How a connection is secured: by the public authorities, or by those of the file. For
    /// connections of another protocol to the same service.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting
    /// of the address, for a file of certificates that cannot be read.
    pub fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.root_certificate {
            let refuse = |problem: String| {
                let reason = format!("the file of root certificates {problem}");
                Error::configuration(self.service.setting, reason)
            };
            let found = CertificateDer::pem_file_iter(file);
            let found = found.map_err(|error| refuse(format!("cannot be read: {error}")))?;
            for certificate in found {
                let certificate =
                    certificate.map_err(|error| refuse(format!("cannot be read: {error}")))?;
                let added = roots.add(certificate);
                added.map_err(|error| refuse(format!("holds one that is not sound: {error}")))?;
            }
            if roots.is_empty() {
                return Err(refuse("holds no certificate in PEM form".to_owned()));
            }
        } else {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("rustls: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }
}
