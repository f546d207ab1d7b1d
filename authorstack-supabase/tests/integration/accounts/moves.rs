//! Accounts move from another service: with their passwords, their identities and their profiles.

use std::{
    env,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use authorstack_core::{
    AccountStore, Credential, Error, ErrorKind, ExportedAccount, Identity, MemoryStore, NewAccount,
    NewUser, PasswordHash, Phone, Prefs, StoredPassword, User,
    migrate::{
        AccountSink, AccountSource, Anonymous, BatchLimits, Counts, Destination, Kind, Report,
        RunOptions, Silent, Snapshot, SourceSet, Status, repair, run, verify,
    },
    mocks::MockAccountRepository,
    testing::{FreshAccounts, accounts::address},
};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use super::{
    hashes::vectors,
    project::{Family, Project, on_project},
};
use crate::common::Via;

const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const KINDS: [Kind; 3] = [Kind::Users, Kind::Accounts, Kind::Identities];

fn hash(text: &str) -> Credential {
    Credential::Hash(text.parse().unwrap())
}

fn md5() -> Credential {
    Credential::Hash(PasswordHash::md5(&"0f".repeat(16)).unwrap())
}

/// An account of the old service, with an id in its form.
fn named(name: &str) -> NewAccount {
    let mut new = NewAccount::new(address(name));
    new.id = Some(format!("66f2.{name}").parse().unwrap());
    new.email_verified = true;
    new.created_at = "2024-05-01T06:07:08.009Z".parse().ok();
    new.last_seen_at = "2025-05-01T00:00:00Z".parse().ok();
    name.clone_into(&mut new.name);
    new
}

fn with(name: &str, credential: Credential) -> NewAccount {
    let mut new = named(name);
    new.credential = credential;
    new
}

/// The old service and its profiles: each account has one, but `bare`.
pub(crate) async fn old_service() -> MemoryStore {
    let store = MemoryStore::new();
    let stack = store.stack();
    let mut all: Vec<NewAccount> = vectors()
        .into_iter()
        .map(|(name, hash, _)| with(name, Credential::Hash(hash)))
        .collect();
    let mut phone = with("phone", hash(BCRYPT));
    (phone.email, phone.email_verified) = (None, false);
    phone.phone = Some("+4915112345678".parse::<Phone>().unwrap());
    phone.phone_verified = true;
    let mut unverified = with("unverified", hash(BCRYPT));
    unverified.email_verified = false;
    let mut mfa = with("mfa", hash(BCRYPT));
    mfa.has_mfa = true;
    mfa.labels = vec!["editor".to_owned(), "beta".to_owned()];
    let prefs = json!({ "font": "serif", "name": "Mallory", "email": "m@example.org", "sub": 7 });
    mfa.prefs = Prefs::try_from(prefs).unwrap();
    let mut anonymous = NewAccount::anonymous();
    anonymous.id = Some("66f2.anonymous".parse().unwrap());
    all.extend([phone, unverified, mfa, anonymous]);
    all.push(with("blocked", hash(BCRYPT)));
    all.push(with("md5", md5()));
    all.push(with("bare", hash(BCRYPT)));
    all.push(named("oauth"));
    for new in all {
        let account = stack.accounts().create(new).await.unwrap();
        let name = account.id.as_str().trim_start_matches("66f2.").to_owned();
        if !["bare", "anonymous"].contains(&name.as_str()) {
            let user = NewUser::new(account.id, address(&name), name);
            stack.users().create(user).await.unwrap();
        }
    }
    let blocked = "66f2.blocked".parse().unwrap();
    stack.accounts().block(&blocked).await.unwrap();
    for (provider, subject) in [("google", "10987"), ("microsoft", "object-id")] {
        let account = "66f2.oauth".parse().unwrap();
        let mut identity = Identity::new(account, provider.parse().unwrap(), subject);
        identity.email = Some(address("oauth"));
        stack.identities().create(identity).await.unwrap();
    }
    store
}

pub(crate) fn source(store: &MemoryStore) -> Arc<SourceSet> {
    let accounts = AccountSource::new(store).for_supabase();
    let accounts = accounts.anonymous(Anonymous::Move);
    Arc::new(SourceSet::new(vec![
        Arc::new(accounts),
        Arc::new(store.clone()),
    ]))
}

pub(crate) fn target(project: &Project) -> Destination {
    Destination::transactional(Arc::new(project.store.migration().with_accounts()))
}

fn options() -> RunOptions {
    RunOptions {
        kinds: KINDS.to_vec(),
        limits: BatchLimits {
            records: 5,
            bytes: 1 << 20,
        },
    }
}

pub(crate) async fn moved(store: &MemoryStore, project: &Project) -> Report {
    run(source(store), &target(project), &options(), &Silent)
        .await
        .unwrap()
}

fn counts(report: &Report, kind: Kind) -> (u64, u64, u64, u64) {
    let mut kinds = report.kinds.iter();
    let Counts {
        read,
        written,
        unchanged,
        rejected,
    } = kinds.find(|report| report.kind == kind).unwrap().counts;
    (read, written, unchanged, rejected)
}

fn url(project: &Project) -> String {
    match project.database() {
        Some(database) => database.url(Via::Direct),
        None => authorstack_core::testing::servers::supabase_db_url(),
    }
}

pub(crate) async fn connection(project: &Project) -> PgConnection {
    PgConnection::connect(&url(project)).await.unwrap()
}

async fn one<T>(project: &Project, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let mut connection = connection(project).await;
    let row = sqlx::query(AssertSqlSafe(sql.to_owned()));
    row.fetch_one(&mut connection).await.unwrap().get(0)
}

/// What signing in answers: nothing for a success, else the refusal.
async fn refusal(project: &Project, body: Value) -> Option<Error> {
    project.token(&body).await.err()
}

async fn by_email(project: &Project, name: &str, password: &str) -> Option<Error> {
    let body = json!({ "email": address(name).as_str(), "password": password });
    refusal(project, body).await
}

fn is_wrong(refusal: Option<Error>) -> bool {
    refusal.is_some_and(|error| *error.kind() == ErrorKind::Unauthenticated)
}

async fn check_sign_ins(project: &Project) {
    for (name, _, password) in vectors() {
        assert!(
            is_wrong(by_email(project, name, "another one").await),
            "{name}"
        );
        let refused = by_email(project, name, password).await;
        assert!(refused.is_none(), "{name}: {refused:?}");
    }
    for name in ["mfa", "bare"] {
        assert!(by_email(project, name, "U*U").await.is_none(), "{name}");
    }
    let by_phone = json!({ "phone": "+4915112345678", "password": "U*U" });
    assert!(refusal(project, by_phone).await.is_none());
    for name in ["md5", "oauth"] {
        for password in ["", "U*U", "0f0f"] {
            assert!(is_wrong(by_email(project, name, password).await), "{name}");
        }
    }
    for (name, code) in [
        ("blocked", "user_banned"),
        ("unverified", "email_not_confirmed"),
    ] {
        let refused = by_email(project, name, "U*U").await.unwrap().to_string();
        assert!(refused.contains(code), "{refused}");
    }
}

#[tokio::test]
async fn every_sort_of_account_signs_in_with_its_old_password() {
    on_project(Family::New, async |project| {
        let store = old_service().await;
        let report = moved(&store, project).await;
        assert_eq!(counts(&report, Kind::Users), (12, 12, 0, 0));
        assert_eq!(counts(&report, Kind::Accounts), (14, 14, 0, 0));
        // Microsoft's ids are others for each app.
        assert_eq!(counts(&report, Kind::Identities), (2, 1, 0, 1));
        let found = verify(source(&store), &target(project), &KINDS, &Silent).await;
        let found = found.unwrap();
        assert_eq!(found.kinds[2].report.counts.rejected, 1, "{found:?}");
        // The account without a profile has got one here.
        let differing: Vec<u64> = found.kinds.iter().map(|it| it.report.differing).collect();
        assert_eq!(differing, [1, 0, 0], "{found:?}");

        // A second run changes nothing: the profiles keep their new accounts.
        let again = moved(&store, project).await;
        assert_eq!(counts(&again, Kind::Users), (12, 0, 12, 0));
        assert_eq!(counts(&again, Kind::Accounts), (14, 0, 14, 0));
        assert_eq!(counts(&again, Kind::Identities), (2, 0, 1, 1));

        // Each account has the id of its profile, and the profile has the account.
        let apart = "select count(*) from auth.users as a join authorstack.moved_accounts as m using (id) \
             left join public.users as u on u.id = a.id and u.auth_id = a.id::text \
               and u.auth_provider = 'supabase' \
             where u.id is null and a.email_confirmed_at is not null";
        assert_eq!(one::<i64>(project, apart).await, 0);
        let olds = "select count(*) from auth.users where raw_app_meta_data ->> 'old_id' like '66f2.%'";
        assert_eq!(one::<i64>(project, olds).await, 14);

        let stack = project.stack();
        let mfa = stack.accounts().get_by_email(&address("mfa")).await.unwrap();
        assert!(mfa.has_mfa && mfa.email_verified);
        assert_eq!(mfa.labels, ["editor", "beta"]);
        assert_eq!(mfa.name, "mfa");
        assert_eq!(mfa.old_id.unwrap().as_str(), "66f2.mfa");
        assert_eq!(mfa.created_at, named("mfa").created_at.unwrap());
        assert_eq!(mfa.last_seen_at, named("mfa").last_seen_at);
        assert_eq!(mfa.prefs.get("name"), Some(&json!("Mallory")));
        let claims: Value = one(
            project,
            "select raw_user_meta_data from auth.users where email = 'mfa@example.org'",
        )
        .await;
        assert_eq!(claims["name"], "mfa");
        assert_eq!((&claims["email"], &claims["sub"]), (&Value::Null, &Value::Null));

        let google = "google".parse().unwrap();
        let identity = stack.identities().get(&google, "10987").await.unwrap();
        let oauth = stack.accounts().get_by_email(&address("oauth")).await.unwrap();
        assert_eq!(identity.account_id, oauth.id);
        let user: User = stack.users().get_by_auth_id(&oauth.id).await.unwrap();
        assert_eq!(user.id.to_uuid().to_string(), oauth.id.as_str());
        let azure = "azure".parse().unwrap();
        let missing = stack.identities().get(&azure, "object-id").await;
        assert!(missing.unwrap_err().is_not_found());
        let providers: Value = one(
            project,
            "select raw_app_meta_data -> 'providers' from auth.users where email = 'oauth@example.org'",
        )
        .await;
        assert_eq!(providers, json!(["email", "google"]));

        check_sign_ins(project).await;
    })
    .await;
}

#[tokio::test]
async fn a_later_run_carries_new_hashes_and_exchanged_addresses_and_keeps_new_passwords() {
    on_project(Family::New, async |project| {
        let store = old_service().await;
        moved(&store, project).await;
        // Whoever lost the password has set a new one here, and this stays.
        let lost = project
            .stack()
            .accounts()
            .get_by_email(&address("md5"))
            .await
            .unwrap();
        let argon = vectors().remove(5).1;
        let new = Credential::Hash(argon.clone());
        project
            .stack()
            .accounts()
            .set_credential(&lost.id, new)
            .await
            .unwrap();

        let old = store.stack();
        let accounts = old.accounts();
        let of = |name: &str| format!("66f2.{name}").parse().unwrap();
        let new = Credential::Hash(argon);
        accounts.set_credential(&of("bare"), new).await.unwrap();
        let (one_, other) = (of("bcrypt2a"), of("bcrypt2b"));
        for (id, name) in [(&one_, "x"), (&other, "bcrypt2a"), (&one_, "bcrypt2b")] {
            let patch = authorstack_core::AccountPatch {
                email: authorstack_core::Change::Set(address(name)),
                email_verified: Some(true),
                ..Default::default()
            };
            accounts.update(id, patch).await.unwrap();
        }
        accounts.unblock(&of("blocked")).await.unwrap();
        // Those who exchange addresses come in one batch.
        let options = RunOptions {
            limits: BatchLimits::default(),
            ..options()
        };
        let report = run(source(&store), &target(project), &options, &Silent)
            .await
            .unwrap();
        assert_eq!(counts(&report, Kind::Accounts), (14, 5, 9, 0));
        assert!(is_wrong(by_email(project, "bare", "U*U").await));
        for (name, password) in [
            ("bare", "password"),
            ("md5", "password"),
            ("blocked", "U*U"),
        ] {
            let refused = by_email(project, name, password).await;
            assert!(refused.is_none(), "{name}: {refused:?}");
        }
        let stack = project.stack();
        let there = stack
            .accounts()
            .get_by_email(&address("bcrypt2b"))
            .await
            .unwrap();
        assert_eq!(there.old_id.unwrap().as_str(), "66f2.bcrypt2a");
    })
    .await;
}

#[tokio::test]
async fn whoever_lost_the_password_gets_one_link() {
    on_project(Family::New, async |project| {
        moved(&old_service().await, project).await;
        let lost: Vec<_> = project
            .accounts
            .lost_passwords()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(lost.len(), 1);
        assert_eq!(
            (lost[0].email.clone(), lost[0].algorithm.as_str()),
            (Some(address("md5")), "md5")
        );
        let pace = std::num::NonZeroU32::new(6_000).unwrap();
        assert_eq!(project.accounts.send_resets(pace).await.unwrap().sent, 1);
        let sent = "select count(*) from auth.users where recovery_sent_at is not null";
        assert_eq!(one::<i64>(project, sent).await, 1);
        let enabled = project.accounts.enabled_providers().await.unwrap();
        assert!(enabled.contains("email"), "{enabled:?}");
    })
    .await;
}

#[tokio::test]
async fn what_another_account_has_is_refused_and_named() {
    on_project(Family::New, async |project| {
        let store = old_service().await;
        let (here, old) = (project.stack(), store.stack());
        let there = here.accounts();
        let mut email = NewAccount::new(address("argon2i"));
        email.credential = Credential::None;
        let there_id = there.create(email).await.unwrap().id;
        let firebase = "66f2.firebase".parse().unwrap();
        let user = old.users().get_by_auth_id(&firebase).await.unwrap();
        let mut same_id = NewAccount::new(address("other"));
        same_id.id = Some(user.id.to_uuid().to_string().parse().unwrap());
        there.create(same_id).await.unwrap();
        let mut identity = Identity::new(there_id.clone(), "google".parse().unwrap(), "10987");
        identity.email = None;
        project.stack().identities().create(identity).await.unwrap();

        let planned =
            authorstack_core::migrate::plan(source(&store), &target(project), &KINDS, &Silent)
                .await
                .unwrap();

        let fields = &planned.kinds[1].rejected_fields;
        assert_eq!(fields["email"], 1, "{planned:?}");

        let report = moved(&store, project).await;
        assert_eq!(counts(&report, Kind::Accounts), (14, 12, 0, 2));
        let rejects: Vec<_> = target(project).rejects().try_concat().await.unwrap();
        let of = |key: &str| rejects.iter().find(|it| it.key == key).unwrap();
        let email = &of("66f2.argon2i").problems.0[0];
        assert_eq!(email.field, "email");
        assert!(email.problem.contains(there_id.as_str()), "{email:?}");
        assert_eq!(of("66f2.firebase").problems.0[0].field, "id");
        assert_eq!(of("google/10987").problems.0[0].field, "subject");
        for reject in &rejects {
            let text = format!("{reject:?}");
            assert!(
                !text.contains("lSrfV15cpx95") && !text.contains("iekCn0Y3"),
                "{text}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn accounts_go_back_to_the_service_with_their_hashes() {
    on_project(Family::New, async |project| {
        let store = old_service().await;
        moved(&store, project).await;
        // One signs up here, with an id of Supabase's own.
        let mut new = NewAccount::new(address("new"));
        new.credential = hash(BCRYPT);
        let new = project.stack().accounts().create(new).await.unwrap();

        let (service, ledger) = (MemoryStore::new(), MemoryStore::new());
        let back = Destination::paired(Arc::new(AccountSink::new(&service)), Arc::new(ledger));
        let from: Arc<dyn Snapshot> = Arc::new(project.store.migration().with_accounts());
        let options = RunOptions {
            kinds: Kind::ACCOUNTS.to_vec(),
            ..options()
        };
        let report = run(Arc::clone(&from), &back, &options, &Silent)
            .await
            .unwrap();
        assert_eq!(counts(&report, Kind::Accounts), (15, 15, 0, 0));
        assert_eq!(counts(&report, Kind::Identities), (1, 1, 0, 0));
        let export = service.accounts().accounts.export();
        let all: Vec<ExportedAccount> = export.try_collect().await.unwrap();
        let of = |id: &str| all.iter().find(|it| it.account.id.as_str() == id).unwrap();
        for (name, hash, _) in vectors() {
            let back = of(&format!("66f2.{name}"));
            assert_eq!(back.password, StoredPassword::Hash(hash), "{name}");
        }
        assert!(of("66f2.blocked").account.is_blocked);
        assert_eq!(of(new.id.as_str()).account.email, Some(address("new")));
        // Profiles go back with the ids that they came with.
        let users = from.scan(Kind::Users, None, BatchLimits::default());
        let batches: Vec<_> = users.try_collect().await.unwrap();
        let items = batches.into_iter().flat_map(|batch| batch.items);
        let ids: Vec<String> = items
            .map(|item| item.outcome.unwrap().to_json()["authId"].to_string())
            .filter(|id| id.contains("66f2."))
            .collect();
        assert_eq!(ids.len(), 13, "{ids:?}");
    })
    .await;
}

/// How many accounts a large service has.
const MANY: usize = 20_000;

#[derive(Debug)]
struct Large(authorstack_core::Accounts);

impl AccountStore for Large {
    fn name(&self) -> &'static str {
        "a large service"
    }

    fn accounts(&self) -> authorstack_core::Accounts {
        self.0.clone()
    }
}

fn large_service() -> Arc<dyn Snapshot> {
    let account = |n: usize| {
        let mut new = NewAccount::new(format!("user{n}@example.org").parse().unwrap());
        new.email_verified = true;
        new.created_at = "2024-05-01T00:00:00Z".parse().ok();
        new.last_seen_at = new.created_at;
        let id = format!("{n:020x}").parse().unwrap();
        let mut account = new.into_account(id, authorstack_core::AuthProvider::APPWRITE);
        account.updated_at = account.created_at;
        account
    };
    let mut accounts = MockAccountRepository::new();
    // The service's order is its own.
    accounts
        .expect_stream()
        .returning(move || stream::iter((0..MANY).rev().map(account).map(Ok)).boxed());
    accounts.expect_export().returning(move || {
        let hash: PasswordHash = BCRYPT.parse().unwrap();
        let export = (0..MANY).rev().map(move |n| {
            Ok(ExportedAccount {
                account: account(n),
                password: StoredPassword::Hash(hash.clone()),
            })
        });
        stream::iter(export).boxed()
    });
    let mut bundle = MemoryStore::new().accounts();
    bundle.accounts = Arc::new(accounts);
    Arc::new(AccountSource::new(&Large(bundle)).for_supabase())
}

async fn run_large(store: &SupabaseStore, records: usize) -> Report {
    let target = Destination::transactional(Arc::new(store.migration().with_accounts()));
    let options = RunOptions {
        kinds: vec![Kind::Accounts],
        limits: BatchLimits {
            records,
            bytes: 4 << 20,
        },
    };
    run(large_service(), &target, &options, &Silent)
        .await
        .unwrap()
}

const CHILD: &str = "AUTHORSTACK_TEST_CHILD_OF_MOVES";

/// The run that is killed: a process of its own.
#[tokio::test]
#[ignore = "a part of the test that kills it"]
async fn a_run_that_is_killed() {
    let url = env::var(CHILD).unwrap();
    let store = SupabaseStore::connect(SupabaseConfig::new(url))
        .await
        .unwrap();
    run_large(&store, 250).await;
}

#[tokio::test]
async fn a_killed_run_resumes_without_loss_or_doubles() {
    on_project(Family::New, async |project| {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "accounts::moves::a_run_that_is_killed", "--ignored"])
            .env(CHILD, url(project))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let so_far = "select coalesce(max(written), 0) from authorstack.checkpoints \
                      where kind = 'accounts'";
        loop {
            let written: i64 = one(project, so_far).await;
            if written >= 2_000 {
                break;
            }
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it was killed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let before: i64 = one(project, "select count(*) from auth.users").await;
        assert!(before < i64::try_from(MANY).unwrap(), "{before}");

        let begun = std::time::Instant::now();
        let report = run_large(&project.store, 5_000).await;
        let rest = MANY - usize::try_from(before).unwrap();
        eprintln!("{rest} accounts in {:?}", begun.elapsed());
        assert_eq!(counts(&report, Kind::Accounts), (20_000, 20_000, 0, 0));
        for sql in [
            "select count(*) from auth.users",
            "select count(distinct raw_app_meta_data ->> 'old_id') from auth.users",
            "select count(*) from authorstack.moved_accounts",
            "select count(*) from auth.identities where provider = 'email'",
            "select count(*) from public.users as u join auth.users as a on u.auth_id = a.id::text",
        ] {
            assert_eq!(one::<i64>(project, sql).await, 20_000, "{sql}");
        }
        assert!(by_email(project, "user7", "U*U").await.is_none());

        let mut connection = connection(project).await;
        connection
            .execute(
                "update auth.users set encrypted_password = null where email = 'user11@example.org'; \
                 delete from auth.users where email = 'user12@example.org'",
            )
            .await
            .unwrap();
        let to = target(project);
        let found = verify(large_service(), &to, &[Kind::Accounts], &Silent).await.unwrap();
        // The one that signed in, the one without a password, the one that is gone.
        assert_eq!(found.kinds[0].report.differing, 3, "{found:?}");
        repair(large_service(), &to, &[Kind::Accounts], &Silent).await.unwrap();
        let found = verify(large_service(), &to, &[Kind::Accounts], &Silent).await.unwrap();
        assert_eq!(found.status, Status::Complete, "{found:?}");
        assert!(by_email(project, "user11", "U*U").await.is_none());
        assert!(by_email(project, "user12", "U*U").await.is_none());
    })
    .await;
}
