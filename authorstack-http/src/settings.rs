use std::{net::IpAddr, path::PathBuf, time::Duration};

use authorstack_core::{Error, Result};
use url::{Host, Url};

/// A service, as messages name it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name, such as `Supabase Auth`.
    pub name: &'static str,
    /// The setting of its address, such as `supabase_auth_url`.
    pub setting: &'static str,
    /// An address, such as `https://<ref>.supabase.co/auth/v1`.
    pub example: &'static str,
}

/// Whether a call may go without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClearText {
    /// Only to this machine.
    #[default]
    Loopback,
    /// Anywhere: for a network that is secured otherwise.
    Anywhere,
}

/// How to reach a service.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub(crate) service: &'static Service,
    pub(crate) base: Url,
    pub(crate) clear_text: ClearText,
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
    pub(crate) operation: Duration,
    pub(crate) attempts: u32,
    pub(crate) most_bytes: usize,
    pub(crate) root_certificate: Option<PathBuf>,
}

impl HttpSettings {
    /// Settings for a service at this address. Slashes at its end do not matter.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting:
    /// for an address that is none, that holds a password, a query or a fragment.
    pub fn new(service: &'static Service, address: &str) -> Result<Self> {
        let refuse = |problem: &str| {
            let reason = format!("{problem}; write it like {}", service.example);
            Err(Error::configuration(service.setting, reason))
        };
        // The address is not shown: it may hold a password.
        let Ok(mut base) = address.trim().parse::<Url>() else {
            return refuse("is no address");
        };
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return refuse("is no address of a web server");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return refuse("holds a user or a password, which do not belong there");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refuse("has a query or a fragment");
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self {
            service,
            base,
            clear_text: ClearText::default(),
            connect: Duration::from_secs(5),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(30),
            attempts: 4,
            most_bytes: 16 << 20,
            root_certificate: None,
        })
    }

    /// Whether a call may go without encryption.
    #[must_use]
    pub fn clear_text(mut self, clear_text: ClearText) -> Self {
        self.clear_text = clear_text;
        self
    }

    /// How long a connection may take to open; the default is 5 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect = timeout;
        self
    }

    /// How long one attempt may take, its answer included; the default is 10 seconds.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt = timeout;
        self
    }

    /// How long a call may take, with all its attempts and the pauses between them; the default is
    /// 30 seconds.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation = timeout;
        self
    }

    /// How often a call is tried at most; the default is 4.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The largest answer in bytes; the default is 16 MiB.
    #[must_use]
    pub fn most_bytes(mut self, most: usize) -> Self {
        self.most_bytes = most;
        self
    }

    /// A file with the certificates (PEM) of the authority that signed the server's, instead of the
    /// public ones.
    #[must_use]
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificate = Some(file.into());
        self
    }

    /// The address.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// How long a connection may take to open.
    #[must_use]
    pub const fn connect_limit(&self) -> Duration {
        self.connect
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn attempt_limit(&self) -> Duration {
        self.attempt
    }

    /// Refuses clear text to another machine.
    pub(crate) fn check_security(&self) -> Result<()> {
        let is_clear = self.base.scheme() == "http" && self.clear_text == ClearText::Loopback;
        if is_clear && !is_loopback(&self.base) {
            return Err(Error::configuration(
                self.service.setting,
                "would send keys in clear text to another machine; write https",
            ));
        }
        Ok(())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}
