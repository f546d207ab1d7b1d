//! Secrets of accounts, in types that never print them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, Result};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// The secret itself, for the one call that sends or checks it.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            /// Never shows the secret.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// What a client shows to prove who is signed in: an access token, a session's secret, a JWT.
    /// It has no `Display`, and `Debug` does not show it.
    ///
    /// ```
    /// use authorstack_core::BearerToken;
    ///
    /// let token = BearerToken::from_header("Bearer abc.def.ghi")?;
    /// assert_eq!(token.expose(), "abc.def.ghi");
    /// assert_eq!(format!("{token:?}"), "BearerToken(…)");
    /// # Ok::<(), authorstack_core::Error>(())
    /// ```
    BearerToken
}

impl BearerToken {
    /// The most bytes of a token. Longer ones are no tokens, and cost time to look at.
    const MOST: usize = 16_384;

    /// A token.
    ///
    /// # Errors
    /// Unauthenticated if it is empty, very long, or not of visible ASCII characters.
    pub fn new(token: impl Into<String>) -> Result<Self> {
        let token = token.into();
        let is_sound = !token.is_empty()
            && token.len() <= Self::MOST
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sound {
            Ok(Self(token.into()))
        } else {
            Err(Error::unauthenticated())
        }
    }

    /// The token of an `Authorization` header, behind `Bearer`.
    ///
    /// # Errors
    /// Unauthenticated if there is none.
    pub fn from_header(header: &str) -> Result<Self> {
        match header.trim().split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Self::new(token.trim())
            }
            _ => Err(Error::unauthenticated()),
        }
    }
}

secret! {
    /// A password as a person types it. `Debug` does not show it.
    ///
    /// ```
    /// use authorstack_core::Password;
    ///
    /// assert_eq!(format!("{:?}", Password::new("tide and time")?), "Password(…)");
    /// assert!(Password::new("short").is_err());
    /// # Ok::<(), authorstack_core::Error>(())
    /// ```
    Password
}

impl Password {
    /// A new password: 8 characters to 72 bytes, without NUL. Every service takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `password`.
    pub fn new(password: impl Into<String>) -> Result<Self> {
        let password = password.into();
        let problem = if password.chars().count() < 8 {
            "has fewer than 8 characters; choose a longer one"
        } else if password.len() > 72 {
            "has more than 72 bytes, which bcrypt does not take; choose a shorter one"
        } else if password.contains('\0') {
            "holds a NUL character; remove it"
        } else {
            return Ok(Self(password.into()));
        };
        Err(Error::invalid("password", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_header_without_a_token_is_nobodys() {
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "abc",
            "Bearer a b",
            "Bearer ä",
        ] {
            let refused = BearerToken::from_header(header).unwrap_err();
            assert_eq!(refused.kind(), &ErrorKind::Unauthenticated, "{header}");
        }
        assert!(BearerToken::new("x".repeat(16_385)).is_err());
        assert_eq!(BearerToken::from_header("bearer x").unwrap().expose(), "x");
    }

    #[test]
    fn a_password_has_8_characters_to_72_bytes() {
        assert!(Password::new("ä".repeat(8)).is_ok());
        for refused in ["ä".repeat(7), "x".repeat(73), "12345\0_789".to_owned()] {
            let error = Password::new(refused.clone()).unwrap_err();
            assert!(!format!("{error:?} {error}").contains(&refused));
        }
    }
}
