//! Reads accounts and identities in the order of their ids at the account service.

use authorstack_core::{
    AuthProvider, Error, ErrorKind, Identity, Result,
    migrate::{
        BatchLimits, Key, Kind, MovedAccount, MovedPassword, Original, Position, Problem, Problems,
        Record, Scanned, ScannedBatch,
    },
    resilience::with_deadline,
};
use authorstack_sql::{get, spawned};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgRow, query, raw_sql};
use tokio::sync::mpsc;

use super::super::scan::{begin_reading, size};
use crate::{
    account_metadata as metadata,
    account_rows::{COLUMNS, FACTOR, PASSWORD, exported},
    error::from_sqlx,
    store::SupabaseStore,
};

/// The id that an account has at the account service.
const ACCOUNT: &str = "coalesce(moved.old_id, u.id::text) collate \"C\"";

fn accounts() -> String {
    format!(
        "select {COLUMNS}, u.encrypted_password, {ACCOUNT}, moved.old_provider, u.raw_app_meta_data \
         from auth.users as u left join authorstack.moved_accounts as moved on moved.id = u.id \
         where u.deleted_at is null"
    )
}

fn identities() -> String {
    format!(
        "select i.provider, i.provider_id, {ACCOUNT}, i.identity_data, \
           date_trunc('milliseconds', coalesce(i.created_at, i.updated_at, now())), \
           date_trunc('milliseconds', i.last_sign_in_at) \
         from auth.identities as i join auth.users as u on u.id = i.user_id \
         left join authorstack.moved_accounts as moved on moved.id = u.id \
         where u.deleted_at is null and i.provider not in ('email', 'phone')"
    )
}

/// What the server keeps beside what the other service says.
const SERVERS: [&str; 4] = ["sub", "email", "email_verified", "phone_verified"];

fn scanned(kind: Kind, row: &PgRow) -> Result<(Key, Scanned)> {
    let read = match kind {
        Kind::Identities => identity(row).map(Record::from),
        _ => account(row).map(Record::from),
    };
    let key = match kind {
        Kind::Identities => Key::Identity(
            get::<String>(row, 0)?
                .parse()
                .map_err(|error| own(&error))?,
            get(row, 1)?,
        ),
        _ => Key::Account(
            get::<String>(row, PASSWORD + 1)?
                .parse()
                .map_err(|error| own(&error))?,
        ),
    };
    match read {
        Ok(record) => {
            let mut scanned = Scanned::of(record);
            if kind == Kind::Accounts && get::<bool>(row, FACTOR)? {
                let problem = "its second factor cannot be exported, and stays here; the account \
                               is marked, so that the host can ask for a new one";
                scanned.set_aside.push(Problem::new("hasMfa", problem));
            }
            Ok((key, scanned))
        }
        Err(error) => match error.kind() {
            ErrorKind::Corrupt { what } => {
                let (field, problem) = what.split_once(": ").unwrap_or(("", what));
                let unreadable = Scanned {
                    key: key.to_string(),
                    outcome: Err(Problem::new(field, problem).into()),
                    set_aside: Problems::default(),
                    original: Original::Bytes(b"{}".to_vec()),
                };
                Ok((key, unreadable))
            }
            _ => Err(error),
        },
    }
}

fn own(error: &Error) -> Error {
    Error::corrupt(error.kind().to_string())
}

fn account(row: &PgRow) -> Result<MovedAccount> {
    let read = exported(row)?;
    let mut account = read.account;
    account.id = get::<String>(row, PASSWORD + 1)?
        .parse()
        .map_err(|error| own(&error))?;
    account.provider = match get::<Option<String>>(row, PASSWORD + 2)? {
        Some(provider) => provider.parse().map_err(|error| own(&error))?,
        None => AuthProvider::SUPABASE,
    };
    let app = metadata::read_app(get::<Option<Value>>(row, PASSWORD + 3)?)?;
    let password = match (app.password_lost, read.password) {
        (Some(algorithm), _) => MovedPassword::lost(&algorithm),
        (None, authorstack_core::StoredPassword::None) => MovedPassword::none(),
        (None, authorstack_core::StoredPassword::Hash(hash)) => MovedPassword::kept(hash),
        (None, authorstack_core::StoredPassword::Unknown { .. }) => MovedPassword::lost("unknown"),
    };
    Ok(MovedAccount::new(account, password))
}

