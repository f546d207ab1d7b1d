#![doc = include_str!("../README.md")]

mod accounts;
mod api;
mod authenticators;
mod config;
mod error;
mod fields;
mod hash;
mod identities;
mod page;
mod preferences;
mod query;
mod realtime;
mod repositories;
mod rows;
mod schema;
mod sessions;
mod settings;
mod store;
mod task;
mod token;
mod user;
mod watch;
mod webhooks;
mod write;

pub use authenticators::{SessionAuthenticator, TokenAuthenticator};
pub use config::{AppwriteConfig, AuthenticatorKind, RowsApi};
pub use store::AppwriteAccounts;
pub use webhooks::{Delivery, DeliveryKey, SeenDeliveries, Webhook, WebhookEvent};
