//! Turns the driver's errors into AuthorStack's.

use std::{io, time::Duration};

use authorstack_core::{Error, ErrorKind, Result, migrate::Kind, shown};
use sqlx::{Decode, Postgres, Row, Type, error::DatabaseError, postgres::PgRow};

use crate::address::{Address, Server};

/// The server's message, without the detail: that contains the row.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
struct ServerMessage {
    code: String,
    message: String,
}

/// The most characters of what a trigger says.
const RAISED: usize = 500;

/// An error of a statement on an open connection, or of the pool.
#[must_use]
pub fn from_sqlx(error: sqlx::Error, server: &Server) -> Error {
    match error {
        sqlx::Error::Database(error) => from_server(error.as_ref(), server),
        sqlx::Error::Io(error) => Error::unavailable(format!(
            "the connection to the database broke: {}",
            error.kind()
        ))
        .with_source(error),
        sqlx::Error::Tls(error) => Error::unavailable(format!(
            "no encrypted connection to the database could be made: {error}"
        )),
        sqlx::Error::PoolTimedOut => Error::unavailable(
            "no connection to the database was available in time: it does not answer, or all \
             connections are in use",
        ),
        sqlx::Error::PoolClosed => Error::unavailable("the store was closed"),
        sqlx::Error::BeginFailed | sqlx::Error::WorkerCrashed => {
            Error::unavailable("the connection to the database is in an unknown state")
        }
        // A pooler or a server that stops may close the connection in the middle of a message.
        sqlx::Error::Protocol(what) => {
            Error::unavailable(format!("the connection to the database broke off: {what}"))
        }
        sqlx::Error::ColumnDecode { index, source } => {
            Error::corrupt(format!("column {index}: {source}"))
        }
        sqlx::Error::Decode(source) => Error::corrupt(source.to_string()),
        sqlx::Error::Encode(source) => Error::invalid("value", source.to_string()),
        other => Error::internal(other.to_string()),
    }
}

/// An error of a call on the pool. If there is no connection, it names the address.
pub(crate) fn from_pool(error: sqlx::Error, address: &Address) -> Error {
    match error {
        sqlx::Error::PoolTimedOut => Error::unavailable(format!(
            "no connection to the database at {} was available in time: it does not answer, or all \
             connections are in use",
            address.place(),
        )),
        sqlx::Error::Io(error) => unreachable_server(address, &error).with_source(error),
        other => from_sqlx(other, address.server),
    }
}

fn from_server(error: &dyn DatabaseError, server: &Server) -> Error {
    let code = error.code().unwrap_or_default();
    let source = ServerMessage {
        code: code.clone().into_owned(),
        message: error.message().to_owned(),
    };
    let mapped = match &*code {
        "23505" => match field_of(error) {
            "" => Error::internal(format!("a unique constraint: {}", error.message())),
            field => Error::already_exists(field),
        },
        "23503" => Error::not_found(),
        // The repository of the table can add details.
        "23P01" => Error::new(ErrorKind::Conflict {
            reason: "another record holds a part of that; choose another value".into(),
        }),
        "23502" => Error::invalid(column_field(error), "is missing"),
        "23514" => Error::invalid(
            field_or_record(error),
            format!(
                "has a value that {} refuses",
                error.constraint().unwrap_or("the schema")
            ),
        ),
        "22P02" | "22P03" | "22P05" | "22023" => {
            Error::invalid("value", "has a form that the database cannot read")
        }
        "22021" => Error::invalid(
            "value",
            "holds a NUL character, or text that is not UTF-8; remove it",
        ),
        "22001" => Error::invalid("value", "is longer than the database can store"),
        "22003" => Error::invalid("value", "is larger than the database can store"),
        "22007" | "22008" => Error::invalid(
            "value",
            "is a date outside the range of PostgreSQL, 4713 BC to 294276",
        ),
        "54000" => Error::invalid("value", "is too large for the database"),
        "42501" => Error::new(ErrorKind::PermissionDenied {
            reason: format!("{}; {}", error.message(), server.role_hint).into(),
        }),
        "28P01" | "28000" | "3D000" => Error::configuration(
            server.setting,
            format!("the server says: {}", error.message()),
        ),
        "42P01" | "3F000" | "42703" => Error::new(ErrorKind::Unsupported {
            what: format!(
                "{}: the database's schema is not AuthorStack's; {}",
                error.message(),
                server.schema_hint,
            )
            .into(),
        }),
        "42P05" | "26000" => pooled(error, server),
        "08P01" if error.message().contains("prepared statement") => pooled(error, server),
        "25006" => Error::unavailable("the database is read-only: a replica, or a full disk"),
        "40001" | "40P01" => Error::new(ErrorKind::Conflict {
            reason: "another transaction changed the same records; repeat the call".into(),
        })
        .retryable(true),
        "55P03" => Error::unavailable("another transaction holds a lock on the records"),
        "57014" => Error::timeout(Duration::ZERO),
        "53300" => Error::unavailable("the database has no connection left"),
        "57P01" | "57P02" | "57P03" | "57P05" => {
            Error::unavailable(format!("the database is restarting: {}", error.message()))
        }
        // A trigger of the owner has raised it.
        code if code.starts_with("P0") => Error::invalid(
            "record",
            format!(
                "is refused by a trigger or function of the database, which says: {}; change the \
                 record or the trigger",
                shown(error.message()).up_to(RAISED)
            ),
        ),
        code if code.starts_with("08") => Error::unavailable(format!(
            "the connection to the database failed: {}",
            error.message()
        )),
        code if code.starts_with("53") => {
            Error::unavailable(format!("the database lacks resources: {}", error.message()))
        }
        _ => Error::internal(error.message().to_owned()),
    };
    mapped.with_source(source)
}

