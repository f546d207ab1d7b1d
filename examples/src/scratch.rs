//! Databases for one use: a MongoDB as an old app leaves it, and a Supabase project's database.

use std::time::Duration;

use anyhow::{Context, Result};
use mongodb::Client;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::sleep;
use url::Url;

/// The template of `cargo xtask services`: a database like a hosted Supabase project's.
const TEMPLATE: &str = "authorstack_template";

/// A pair of databases of the same name, on two servers.
#[derive(Debug, Clone)]
pub struct Scratch {
    name: String,
    mongodb: Url,
    supabase: Url,
}

impl Scratch {
    /// Makes the databases. The name consists of letters, digits and underscores.
    ///
    /// # Errors
    /// When a URL is none, a server does not answer, or the template is missing.
    pub async fn create(name: &str, mongodb_url: &str, supabase_db_url: &str) -> Result<Self> {
        anyhow::ensure!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name:?} is no name for a database"
        );
        let mut scratch = Self {
            name: name.to_owned(),
            mongodb: mongodb_url.parse().context("the URL of MongoDB")?,
            supabase: supabase_db_url
                .parse()
                .context("the URL of Supabase's database")?,
        };
        let mut admin = scratch.admin().await?;
        let create = format!("create database {name} template {TEMPLATE}");
        admin.execute(AssertSqlSafe(create)).await?;
        admin.close().await?;
        scratch.mongodb.set_path(name);
        Ok(scratch)
    }

    async fn admin(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(self.supabase.as_str()).await?)
    }

    /// The MongoDB database, by its URL.
    #[must_use]
    pub fn mongodb_url(&self) -> &str {
        self.mongodb.as_str()
    }

    /// The Supabase database, by its URL.
    #[must_use]
    pub fn supabase_db_url(&self) -> String {
        self.through(&self.supabase)
    }

    /// The Supabase database through another server, such as a pooler.
    #[must_use]
    pub fn through(&self, server: &Url) -> String {
        let mut url = server.clone();
        url.set_path(&self.name);
        url.into()
    }

    /// The MongoDB database.
    ///
    /// # Errors
    /// When the URL is none of MongoDB's.
    pub async fn mongodb(&self) -> Result<mongodb::Database> {
        let client = Client::with_uri_str(self.mongodb_url()).await?;
        Ok(client.database(&self.name))
    }

    /// A connection to the Supabase database.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn supabase(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.supabase_db_url()).await?)
    }

    /// Removes the databases.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn remove(&self) -> Result<()> {
        self.mongodb().await?.drop().await?;
        let mut admin = self.admin().await?;
        let drop = format!("drop database if exists {} with (force)", self.name);
        // Refused while autovacuum, which is the superuser's, is in the database.
        for _ in 0..50 {
            let outcome = admin.execute(AssertSqlSafe(drop.clone())).await;
            let busy = |error: &sqlx::Error| {
                let code = error
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code);
                matches!(code.as_deref(), Some("42501" | "55006"))
            };
            match outcome {
                Err(error) if busy(&error) => sleep(Duration::from_millis(200)).await,
                other => {
                    other?;
                    return Ok(admin.close().await?);
                }
            }
        }
        anyhow::bail!("the database {} stays in use", self.name)
    }
}
