//! The stores that the tool can connect to, as a table: a new store is a new row.

use std::{path::PathBuf, sync::Arc};

use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    ConnectionSecurity, Error, ErrorKind, Result,
    migrate::{
        AccountSink, AccountSource, Anonymous, Destination, Kind, Ledger, SameAddress, Sink,
        Snapshot,
    },
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{IdForm, IdForms, IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use futures::future::{BoxFuture, FutureExt};
use secrecy::{ExposeSecret, SecretString};

use crate::cli::Side;

/// What a store is reached by.
pub(crate) struct Access {
    pub(crate) url: SecretString,
    /// The certificate of the authority that signs the server's.
    pub(crate) ca_file: Option<PathBuf>,
    /// What the UUIDs of the analytics mean; if none, the database is asked.
    pub(crate) postgres_ids: Option<IdForm>,
    pub(crate) id_map: IdMap,
    /// The kinds to move.
    pub(crate) kinds: Vec<Kind>,
    /// A store of the users and books, which tells what UUIDs mean.
    pub(crate) known: Option<Arc<dyn Snapshot>>,
    /// What it needs beside its address, in the order of [`Endpoint::more`].
    pub(crate) more: Vec<SecretString>,
    /// Whether records move from it.
    pub(crate) is_source: bool,
    /// What becomes of anonymous accounts.
    pub(crate) anonymous: Anonymous,
    /// Which one of several accounts with one address moves.
    pub(crate) same_address: SameAddress,
}

/// A store by its setting.
pub(crate) struct Endpoint {
    /// The setting that holds its address: as a flag, in the environment and in the file.
    pub(crate) setting: &'static str,
    /// The setting that names the file with the authority's certificate.
    pub(crate) ca_setting: Option<&'static str>,
    /// The settings that it needs beside its address.
    pub(crate) more: &'static [&'static str],
    /// Which side of a move it is on.
    pub(crate) side: Side,
    /// The kinds that it holds.
    pub(crate) kinds: &'static [Kind],
    pub(crate) open: fn(Access) -> BoxFuture<'static, Result<Opened>>,
}

/// The settings of a project at Appwrite, beside its endpoint.
pub(crate) const APPWRITE: &[&str] = &["appwrite_project", "appwrite_key"];

/// Every store, those of one side in the order in which they are looked at.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        setting: "mongodb_url",
        ca_setting: Some("mongodb_ca_file"),
        more: &[],
        side: Side::Services,
        kinds: Kind::DOCUMENTS,
        open: |access| mongodb(access).boxed(),
    },
    Endpoint {
        setting: "postgres_url",
        ca_setting: Some("postgres_ca_file"),
        more: &[],
        side: Side::Services,
        kinds: Kind::ANALYTICS,
        open: |access| postgres(access).boxed(),
    },
    Endpoint {
        setting: "appwrite_endpoint",
        ca_setting: None,
        more: APPWRITE,
        side: Side::Services,
        kinds: Kind::ACCOUNTS,
        open: |access| appwrite(access).boxed(),
    },
    Endpoint {
        setting: "supabase_db_url",
        ca_setting: Some("supabase_ca_file"),
        more: &[],
        side: Side::Supabase,
        kinds: Kind::ALL,
        open: |access| supabase(access).boxed(),
    },
];

/// A store that is connected, as either side of a move.
pub(crate) struct Opened {
    /// How its connections are secured.
    pub(crate) security: ConnectionSecurity,
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) sink: Arc<dyn Sink>,
    /// The store as a destination that keeps the ledger itself, where it does.
    pub(crate) destination: Option<Destination>,
    /// The ledger of a move out of the store, where it keeps one.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// What its UUIDs mean, where it was asked.
    pub(crate) ids: Option<FoundIds>,
}

/// What the UUIDs of the analytics mean, as their database shows.
#[derive(Debug, Clone)]
pub(crate) struct FoundIds {
    pub(crate) form: IdForm,
    pub(crate) forms: IdForms,
}

async fn mongodb(access: Access) -> Result<Opened> {
    let mut config = MongoConfig::new(access.url);
    if let Some(file) = access.ca_file {
        config = config.root_certificate(file);
    }
    let store = Arc::new(MongoStore::connect(config).await?);
    Ok(Opened {
        security: store.security(),
        snapshot: store.clone(),
        sink: store,
        destination: None,
        ledger: None,
        ids: None,
    })
}

async fn postgres(access: Access) -> Result<Opened> {
    let mut config = PostgresConfig::new(access.url.expose_secret());
    if let Some(file) = access.ca_file {
        config = config.root_certificate(file);
    }
    let store = PostgresStore::connect(config).await?;
    let (form, ids) = if let Some(form) = access.postgres_ids {
        (form, None)
    } else {
        let looking = store.migration(access.id_map.clone());
        let known = access.known.as_deref();
        let forms = looking.id_forms(&access.kinds, known).await?;
        let form = forms.decide()?;
        (form, Some(FoundIds { form, forms }))
    };
    let store = store.with_ids(form);
    let records = Arc::new(store.migration(access.id_map));
    Ok(Opened {
        security: store.security(),
        snapshot: records.clone(),
        sink: records,
        destination: None,
        ledger: None,
        ids,
    })
}

async fn appwrite(access: Access) -> Result<Opened> {
    let mut more = access.more.into_iter();
    let (project, key) = (more.next().unwrap_or_default(), more.next());
    let endpoint = access.url.expose_secret();
    // Clear text goes to this machine only: the crate refuses it otherwise.
    let security = if endpoint.starts_with("https:") {
        ConnectionSecurity::Verified
    } else {
        ConnectionSecurity::Local
    };
    let config = AppwriteConfig::new(endpoint, project.expose_secret(), key.unwrap_or_default());
    let service = AppwriteAccounts::new(config).map_err(by_our_names)?;
    let sink = Arc::new(AccountSink::new(&service));
    Snapshot::check(&*sink, Kind::ACCOUNTS)
        .await
        .map_err(by_our_names)?;
    let snapshot: Arc<dyn Snapshot> = if access.is_source {
        let source = AccountSource::new(&service).for_supabase();
        let source = source.anonymous(access.anonymous);
        Arc::new(source.same_address(access.same_address))
    } else {
        sink.clone()
    };
    Ok(Opened {
        security,
        snapshot,
        sink,
        destination: None,
        ledger: None,
        ids: None,
    })
}

/// The tool's settings have other names than those of the crate.
fn by_our_names(error: Error) -> Error {
    let ErrorKind::Configuration { setting, reason } = error.kind() else {
        return error;
    };
    let ours = match setting.as_ref() {
        "appwrite_project_id" => "appwrite_project",
        "appwrite_api_key" => "appwrite_key",
        _ => return error,
    };
    Error::configuration(ours, reason.clone())
}

async fn supabase(access: Access) -> Result<Opened> {
    let mut config = SupabaseConfig::new(access.url.expose_secret());
    if let Some(file) = access.ca_file {
        config = config.root_certificate(file);
    }
    let store = SupabaseStore::connect(config).await?;
    let moves_accounts = access
        .kinds
        .iter()
        .any(|kind| Kind::ACCOUNTS.contains(kind));
    let records = store.migration();
    let records = Arc::new(if moves_accounts {
        records.with_accounts()
    } else {
        records
    });
    Ok(Opened {
        security: store.security(),
        snapshot: records.clone(),
        sink: records.clone(),
        destination: Some(Destination::transactional(records)),
        ledger: Some(Arc::new(store.return_ledger())),
        ids: None,
    })
}