fn identity(row: &PgRow) -> Result<Identity> {
    let data = match get::<Option<Value>>(row, 3)? {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let email = data.get("email").and_then(Value::as_str);
    let email = email.and_then(|email| email.parse().ok());
    let mut extra = data;
    extra.retain(|name, _| !SERVERS.contains(&name.as_str()));
    Ok(Identity {
        account_id: get::<String>(row, 2)?
            .parse()
            .map_err(|error| own(&error))?,
        provider: get::<String>(row, 0)?
            .parse()
            .map_err(|error| own(&error))?,
        subject: get(row, 1)?,
        email,
        created_at: get(row, 4)?,
        last_used_at: get(row, 5)?,
        extra,
    })
}

/// Streams a kind. One statement sorts it: the tables have no index in this order, and none can be
/// made there.
pub(in crate::migration) fn scan(
    store: SupabaseStore,
    kind: Kind,
    after: Option<Position>,
    limits: BatchLimits,
) -> BoxStream<'static, Result<ScannedBatch>> {
    let after = after.map(|Position(text)| Key::parse(kind, &text));
    match after.transpose() {
        Ok(after) => spawned(move |sender| send(store, kind, after, limits, sender)),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}

async fn send(
    store: SupabaseStore,
    kind: Kind,
    after: Option<Key>,
    limits: BatchLimits,
    sender: mpsc::Sender<Result<ScannedBatch>>,
) -> Result<()> {
    let limit = store.timeouts().load;
    let mut connection = store.open().await?;
    begin_reading(&store, &mut connection).await?;
    let select = match kind {
        Kind::Identities => format!(
            "{} and ($1::text is null or (i.provider collate \"C\", i.provider_id collate \"C\") > ($1, $2)) \
             order by i.provider collate \"C\", i.provider_id collate \"C\"",
            identities()
        ),
        _ => format!(
            "{} and ($1::text is null or {ACCOUNT} > $1) and $2::text is null order by {ACCOUNT}",
            accounts()
        ),
    };
    let (first, second) = match after {
        Some(Key::Account(id)) => (Some(id.to_string()), None),
        Some(Key::Identity(provider, subject)) => (Some(provider.to_string()), Some(subject)),
        _ => (None, None),
    };
    let select = query(AssertSqlSafe(select)).bind(first).bind(second);
    {
        let mut rows = store.statement(select).fetch(&mut connection);
        let (mut items, mut bytes) = (Vec::new(), 0);
        let mut last = None;
        while let Some(row) =
            with_deadline(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
        {
            bytes += size(&row);
            let (key, item) = scanned(kind, &row)?;
            last = Some(key);
            items.push(item);
            if items.len() >= limits.records.max(1) || bytes >= limits.bytes {
                bytes = 0;
                if !pass_on(&sender, &mut items, last.as_ref()).await {
                    return Ok(());
                }
            }
        }
        if !pass_on(&sender, &mut items, last.as_ref()).await {
            return Ok(());
        }
    }
    end_reading(&store, connection).await
}

async fn end_reading(store: &SupabaseStore, mut connection: PgConnection) -> Result<()> {
    with_deadline(store.timeouts().load, async {
        let commit = raw_sql("commit").execute(&mut connection);
        commit.await.map_err(from_sqlx)
    })
    .await?;
    store.close_connection(connection).await;
    Ok(())
}

/// Passes a batch on. Returns `false` if the receiver is gone.
async fn pass_on(
    sender: &mpsc::Sender<Result<ScannedBatch>>,
    items: &mut Vec<Scanned>,
    last: Option<&Key>,
) -> bool {
    let Some(last) = last.filter(|_| !items.is_empty()) else {
        return true;
    };
    let batch = ScannedBatch {
        items: std::mem::take(items),
        position: Position(last.to_string()),
    };
    sender.send(Ok(batch)).await.is_ok()
}

/// The records with these keys.
pub(in crate::migration) async fn fetch(
    store: &SupabaseStore,
    kind: Kind,
    keys: &[String],
) -> Result<Vec<Scanned>> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for key in keys.iter().filter_map(|key| Key::parse(kind, key).ok()) {
        match key {
            Key::Account(id) => first.push(id.to_string()),
            Key::Identity(provider, subject) => {
                first.push(provider.to_string());
                second.push(subject);
            }
            _ => {}
        }
    }
    let select = match kind {
        Kind::Identities => format!(
            "{} and (i.provider, i.provider_id) in (select * from unnest($1::text[], $2::text[]))",
            identities()
        ),
        _ => format!(
            "{} and (moved.old_id = any ($1) or moved.old_id is null and u.id::text = any ($1)) \
             and cardinality($2::text[]) = 0",
            accounts()
        ),
    };
    let select = query(AssertSqlSafe(select)).bind(first).bind(second);
    let rows = store.fetch_all(select).await?;
    rows.iter()
        .map(|row| scanned(kind, row).map(|(_, scanned)| scanned))
        .collect()
}
