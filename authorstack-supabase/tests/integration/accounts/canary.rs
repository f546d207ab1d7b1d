//! A whole migration at trace level: no hash, no token and no key is in anything that it wrote.

use authorstack_core::{
    Identity,
    migrate::{AccountSource, Kind, RunOptions, Silent, plan, repair, replay, run, verify},
    testing::{FreshAccounts, accounts::address},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row, query};
use tests_standins::log::{Log, Said};

use super::{
    moves::{connection, old_service, source, target},
    project::{Family, on_project},
};

const KINDS: [Kind; 3] = [Kind::Users, Kind::Accounts, Kind::Identities];

/// Parts of the hashes, salts and keys of the accounts, and of their providers' tokens.
const CANARIES: [&str; 10] = [
    "lSrfV15cpx95",
    "jxspr8Ki0RYy",
    "42xEC+ixf3L2lw",
    "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "iekCn0Y3spW",
    "nf65EOgLrQMR",
    "c29tZXNhbHQ",
    "0f0f0f0f0f0f0f0f",
    "canary-access-token",
    "canary-refresh-token",
];

#[tokio::test]
async fn no_hash_and_no_token_is_in_anything_that_a_migration_writes() {
    let log = Log::default();
    // The tasks of the migration run on this thread.
    let _guard = tracing::subscriber::set_default(log.subscriber());
    on_project(Family::New, async |project| {
        let store = old_service().await;
        let account = "66f2.oauth".parse().unwrap();
        let mut identity = Identity::new(account, "github".parse().unwrap(), "77");
        let extra = json!({
            "providerAccessToken": "canary-access-token", "login": "ada",
            "nested": { "refresh_token": "canary-refresh-token" },
        });
        identity.extra = extra.as_object().cloned().unwrap();
        store.stack().identities().create(identity).await.unwrap();
        // Some rejects: of accounts with each kind of hash.
        for name in ["firebase", "bcrypt2a", "argon2i"] {
            let new = authorstack_core::NewAccount::new(address(name));
            project.stack().accounts().create(new).await.unwrap();
        }

        let mut said = Said::default();
        let (from, to) = (source(&store), target(project));
        said.add(&AccountSource::new(&store));
        said.add(&to);
        let planned = plan(from.clone(), &to, &KINDS, &Silent).await.unwrap();
        said.add(&planned);
        said.add(&serde_json::to_string(&planned).unwrap());
        let options = RunOptions {
            kinds: KINDS.to_vec(),
            ..RunOptions::default()
        };
        let report = run(from.clone(), &to, &options, &Silent).await.unwrap();
        said.add(&report);
        let rejects: Vec<_> = to.rejects().try_concat().await.unwrap();
        assert_eq!(rejects.len(), 4, "{rejects:?}");
        said.add(&rejects);
        let mut lines = Vec::new();
        for reject in &rejects {
            let line = reject.to_line().unwrap();
            said.add(&serde_json::to_string(&line).unwrap());
            lines.push(Ok(line));
        }
        let aside: Vec<_> = to.set_aside().try_concat().await.unwrap();
        assert_eq!(aside.len(), 2, "{aside:?}");
        said.add(&aside);
        let lines = stream::iter(lines).boxed();
        said.add(&replay(from.clone(), &to, lines, &Silent).await.unwrap());
        said.add(&verify(from.clone(), &to, &KINDS, &Silent).await.unwrap());
        said.add(&repair(from.clone(), &to, &KINDS, &Silent).await.unwrap());

        let mut connection = connection(project).await;
        let tables = "select format('%I.%I', schemaname, tablename) from pg_tables \
                      where schemaname in ('authorstack', 'public') \
                        or schemaname = 'auth' and tablename = 'identities'";
        let tables = query(tables).fetch_all(&mut connection).await.unwrap();
        assert!(tables.len() > 15);
        for table in tables {
            let table: String = table.get(0);
            let rows = format!("select row_to_json(held)::text from {table} as held");
            let rows = query(AssertSqlSafe(rows)).fetch_all(&mut connection).await;
            for row in rows.unwrap() {
                said.add(&row.get::<String, _>(0));
            }
        }
        let moved = "select count(*) from auth.identities where identity_data ->> 'login' = 'ada'";
        let moved = query(moved).fetch_one(&mut connection).await.unwrap();
        assert_eq!(moved.get::<i64, _>(0), 1, "what is no token moves");

        assert!(log.text().contains("sqlx"), "statements are in the log");
        let secrets = CANARIES.into_iter().chain([project.key.as_str()]);
        log.assert_without(secrets, &said);
    })
    .await;
}
