//! What AuthorStack's backends on HTTP services share: deadlines, retries for calls that may be
//! repeated, limits for answers, and errors that never show a secret.
//!
//! A host uses `authorstack-supabase` or `authorstack-appwrite`. The API of this crate is not
//! stable for other users.
//!
//! - TLS is rustls with `ring`, and the roots of `webpki-roots` or a file of the host's. Clear text
//!   goes to this machine only, unless [`HttpSettings::clear_text`] allows it.
//! - Redirects are not followed: they would carry a key to another server.
//! - A call is repeated only if that cannot do it twice: see [`Request::repeatable`].

mod answer;
mod client;
mod error;
mod inner;
mod request;
mod retry;
mod settings;
mod tls;

pub use answer::Answer;
pub use client::HttpClient;
pub use request::Request;
pub use reqwest::{Method, StatusCode, header::HeaderMap};
pub use settings::{ClearText, HttpSettings, Service};
