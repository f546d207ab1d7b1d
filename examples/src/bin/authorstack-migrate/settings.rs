//! Settings: a flag wins over the environment, the environment over the file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use authorstack_core::{
    Error, Result,
    migrate::{Anonymous, BatchLimits, Kind, RunOptions, SameAddress, Snapshot},
};
use authorstack_postgres::{IdForm, IdMap};
use authorstack_redis::RedisConfig;
use authorstack_supabase::{SupabaseAuthConfig, SupabaseConfig};
use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use crate::{
    cli::{Ids, Keeper, Options, Side},
    endpoints::{APPWRITE, Access, ENDPOINTS, Endpoint},
};

const DEFAULT_FILE: &str = "authorstack.toml";
const DEFAULT_REJECTS: &str = "authorstack-rejects.jsonl";
const DEFAULT_SET_ASIDE: &str = "authorstack-set-aside.jsonl";
const KEYS: &[&str] = &[
    "from",
    "mongodb_url",
    "mongodb_ca_file",
    "postgres_url",
    "postgres_ca_file",
    "postgres_ids",
    "id_map_file",
    "appwrite_endpoint",
    APPWRITE[0],
    APPWRITE[1],
    "move_anonymous",
    "same_address",
    "supabase_db_url",
    SUPABASE_CA_FILE,
    AUTH,
    SERVICE_KEY,
    REDIS,
    REDIS_CA_FILE,
    "kinds",
    "rejects_file",
    "set_aside_file",
    "strict",
    "batch_records",
    "batch_bytes",
];

/// The setting of the cache's address, and of its authority's certificate. The cache is no side of a
/// move.
const REDIS: &str = "redis_url";
const REDIS_CA_FILE: &str = "redis_ca_file";

/// The settings of a project's database and of its Auth server.
const SUPABASE: &str = "supabase_db_url";
const SUPABASE_CA_FILE: &str = "supabase_ca_file";
const AUTH: &str = "supabase_auth_url";
const SERVICE_KEY: &str = "supabase_service_key";

/// How a project's accounts are reached.
pub(crate) struct ProjectAccess {
    pub(crate) database: SupabaseConfig,
    pub(crate) auth_url: String,
    pub(crate) auth: SupabaseAuthConfig,
}

/// Where the accounts of the project are.
pub(crate) async fn project(options: &Options) -> Result<ProjectAccess> {
    let file = read(options.config.as_deref()).await?;
    let need = |key, given: &Option<SecretString>| {
        file.address(key, given.as_ref())?
            .ok_or_else(|| missing(key))
    };
    let database = need(SUPABASE, &options.supabase_db_url)?;
    let mut database = SupabaseConfig::new(database.expose_secret());
    let given = options.supabase_ca_file.as_deref();
    let certificate = match given.filter(|file| !file.as_os_str().is_empty()) {
        Some(certificate) => Some(certificate),
        None => file.text(SUPABASE_CA_FILE)?.map(Path::new),
    };
    if let Some(certificate) = certificate {
        database = database.root_certificate(certificate);
    }
    let auth = need(AUTH, &options.supabase_auth_url)?;
    let key = need(SERVICE_KEY, &options.supabase_service_key)?;
    Ok(ProjectAccess {
        database,
        auth_url: auth.expose_secret().to_owned(),
        auth: SupabaseAuthConfig::new(auth.expose_secret(), key),
    })
}

/// Where the accounts of the project are, if both its Auth server and a key are given.
pub(crate) async fn project_if_given(options: &Options) -> Result<Option<ProjectAccess>> {
    let file = read(options.config.as_deref()).await?;
    let auth = file.address(AUTH, options.supabase_auth_url.as_ref())?;
    let key = file.address(SERVICE_KEY, options.supabase_service_key.as_ref())?;
    match (auth, key) {
        (Some(_), Some(_)) => project(options).await.map(Some),
        _ => Ok(None),
    }
}

