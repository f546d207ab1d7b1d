//! Realtime: Appwrite's events over a WebSocket.
//!
//! The server rarely refuses a bad login: it takes it for a guest's, who sees public rows alone. So
//! the user in its first message is checked. It never notices the end of a login either: the watch
//! asks for that itself.

mod connection;
mod feed;
mod message;

pub(crate) use feed::Feed;