/// Somebody else's statements are in the session: it is not the connection's own.
fn pooled(error: &dyn DatabaseError, server: &Server) -> Error {
    Error::configuration(
        server.setting,
        format!(
            "{}: a pooler in transaction mode is in front of the server; set the pool mode to \
             PoolMode::Transaction, or to PoolMode::Auto, which finds it out when connecting",
            error.message()
        ),
    )
}

/// An error of the first connection. Here settings may be wrong; each error says how to fix them.
pub(crate) fn from_connect(error: sqlx::Error, address: &Address) -> Error {
    let place = address.place();
    let user = address.options.get_username();
    let wrong = |reason: String| Error::configuration(address.server.setting, reason);
    match error {
        sqlx::Error::Database(server) => {
            let code = server.code().unwrap_or_default();
            let message = server.message();
            let says = |text: &str| message.contains(text);
            match &*code {
                "28P01" => refused_password(user, address.server),
                "3D000" => missing_database(address),
                "28000" => wrong(format!(
                    "the server at {place} does not let user {user:?} in ({message}); check the user"
                )),
                // PgBouncer and Supavisor have no special codes for these.
                "08P01" | "XX000" | "08006" if says("password") || says("SASL") => {
                    refused_password(user, address.server)
                }
                "08P01" | "XX000" | "08006"
                    if says("does not exist") || says("no such database") =>
                {
                    missing_database(address)
                }
                "08P01" | "XX000" | "08006"
                    if says("no such user") || says("Tenant or user not found") =>
                {
                    wrong(format!(
                        "the pooler at {place} knows no user {user:?}; Supabase's pooler expects \
                         postgres.<project ref>"
                    ))
                }
                _ => from_server(server.as_ref(), address.server),
            }
        }
        sqlx::Error::Io(error) => unreachable_server(address, &error),
        sqlx::Error::Tls(error) => not_encrypted(address, &error.to_string()),
        sqlx::Error::Configuration(error) => wrong(format!("cannot be used ({error})")),
        other => from_sqlx(other, address.server),
    }
}

fn refused_password(user: &str, server: &Server) -> Error {
    Error::configuration(
        server.setting,
        format!(
            "the server refused the password of user {user:?}, or knows no such user; {}",
            server.password_hint
        ),
    )
}

fn missing_database(address: &Address) -> Error {
    Error::configuration(
        address.server.setting,
        format!(
            "the server at {} has no database {:?}; {}",
            address.place(),
            address.database(),
            address.server.database_hint,
        ),
    )
}