/// Where the cache is.
pub(crate) async fn redis(options: &Options) -> Result<RedisConfig> {
    let file = read(options.config.as_deref()).await?;
    let address = file.address(REDIS, options.redis_url.as_ref())?;
    let config = RedisConfig::new(address.ok_or_else(|| missing(REDIS))?);
    let given = options.redis_ca_file.as_deref();
    let certificate = match given.filter(|file| !file.as_os_str().is_empty()) {
        Some(certificate) => Some(certificate),
        None => file.text(REDIS_CA_FILE)?.map(Path::new),
    };
    Ok(match certificate {
        Some(certificate) => config.root_certificate(certificate),
        None => config,
    })
}

pub(crate) struct Settings {
    /// The side that records move from.
    pub(crate) from: Side,
    /// The addresses by their settings.
    addresses: BTreeMap<&'static str, SecretString>,
    /// The files with the certificates of authorities, by the setting of the address.
    ca_files: BTreeMap<&'static str, PathBuf>,
    /// What the UUIDs of the analytics mean; none where the tool finds out.
    postgres_ids: Option<IdForm>,
    id_map: IdMap,
    pub(crate) rejects_file: PathBuf,
    pub(crate) set_aside_file: PathBuf,
    anonymous: Anonymous,
    same_address: SameAddress,
    /// Whether a value that makes no sense rejects its record wherever it stands.
    pub(crate) strict: bool,
    pub(crate) run: RunOptions,
}

impl Settings {
    pub(crate) async fn of(options: &Options) -> Result<Self> {
        let file = read(options.config.as_deref()).await?;
        let defaults = BatchLimits::default();
        let named = match (options.kinds.is_empty(), file.kinds()?) {
            (false, _) => Some(options.kinds.clone()),
            (true, kinds) => kinds,
        };
        let size = |flag: Option<u32>, key, default| match flag {
            Some(flag) => Ok(flag as usize),
            None => file.size(key).map(|size| size.unwrap_or(default)),
        };
        let limits = BatchLimits {
            records: size(options.batch_records, "batch_records", defaults.records)?,
            bytes: size(options.batch_bytes, "batch_bytes", defaults.bytes)?,
        };
        let (mut addresses, mut ca_files) = (BTreeMap::new(), BTreeMap::new());
        for endpoint in ENDPOINTS {
            for &setting in [endpoint.setting].iter().chain(endpoint.more) {
                if let Some(address) = file.address(setting, options.address(setting))? {
                    addresses.insert(setting, address);
                }
            }
            let Some(setting) = endpoint.ca_setting else {
                continue;
            };
            let flag = options.ca_file(setting).map(PathBuf::as_path);
            let file = match flag.filter(|file| !file.as_os_str().is_empty()) {
                Some(file) => Some(file),
                None => file.text(setting)?.map(Path::new),
            };
            if let Some(file) = file {
                ca_files.insert(endpoint.setting, file.to_owned());
            }
        }
        let kinds = kinds(named, &addresses)?;
        let rejects_file = match &options.rejects_file {
            Some(path) => Some(path.clone()),
            None => file.text("rejects_file")?.map(PathBuf::from),
        };
        let rejects_file = rejects_file.unwrap_or_else(|| DEFAULT_REJECTS.into());
        let set_aside_file = match &options.set_aside_file {
            Some(path) => Some(path.clone()),
            None => file.text("set_aside_file")?.map(PathBuf::from),
        };
        Ok(Self {
            from: file.from(options.from)?,
            addresses,
            ca_files,
            postgres_ids: file.ids(options.postgres_ids)?,
            id_map: file.id_map(options.id_map_file.as_deref()).await?,
            set_aside_file: set_aside_file
                .unwrap_or_else(|| rejects_file.with_file_name(DEFAULT_SET_ASIDE)),
            rejects_file,
            anonymous: if options.move_anonymous || file.flag("move_anonymous")? {
                Anonymous::Move
            } else {
                Anonymous::Reject
            },
            same_address: file.same_address(options.same_address)?,
            strict: options.strict || file.flag("strict")?,
            run: RunOptions { kinds, limits },
        })
    }

