//! The stores that the tool can connect to, as a table: a new store is a new row.

use std::sync::Arc;

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{Destination, Kind, Ledger, Sink, SinkSet, Snapshot, SourceSet},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use futures::future::{BoxFuture, FutureExt};
use secrecy::ExposeSecret;

use crate::{
    cli::Side,
    settings::{Settings, missing},
};

/// A store by its setting.
pub(crate) struct Endpoint {
    /// The setting that holds its address: as a flag, in the environment and in the file.
    pub(crate) setting: &'static str,
    /// Which side of a move it is on.
    pub(crate) side: Side,
    /// The kinds that it holds.
    pub(crate) kinds: &'static [Kind],
    open: for<'s> fn(&'s Settings) -> BoxFuture<'s, Result<Opened>>,
}

/// Every store, those of one side in the order in which they are looked at.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        setting: "mongodb_url",
        side: Side::Services,
        kinds: Kind::DOCUMENTS,
        open: |settings| mongodb(settings).boxed(),
    },
    Endpoint {
        setting: "postgres_url",
        side: Side::Services,
        kinds: Kind::ANALYTICS,
        open: |settings| postgres(settings).boxed(),
    },
    Endpoint {
        setting: "supabase_db_url",
        side: Side::Supabase,
        kinds: Kind::ALL,
        open: |settings| supabase(settings).boxed(),
    },
];

/// A store that is connected, as either side of a move.
struct Opened {
    snapshot: Arc<dyn Snapshot>,
    sink: Arc<dyn Sink>,
    /// The store as a destination that keeps the ledger itself, where it does.
    destination: Option<Destination>,
    /// The ledger of a move out of the store, where it keeps one.
    ledger: Option<Arc<dyn Ledger>>,
}

async fn mongodb(settings: &Settings) -> Result<Opened> {
    let url = settings.address("mongodb_url")?;
    let store = Arc::new(MongoStore::connect(MongoConfig::new(url.clone())).await?);
    Ok(Opened {
        snapshot: store.clone(),
        sink: store,
        destination: None,
        ledger: None,
    })
}

async fn postgres(settings: &Settings) -> Result<Opened> {
    let url = settings.address("postgres_url")?;
    let config = PostgresConfig::new(url.expose_secret()).ids(settings.postgres_ids);
    let store = PostgresStore::connect(config).await?;
    let records = Arc::new(store.migration(settings.id_map.clone()));
    Ok(Opened {
        snapshot: records.clone(),
        sink: records,
        destination: None,
        ledger: None,
    })
}

async fn supabase(settings: &Settings) -> Result<Opened> {
    let url = settings.address("supabase_db_url")?;
    let store = SupabaseStore::connect(SupabaseConfig::new(url.expose_secret())).await?;
    let records = Arc::new(store.migration());
    Ok(Opened {
        snapshot: records.clone(),
        sink: records.clone(),
        destination: Some(Destination::transactional(records)),
        ledger: Some(Arc::new(store.return_ledger())),
    })
}

/// Both sides of a move.
pub(crate) struct Sides {
    pub(crate) source: Arc<dyn Snapshot>,
    pub(crate) target: Destination,
}

impl Sides {
    /// Connects to the stores that the settings name and that hold one of the kinds.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let mut sources: Vec<Opened> = Vec::new();
        let mut targets: Vec<Opened> = Vec::new();
        for endpoint in ENDPOINTS {
            if !settings.needs(endpoint) {
                continue;
            }
            let opened = (endpoint.open)(settings).await;
            let opened = opened.map_err(|error| at_start(endpoint.setting, error))?;
            if endpoint.side == settings.from {
                sources.push(opened);
            } else {
                targets.push(opened);
            }
        }
        let ledger = sources.iter().find_map(|source| source.ledger.clone());
        let target = if let [
            Opened {
                destination: Some(destination),
                ..
            },
        ] = targets.as_slice()
        {
            destination.clone()
        } else {
            let ledger = ledger.ok_or_else(|| missing("supabase_db_url"))?;
            let set = targets.into_iter().fold(SinkSet::new(), |set, target| {
                set.with_sides(target.sink, target.snapshot)
            });
            Destination::paired(Arc::new(set), ledger)
        };
        let sources = sources.into_iter().map(|source| source.snapshot).collect();
        Ok(Self {
            source: Arc::new(SourceSet::new(sources)),
            target,
        })
    }
}

/// When a store cannot be reached at all, its setting is most likely wrong.
fn at_start(setting: &'static str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable { reason } => Error::configuration(setting, reason.clone()),
        ErrorKind::Timeout { .. } => {
            let reason = format!(
                "{}; check the address, and that the server is running",
                error.kind()
            );
            Error::configuration(setting, reason)
        }
        _ => error,
    }
}
