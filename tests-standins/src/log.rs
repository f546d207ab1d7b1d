//! Everything that a test's calls log and answer, to be searched for secrets.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::FmtSpan},
};

/// Everything that is logged at trace level, spans too. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What writes into the log.
    #[must_use]
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("trace"))
            .with_span_events(FmtSpan::FULL)
            .with_writer(self.clone())
            .finish()
    }

    /// Checks that neither the log nor what was said holds one of these. It names a secret by its
    /// place in the list: one may be the key of a real server.
    ///
    /// # Panics
    /// If one of them is found.
    pub fn assert_without<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>, said: &Said) {
        let logged = self.text();
        for (place, secret) in secrets.into_iter().enumerate() {
            let secret = secret.as_ref();
            assert!(!said.0.contains(secret), "secret {place} was said");
            let line = logged.lines().find(|line| line.contains(secret));
            let line = line.map(|line| line.replace(secret, "…"));
            assert_eq!(line, None, "secret {place} was logged");
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What was answered, as a careless host would log it.
#[derive(Debug, Default)]
pub struct Said(pub String);

impl Said {
    /// Adds a value in both forms of `Debug`.
    pub fn add(&mut self, what: &(impl fmt::Debug + ?Sized)) {
        // Writing into a text does not fail.
        let _ = writeln!(self.0, "{what:?} {what:#?}");
    }
}