    /// What a store is reached by.
    pub(crate) fn access(
        &self,
        endpoint: &Endpoint,
        known: Option<Arc<dyn Snapshot>>,
    ) -> Result<Access> {
        let setting = endpoint.setting;
        let given = |setting| {
            let given = self.addresses.get(setting);
            given.cloned().ok_or_else(|| missing(setting))
        };
        Ok(Access {
            url: given(setting)?,
            more: endpoint
                .more
                .iter()
                .map(|setting| given(setting))
                .collect::<Result<_>>()?,
            is_source: endpoint.side == self.from,
            anonymous: self.anonymous,
            same_address: self.same_address,
            ca_file: self.ca_files.get(setting).cloned(),
            postgres_ids: self.postgres_ids,
            id_map: self.id_map.clone(),
            kinds: self.run.kinds.clone(),
            known,
        })
    }

    /// Whether a store holds one of the kinds. The tool does not connect to the others.
    pub(crate) fn needs(&self, endpoint: &Endpoint) -> bool {
        holds_any(endpoint, &self.run.kinds)
    }

    /// The settings of the stores that records move to, for messages.
    pub(crate) fn target_settings(&self) -> impl Iterator<Item = &'static str> {
        let endpoints = ENDPOINTS.iter();
        let targets = endpoints.filter(|endpoint| endpoint.side != self.from);
        let needed = targets.filter(|endpoint| self.needs(endpoint));
        needed.map(|endpoint| endpoint.setting)
    }
}

fn holds_any(endpoint: &Endpoint, kinds: &[Kind]) -> bool {
    kinds.iter().any(|kind| endpoint.kinds.contains(kind))
}

pub(crate) fn missing(setting: &'static str) -> Error {
    Error::configuration(setting, "is missing; give it in one of these places")
}

/// The kinds to look at: the named ones, otherwise all that the services with an address hold.
fn kinds(
    named: Option<Vec<Kind>>,
    addresses: &BTreeMap<&'static str, SecretString>,
) -> Result<Vec<Kind>> {
    let has = |endpoint: &&Endpoint| addresses.contains_key(endpoint.setting);
    let services = ENDPOINTS.iter().filter(|it| it.side == Side::Services);
    let kinds = named.unwrap_or_else(|| {
        let there: Vec<&Endpoint> = services.clone().filter(has).collect();
        let held = |kind: &Kind| there.iter().any(|it| it.kinds.contains(kind));
        Kind::ALL.iter().copied().filter(held).collect()
    });
    // Without any service, the first one is missing.
    let first = services.clone().next().filter(|_| kinds.is_empty());
    let needed = ENDPOINTS.iter().filter(|it| holds_any(it, &kinds));
    match first.into_iter().chain(needed).find(|it| !has(it)) {
        Some(endpoint) => Err(missing(endpoint.setting)),
        None => Ok(kinds),
    }
}

/// The settings of a file. Its values are never shown: one may be an address with a password.
struct File {
    name: String,
    table: Table,
}

async fn read(path: Option<&Path>) -> Result<File> {
    let name = path.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match tokio::fs::read_to_string(name).await {
        Ok(text) => text,
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(error) => {
            return Err(Error::configuration(
                "config",
                format!("{}: {error}", name.display()),
            ));
        }
    };
    let name = name.display().to_string();
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        Error::configuration(
            "config",
            format!("{name}, line {line}: this is not TOML; quote texts"),
        )
    })?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        let reason = format!("{name}: there is no setting {key:?}; the settings are {known}");
        return Err(Error::configuration("config", reason));
    }
    Ok(File { name, table })
}

