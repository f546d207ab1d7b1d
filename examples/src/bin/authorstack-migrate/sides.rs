//! Connects to both sides of a move.

use std::sync::Arc;

use authorstack_core::{
    ConnectionSecurity, Error, ErrorKind, Result,
    migrate::{Destination, Kind, SinkSet, Snapshot, SourceSet, Strict},
};

use crate::{
    endpoints::{ENDPOINTS, Endpoint, FoundIds, Opened},
    settings::{Settings, missing},
};

/// Both sides of a move.
pub(crate) struct Sides {
    pub(crate) source: Arc<dyn Snapshot>,
    pub(crate) target: Destination,
    /// How the connections are secured, by the settings of their addresses.
    pub(crate) security: Vec<(&'static str, ConnectionSecurity)>,
    /// What the UUIDs of the analytics mean, where the tool found out.
    pub(crate) ids: Option<FoundIds>,
}

impl Sides {
    /// Connects to the stores that the settings name and that hold one of the kinds.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let mut sources: Vec<Opened> = Vec::new();
        let mut targets: Vec<Opened> = Vec::new();
        let mut security = Vec::new();
        let mut ids = None;
        let needed = ENDPOINTS.iter().filter(|endpoint| settings.needs(endpoint));
        let needed: Vec<&Endpoint> = needed.collect();
        // Stores of users come first: they tell what the ids of the others mean.
        let holds_users = |endpoint: &&&Endpoint| endpoint.kinds.contains(&Kind::Users);
        let first = needed.iter().filter(holds_users);
        let others = needed.iter().filter(|endpoint| !holds_users(endpoint));
        let mut opened: Vec<(&Endpoint, Opened)> = Vec::new();
        for endpoint in first.chain(others) {
            let known = opened
                .iter()
                .find(|(other, _)| other.kinds.contains(&Kind::Users));
            let known = known.map(|(_, known)| known.snapshot.clone());
            let store = (endpoint.open)(settings.access(endpoint, known)?).await;
            let store = store.map_err(|error| at_start(endpoint.setting, error))?;
            opened.push((endpoint, store));
        }
        opened.sort_by_key(|(endpoint, _)| {
            needed
                .iter()
                .position(|other| other.setting == endpoint.setting)
        });
        for (endpoint, opened) in opened {
            security.push((endpoint.setting, opened.security));
            ids = ids.or_else(|| opened.ids.clone());
            if endpoint.side == settings.from {
                sources.push(opened);
            } else {
                targets.push(opened);
            }
        }
        let ledger = sources.iter().find_map(|source| source.ledger.clone());
        let alone = match targets.as_slice() {
            [only] => only.destination.clone(),
            _ => None,
        };
        let target = if let Some(destination) = alone {
            destination
        } else {
            let ledger = ledger.ok_or_else(|| missing("supabase_db_url"))?;
            let set = targets.into_iter().fold(SinkSet::new(), |set, target| {
                set.with_sides(target.sink, target.snapshot)
            });
            Destination::paired(Arc::new(set), ledger)
        };
        let sources = sources.into_iter().map(|source| source.snapshot).collect();
        let source: Arc<dyn Snapshot> = Arc::new(SourceSet::new(sources));
        let source = if settings.strict {
            Arc::new(Strict::new(source))
        } else {
            source
        };
        Ok(Self {
            source,
            target,
            security,
            ids,
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
