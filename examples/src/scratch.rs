//! Databases for one use: a MongoDB and a PostgreSQL as an old app leaves them, and a Supabase
//! project's database.

use std::time::Duration;

use anyhow::{Context, Result};
use mongodb::Client;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::sleep;
use url::Url;

/// The template of `cargo xtask services`: a database like a hosted Supabase project's.
const TEMPLATE: &str = "authorstack_template";

/// The schema's tables as its own SQL makes them.
const SCHEMA: &str = include_str!("../schema.sql");

/// Databases of the same name, on two servers or three.
#[derive(Debug, Clone)]
pub struct Scratch {
    name: String,
    mongodb: Url,
    supabase: Url,
    postgres: Option<Url>,
}

impl Scratch {
    /// Makes the databases. The name consists of letters, digits and underscores.
    ///
    /// # Errors
    /// When a URL is malformed, a server does not answer, or the template is missing.
    pub async fn create(name: &str, mongodb_url: &str, supabase_db_url: &str) -> Result<Self> {
        Self::create_from(TEMPLATE, name, mongodb_url, supabase_db_url).await
    }

    /// Makes other databases, with a copy of this Supabase database. Nobody may be connected to it
    /// meanwhile.
    ///
    /// # Errors
    /// When a server does not answer, or the database is in use.
    pub async fn copy(&self, name: &str) -> Result<Self> {
        let (mongodb, supabase) = (self.mongodb.as_str(), self.supabase.as_str());
        Self::create_from(&self.name, name, mongodb, supabase).await
    }

    async fn create_from(
        template: &str,
        name: &str,
        mongodb_url: &str,
        supabase_db_url: &str,
    ) -> Result<Self> {
        anyhow::ensure!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name:?} is not a valid name for a database"
        );
        let mut scratch = Self {
            name: name.to_owned(),
            mongodb: mongodb_url.parse().context("the URL of MongoDB")?,
            supabase: supabase_db_url
                .parse()
                .context("the URL of Supabase's database")?,
            postgres: None,
        };
        let mut admin = PgConnection::connect(scratch.supabase.as_str()).await?;
        let create = format!("create database {name} template {template}");
        admin.execute(AssertSqlSafe(create)).await?;
        admin.close().await?;
        scratch.mongodb.set_path(name);
        Ok(scratch)
    }

    /// Makes a database for the analytics, too, with the schema's own tables.
    ///
    /// # Errors
    /// When the URL is malformed, or the server does not answer.
    pub async fn with_postgres(self, postgres_url: &str) -> Result<Self> {
        let scratch = self.with_empty_postgres(postgres_url).await?;
        scratch.postgres().await?.execute(SCHEMA).await?;
        Ok(scratch)
    }

    /// Makes a database for the analytics, too, without any table.
    ///
    /// # Errors
    /// When the URL is malformed, or the server does not answer.
    pub async fn with_empty_postgres(mut self, postgres_url: &str) -> Result<Self> {
        let server: Url = postgres_url.parse().context("the URL of PostgreSQL")?;
        let mut admin = PgConnection::connect(server.as_str()).await?;
        let create = format!("create database {} template template0", self.name);
        admin.execute(AssertSqlSafe(create)).await?;
        admin.close().await?;
        self.postgres = Some(server);
        Ok(self)
    }

    /// The database of the analytics, by its URL, where there is one.
    #[must_use]
    pub fn postgres_url(&self) -> Option<String> {
        self.postgres.as_ref().map(|server| self.through(server))
    }

    /// A connection to the database of the analytics.
    ///
    /// # Errors
    /// When there is none, or the server does not answer.
    pub async fn postgres(&self) -> Result<PgConnection> {
        let url = self
            .postgres_url()
            .context("there is no database of the analytics")?;
        Ok(PgConnection::connect(&url).await?)
    }

    /// The name of the databases.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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
    /// When the URL is not one of MongoDB.
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
        for server in self.postgres.iter().chain([&self.supabase]) {
            self.drop_from(server).await?;
        }
        Ok(())
    }

    async fn drop_from(&self, server: &Url) -> Result<()> {
        let mut admin = PgConnection::connect(server.as_str()).await?;
        let drop = format!("drop database if exists {} with (force)", self.name);
        // Refused while autovacuum, which belongs to the superuser, works in the database.
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
        anyhow::bail!("the database {} is still in use", self.name)
    }
}