impl File {
    fn wrong(&self, key: &'static str, expected: &str) -> Error {
        Error::configuration(key, format!("{}: must be {expected}", self.name))
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a text in quotes")),
        }
    }

    fn flag(&self, key: &'static str) -> Result<bool> {
        match self.table.get(key) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    fn size(&self, key: &'static str) -> Result<Option<usize>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(value) => match value.as_integer().map(usize::try_from) {
                Some(Ok(size)) if size > 0 => Ok(Some(size)),
                _ => Err(self.wrong(key, "a whole number above zero")),
            },
        }
    }

    fn kinds(&self) -> Result<Option<Vec<Kind>>> {
        const EXPECTED: &str = "a list of kinds, like [\"users\", \"books\"]";
        let Some(value) = self.table.get("kinds") else {
            return Ok(None);
        };
        let kinds = value
            .as_array()
            .ok_or_else(|| self.wrong("kinds", EXPECTED))?;
        let kind = |value: &Value| value.as_str().and_then(|name| name.parse().ok());
        let kinds: Option<Vec<Kind>> = kinds.iter().map(kind).collect();
        kinds.map(Some).ok_or_else(|| self.wrong("kinds", EXPECTED))
    }

    fn address(
        &self,
        key: &'static str,
        given: Option<&SecretString>,
    ) -> Result<Option<SecretString>> {
        if let Some(given) = given.filter(|given| !given.expose_secret().is_empty()) {
            return Ok(Some(given.clone()));
        }
        let text = self.text(key)?.filter(|text| !text.is_empty());
        Ok(text.map(SecretString::from))
    }

    fn from(&self, given: Option<Side>) -> Result<Side> {
        const KEY: &str = "from";
        match (given, self.text(KEY)?) {
            (Some(given), _) => Ok(given),
            (None, None) => Ok(Side::Services),
            (None, Some(text)) => {
                Side::from_str(text, false).map_err(|_| self.wrong(KEY, "services or supabase"))
            }
        }
    }

    fn same_address(&self, given: Option<Keeper>) -> Result<SameAddress> {
        const KEY: &str = "same_address";
        let keeper = match (given, self.text(KEY)?) {
            (Some(given), _) => given,
            (None, None) => Keeper::First,
            (None, Some(text)) => {
                Keeper::from_str(text, false).map_err(|_| self.wrong(KEY, "first or last-seen"))?
            }
        };
        Ok(match keeper {
            Keeper::First => SameAddress::First,
            Keeper::LastSeen => SameAddress::LastSeen,
        })
    }

    fn ids(&self, given: Option<Ids>) -> Result<Option<IdForm>> {
        const KEY: &str = "postgres_ids";
        let ids = match (given, self.text(KEY)?) {
            (Some(given), _) => given,
            (None, None) => Ids::Auto,
            (None, Some(text)) => Ids::from_str(text, false)
                .map_err(|_| self.wrong(KEY, "auto, embedded, padded-left or padded-right"))?,
        };
        Ok(match ids {
            Ids::Auto => None,
            Ids::Embedded => Some(IdForm::Embedded),
            Ids::PaddedLeft => Some(IdForm::PaddedLeft),
            Ids::PaddedRight => Some(IdForm::PaddedRight),
        })
    }

    async fn id_map(&self, given: Option<&Path>) -> Result<IdMap> {
        const KEY: &str = "id_map_file";
        let path = match given {
            Some(path) => path,
            None => match self.text(KEY)? {
                Some(text) => Path::new(text),
                None => return Ok(IdMap::default()),
            },
        };
        let text = tokio::fs::read_to_string(path).await;
        let text = text
            .map_err(|error| Error::configuration(KEY, format!("{}: {error}", path.display())))?;
        IdMap::parse(&text)
    }
}

/// Where a setting can be given, for messages.
pub(crate) fn places(setting: &str) -> String {
    let flag = setting.replace('_', "-");
    let has = |endpoint: &Endpoint| {
        endpoint.setting == setting
            || endpoint.ca_setting == Some(setting)
            || endpoint.more.contains(&setting)
    };
    if ENDPOINTS.iter().any(has) || [REDIS, REDIS_CA_FILE, AUTH, SERVICE_KEY].contains(&setting) {
        return format!(
            "--{flag} (environment AUTHORSTACK_{}, {DEFAULT_FILE} {setting})",
            setting.to_uppercase()
        );
    }
    match setting {
        "config" => "--config".to_owned(),
        "kinds" => format!("--kind ({DEFAULT_FILE} {setting})"),
        _ => format!("--{flag} ({DEFAULT_FILE} {setting})"),
    }
}