fn unreachable_server(address: &Address, error: &io::Error) -> Error {
    let place = address.place();
    // If TLS fails, for example because of a certificate, the kind is `InvalidData`.
    if error.kind() == io::ErrorKind::InvalidData {
        return not_encrypted(address, &error.to_string());
    }
    Error::unavailable(format!(
        "the database at {place} cannot be reached: {}; check the address, and that the server \
         runs",
        error.kind()
    ))
}

fn not_encrypted(address: &Address, problem: &str) -> Error {
    let way_out = if problem.contains("does not support TLS") {
        "switch TLS on there, or write sslmode=disable if the network on the way is trusted"
            .to_owned()
    } else {
        format!(
            "check sslmode and the host name, and name the authority's certificate as sslrootcert: \
             {}",
            address.server.certificate_hint
        )
    };
    Error::configuration(
        address.server.setting,
        format!(
            "no encrypted connection to {} could be made ({problem}); {way_out}",
            address.place()
        ),
    )
}

pub(crate) fn unknown_host(host: &str, server: &Server) -> Error {
    Error::configuration(
        server.setting,
        format!("the host {host:?} cannot be found; check its spelling and the network"),
    )
}

pub(crate) fn connect_timeout(place: &str, after: Duration) -> Error {
    Error::unavailable(format!(
        "the database at {place} did not answer within {after:?}; check the address and the \
         firewall"
    ))
}

/// The schema's name for a column.
fn field_name(kind: Kind, column: &str) -> &'static str {
    let mut fields = kind.fields().iter();
    match fields.find(|field| field.column == Some(column)) {
        Some(field) => field.name,
        None if column == "extra" => "extra",
        None => "",
    }
}

/// The field of the violated constraint; empty if the constraint is not AuthorStack's.
///
/// AuthorStack names its constraints `table_columns_suffix`, as PostgreSQL does. For several
/// columns, this is the last one.
fn field_of(error: &dyn DatabaseError) -> &'static str {
    let constraint = error.constraint().unwrap_or_default();
    let found = Kind::DATA.iter().find_map(|kind| {
        let rest = constraint.strip_prefix(kind.as_str())?;
        Some((*kind, rest.strip_prefix('_')?))
    });
    found.map_or("", |(kind, rest)| constraint_field(kind, rest))
}

fn constraint_field(kind: Kind, rest: &str) -> &'static str {
    if rest == "pkey" {
        return field_name(kind, "id");
    }
    let columns = rest.rsplit_once('_').map_or("", |(columns, _)| columns);
    let is_last = |column: &&str| {
        let before = columns.strip_suffix(column);
        before.is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    let names = kind.column_names().into_iter();
    let last = names.filter(is_last).max_by_key(|column| column.len());
    last.map_or("", |column| field_name(kind, column))
}

fn column_field(error: &dyn DatabaseError) -> &'static str {
    let postgres = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    let field = postgres.and_then(|error| {
        let kind: Kind = error.table()?.parse().ok()?;
        Some(field_name(kind, error.column()?))
    });
    match field {
        None | Some("") => "record",
        Some(field) => field,
    }
}

fn field_or_record(error: &dyn DatabaseError) -> &'static str {
    match field_of(error) {
        "" => "record",
        field => field,
    }
}

/// Reads one column of a row that is not a record.
///
/// # Errors
/// Corrupt, naming the column.
pub fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    index: usize,
) -> Result<T> {
    row.try_get(index).map_err(|error| match error {
        sqlx::Error::ColumnDecode { index, source } => {
            Error::corrupt(format!("column {index}: {source}"))
        }
        other => Error::corrupt(other.to_string()),
    })
}

/// Whether the server refused the data of a statement: an attempt with fewer records may succeed.
#[must_use]
pub fn is_data_error(error: &sqlx::Error) -> bool {
    let Some(code) = error.as_database_error().and_then(DatabaseError::code) else {
        return false;
    };
    code.starts_with("22")
        || code.starts_with("23")
        || code.starts_with("P0")
        || matches!(&*code, "54000" | "54001" | "21000")
}

/// Whether a statement failed because the object that it creates already exists.
#[must_use]
pub fn is_duplicate_object(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "42P06" | "42P07" | "42710" | "42723" | "23505"))
}

