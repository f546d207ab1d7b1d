//! How a connection to a store is secured.

use std::{fmt, net::IpAddr};

/// How a connection to a store is secured. The stores tell it, and the tool's `plan` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionSecurity {
    /// The connection does not leave this machine, and need not be encrypted.
    Local,
    /// Clear text goes over a network, since the address asks for it. Everyone on the way can read
    /// and change what is sent.
    ClearText,
    /// Encrypted, but for whoever answers: the server's certificate is not checked.
    Unverified,
    /// Encrypted. The certificate's issuer is checked; the host name in it is not.
    VerifiedIssuer,
    /// Encrypted. The certificate's issuer and the host name in it are checked.
    Verified,
}

impl ConnectionSecurity {
    /// The value in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::ClearText => "clear_text",
            Self::Unverified => "unverified",
            Self::VerifiedIssuer => "verified_issuer",
            Self::Verified => "verified",
        }
    }

    /// Whether a host is this machine: `localhost`, or an address of the loopback network.
    #[must_use]
    pub fn is_this_machine(host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for ConnectionSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "stays on this machine",
            Self::ClearText => "CLEAR TEXT, as the address asks for",
            Self::Unverified => "encrypted, but the server's certificate is NOT CHECKED",
            Self::VerifiedIssuer => {
                "encrypted; the certificate's issuer is checked, the host name in it is not"
            }
            Self::Verified => "encrypted; the certificate and its host name are checked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(ConnectionSecurity::is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "db",
            "db.example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "0.0.0.0",
            "10.0.0.1",
            "192.168.0.1",
            "::",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!ConnectionSecurity::is_this_machine(host), "{host}");
        }
    }
}
