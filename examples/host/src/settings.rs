//! The settings: those of `authorstack-migrate`, and a few of the host's own. An environment variable
//! `AUTHORSTACK_MONGODB_URL` wins over `mongodb_url` in `authorstack.toml`.

use std::{io::ErrorKind, path::PathBuf};

use authorstack_core::{Conversion, Error, Result};
use secrecy::SecretString;
use toml::Table;

const FILE: &str = "authorstack.toml";

/// Which stores the host works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In this process, with demo data: nothing is installed, and nothing is kept.
    Memory,
    /// MongoDB, PostgreSQL, Appwrite, Redis.
    Distributed,
    /// Supabase; Redis if there is one.
    Supabase,
}

/// Where the settings come from.
#[derive(Debug, Default)]
pub struct Settings {
    file: Table,
    environment: Vec<(String, String)>,
}

impl Settings {
    /// Reads the environment and the file, if there is one.
    ///
    /// # Errors
    /// Configuration for a file that cannot be read, or is no TOML.
    pub async fn read() -> Result<Self> {
        let text = match tokio::fs::read_to_string(FILE).await {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| Error::configuration(FILE, error.to_string()))?,
        };
        let file = text.parse().map_err(|error: toml::de::Error| {
            Error::configuration(FILE, error.message().to_owned())
        })?;
        Ok(Self {
            file,
            environment: std::env::vars().collect(),
        })
    }

    /// Settings that are given, by their names in the file.
    pub fn of(given: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let environment = given.into_iter();
        Self {
            file: Table::new(),
            environment: environment
                .map(|(key, value)| (variable(key), value))
                .collect(),
        }
    }

    /// A setting; an empty one is none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let variable = variable(key);
        let mut environment = self.environment.iter();
        let set = environment.find(|(name, value)| *name == variable && !value.is_empty());
        let set = set.map(|(_, value)| value.as_str());
        set.or_else(|| self.file.get(key)?.as_str())
    }

    /// A setting that the backend cannot do without.
    ///
    /// # Errors
    /// Configuration, naming it.
    pub fn need(&self, key: &'static str) -> Result<&str> {
        self.get(key).ok_or_else(|| {
            let reason = format!("is missing; set {} or {key} in {FILE}", variable(key));
            Error::configuration(key, reason)
        })
    }

    /// A secret that the backend cannot do without.
    ///
    /// # Errors
    /// Configuration, naming it.
    pub fn secret(&self, key: &'static str) -> Result<SecretString> {
        self.need(key).map(SecretString::from)
    }

    /// The file with the certificate of a store's authority.
    #[must_use]
    pub fn file(&self, key: &str) -> Option<PathBuf> {
        self.get(key).map(PathBuf::from)
    }

    /// `backend`: `memory`, `distributed` or `supabase`; memory without it.
    ///
    /// # Errors
    /// Configuration for another one.
    pub fn backend(&self) -> Result<Backend> {
        match self.get("backend").unwrap_or("memory") {
            "memory" => Ok(Backend::Memory),
            "distributed" => Ok(Backend::Distributed),
            "supabase" => Ok(Backend::Supabase),
            _ => Err(Error::configuration(
                "backend",
                "is none of memory, distributed, supabase",
            )),
        }
    }

    /// `listen`: where the host listens; `127.0.0.1:8080` without it.
    #[must_use]
    pub fn listen(&self) -> &str {
        self.get("listen").unwrap_or("127.0.0.1:8080")
    }

    /// `allowed_origins`: the web pages of other addresses that may call the host, with commas.
    pub fn allowed_origins(&self) -> impl Iterator<Item = &str> {
        let origins = self.get("allowed_origins").unwrap_or_default().split(',');
        origins.map(str::trim).filter(|origin| !origin.is_empty())
    }

    /// `rates`: what other currencies are worth in dollars, such as `EUR=1.08,GBP=1.27`. The roll-ups
    /// are in dollars; days with a currency without a rate are named as gaps.
    ///
    /// # Errors
    /// Configuration for what is no rate.
    pub fn conversion(&self) -> Result<Conversion> {
        let mut conversion = Conversion::into("USD".parse()?);
        for rate in self.get("rates").unwrap_or_default().split(',') {
            if rate.trim().is_empty() {
                continue;
            }
            let (currency, rate) = rate.trim().split_once('=').ok_or_else(wrong_rates)?;
            let rate = rate.parse().map_err(|_| wrong_rates())?;
            conversion = conversion.rate(currency.parse()?, rate)?;
        }
        Ok(conversion)
    }
}

fn wrong_rates() -> Error {
    Error::configuration("rates", "are not in the form EUR=1.08,GBP=1.27")
}

/// The variable of a setting.
fn variable(key: &str) -> String {
    format!("AUTHORSTACK_{}", key.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_wins_over_the_file_and_an_empty_one_is_none() {
        let mut settings = Settings::of([("mongodb_url", "from-variable".to_owned())]);
        settings.file = "mongodb_url = 'a'\nredis_url = 'b'".parse().unwrap();
        assert_eq!(settings.get("mongodb_url"), Some("from-variable"));
        assert_eq!(settings.get("redis_url"), Some("b"));
        let error = settings.need("postgres_url").unwrap_err().to_string();
        assert!(error.contains("AUTHORSTACK_POSTGRES_URL"), "{error}");
        let settings = Settings::of([("backend", String::new())]);
        assert_eq!(settings.backend().unwrap(), Backend::Memory);
    }

    #[test]
    fn rates_are_read() {
        let rates = Settings::of([("rates", "EUR=1.08, GBP=1.27".to_owned())]);
        assert_eq!(rates.conversion().unwrap().rates().count(), 3);
        for wrong in ["EUR", "EUR=x", "EURO=1"] {
            let rates = Settings::of([("rates", wrong.to_owned())]);
            assert!(rates.conversion().is_err(), "{wrong}");
        }
    }
}