/// Whether the server answered with this SQLSTATE.
#[must_use]
pub fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|found| found == code)
}

/// Adds the deadline to a timeout that the server enforced.
#[must_use]
pub fn name_deadline(error: Error, after: Duration) -> Error {
    match error.kind() {
        ErrorKind::Timeout {
            after: Duration::ZERO,
        } => Error::timeout(after),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use authorstack_core::testing::servers::supabase_db_url;
    use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

    use super::*;

    static SERVER: Server = Server {
        setting: "supabase_db_url",
        example: "",
        database: "postgres",
        password_hint: "",
        database_hint: "",
        schema_hint: "",
        role_hint: "",
        certificate_hint: "",
    };

    /// The error of the last of these statements.
    async fn provoke(sql: &str) -> sqlx::Error {
        let mut connection = PgConnection::connect(&supabase_db_url()).await.unwrap();
        raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_err()
    }

    async fn kind(sql: &str) -> (ErrorKind, bool) {
        let error = from_sqlx(provoke(sql).await, &SERVER);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        (error.kind().clone(), error.is_retryable())
    }

    const TABLES: &str = "\
        begin; \
        create temp table users (auth_id text constraint users_auth_id_key unique, email text not null, \
          credits bigint constraint users_credits_check check (credits >= 0), short varchar(2)) on commit drop; \
        insert into users (auth_id, email) values ('a', 'hunter2'); ";

    async fn kind_in_tables(sql: &str) -> (ErrorKind, bool) {
        kind(&format!("{TABLES} {sql}")).await
    }

    #[tokio::test]
    async fn constraints_name_their_fields() {
        let unique = kind_in_tables("insert into users values ('a', 'hunter2')").await;
        let field = "authId".into();
        assert_eq!(unique, (ErrorKind::AlreadyExists { field }, false));
        let check = kind_in_tables("insert into users values ('b', 'hunter2', -1)")
            .await
            .0;
        assert!(
            matches!(&check, ErrorKind::Invalid { field, .. } if field == "credits"),
            "{check:?}"
        );
        let null = kind_in_tables("insert into users (auth_id) values ('hunter2')")
            .await
            .0;
        assert!(
            matches!(&null, ErrorKind::Invalid { field, .. } if field == "email"),
            "{null:?}"
        );
        let foreign = "create temp table p (id int primary key) on commit drop; \
                       create temp table c (id int references p) on commit drop; insert into c values (1)";
        assert_eq!(kind_in_tables(foreign).await.0, ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn bad_values_are_invalid() {
        for sql in [
            "select 'x'::uuid",
            r#"select '"\u0000"'::jsonb"#,
            "select convert_from('\\x00', 'UTF8')",
            "select 9223372036854775807 + 1::bigint",
            "insert into users (email, short) values ('x', 'long')",
            "select 'x'::timestamptz",
            "select '300000-01-01'::timestamptz",
        ] {
            let (kind, retryable) = kind_in_tables(sql).await;
            assert!(
                matches!(kind, ErrorKind::Invalid { .. }) && !retryable,
                "{sql}: {kind:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_servers_state_says_whether_a_retry_helps() {
        let is = |found: (ErrorKind, bool), expected: fn(&ErrorKind) -> bool, retryable: bool| {
            assert!(expected(&found.0) && found.1 == retryable, "{found:?}");
        };
        let denied = kind("set role anon; create table public.x (id int)").await;
        is(
            denied,
            |kind| matches!(kind, ErrorKind::PermissionDenied { .. }),
            false,
        );
        let missing = kind("select * from public.no_such_table").await;
        is(
            missing,
            |kind| matches!(kind, ErrorKind::Unsupported { .. }),
            false,
        );
        let cancelled = kind("set statement_timeout = 10; select pg_sleep(5)").await;
        is(
            cancelled,
            |kind| matches!(kind, ErrorKind::Timeout { .. }),
            true,
        );
        let killed = kind("select pg_terminate_backend(pg_backend_pid())").await;
        is(
            killed,
            |kind| matches!(kind, ErrorKind::Unavailable { .. }),
            true,
        );
        for code in [
            "57P02", "57P03", "53300", "53100", "08006", "55P03", "25006",
        ] {
            let raised = kind(&format!(
                "do $$ begin raise 'x' using errcode = '{code}'; end $$"
            ))
            .await;
            is(
                raised,
                |kind| matches!(kind, ErrorKind::Unavailable { .. }),
                true,
            );
        }
        // A position that another boost holds stays taken; what two transactions did at once can
        // be done again.
        for (code, retryable) in [("40001", true), ("40P01", true), ("23P01", false)] {
            let raised = kind(&format!(
                "do $$ begin raise 'x' using errcode = '{code}'; end $$"
            ))
            .await;
            is(
                raised,
                |kind| matches!(kind, ErrorKind::Conflict { .. }),
                retryable,
            );
        }
        let other = kind("do $$ begin raise 'x' using errcode = 'XX001'; end $$").await;
        is(
            other,
            |kind| matches!(kind, ErrorKind::Internal { .. }),
            false,
        );
    }

    #[tokio::test]
    async fn foreign_prepared_statements_mean_a_pooler() {
        for sql in [
            "prepare authorstack_x as select 1; prepare authorstack_x as select 1",
            "execute authorstack_y",
        ] {
            let (kind, retryable) = kind(sql).await;
            let ErrorKind::Configuration { setting, reason } = kind else {
                unreachable!("{sql}: {kind:?}")
            };
            assert_eq!(setting, "supabase_db_url");
            assert!(reason.contains("PoolMode::Transaction"), "{reason}");
            assert!(!retryable);
        }
    }

    #[tokio::test]
    async fn a_deadlock_is_a_conflict_to_retry() {
        let mut one = PgConnection::connect(&supabase_db_url()).await.unwrap();
        let mut other = PgConnection::connect(&supabase_db_url()).await.unwrap();
        let begin = "begin; select pg_advisory_xact_lock";
        let keys = [
            i64::from(std::process::id()) * 2,
            i64::from(std::process::id()) * 2 + 1,
        ];
        let lock = |prefix: &str, key: i64| AssertSqlSafe(format!("{prefix}({key})"));
        raw_sql(lock(begin, keys[0]))
            .execute(&mut one)
            .await
            .unwrap();
        raw_sql(lock(begin, keys[1]))
            .execute(&mut other)
            .await
            .unwrap();
        let (a, b) = tokio::join!(
            raw_sql(lock("select pg_advisory_xact_lock", keys[1])).execute(&mut one),
            async {
                let result = raw_sql(lock("select pg_advisory_xact_lock", keys[0]))
                    .execute(&mut other)
                    .await;
                raw_sql("rollback").execute(&mut other).await.unwrap();
                result
            }
        );
        let error = from_sqlx(a.err().or(b.err()).unwrap(), &SERVER);
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }) && error.is_retryable(),
            "{error:?}"
        );
    }

    #[test]
    fn the_pools_and_the_networks_errors_can_be_retried() {
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        for error in [
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::Io(broken),
            sqlx::Error::Protocol("x".to_owned()),
            sqlx::Error::Tls("x".into()),
        ] {
            let error = from_sqlx(error, &SERVER);
            assert!(
                matches!(error.kind(), ErrorKind::Unavailable { .. }) && error.is_retryable(),
                "{error:?}"
            );
        }
    }

    #[test]
    fn every_column_has_a_field() {
        for (kind, rest, field) in [
            (Kind::Users, "pkey", "_id"),
            (Kind::Users, "email_key", "email"),
            (Kind::Users, "auth_id_key", "authId"),
            (Kind::Users, "extra_check", "extra"),
            (Kind::Users, "subscription_tier_check", "subscriptionTier"),
            (Kind::Books, "user_id_fkey", "userId"),
            (Kind::Follows, "follower_id_author_id_key", "authorId"),
            (Kind::Competitors, "user_id_asin_key", "asin"),
            (Kind::SalesData, "user_id_book_id_platform_date_key", "date"),
            (Kind::DailyAggregates, "user_id_date_key", "date"),
        ] {
            assert_eq!(constraint_field(kind, rest), field, "{kind} {rest}");
        }
        for kind in Kind::DATA {
            for column in kind.column_names() {
                assert_ne!(field_name(*kind, column), "", "{kind}.{column}");
            }
        }
    }
}
