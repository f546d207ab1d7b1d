//! Accounts and identities in the migration engine, between stores in memory.

use std::sync::Arc;

use authorstack_core::{
    Account, AccountStore, Accounts, AuthProvider, Credential, Error, ExportedAccount, Identity,
    IdentityProvider, MemoryStore, NewAccount, NewUser, PasswordHash, Phone, StoredPassword,
    migrate::{
        AccountSink, AccountSource, Anonymous, BatchLimits, Counts, Destination, DifferenceKind,
        Kind, MovedPassword, Plan, Position, Record, RejectLine, Report, RunOptions, SameAddress,
        Scanned, ScannedBatch, Silent, Snapshot, Status, plan, repair, replay, run, verify,
    },
    mocks::{MockAccountRepository, MockIdentityRepository},
};
use futures::{StreamExt, TryStreamExt, stream};

const ARGON2: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn md5() -> PasswordHash {
    PasswordHash::md5(&"0f".repeat(16)).unwrap()
}

fn named(name: &str) -> NewAccount {
    let mut new = NewAccount::new(format!("{name}@example.org").parse().unwrap());
    new.id = Some(name.parse().unwrap());
    name.clone_into(&mut new.name);
    new
}

fn with_hash(name: &str, hash: PasswordHash) -> NewAccount {
    let mut new = named(name);
    new.credential = Credential::Hash(hash);
    new
}

/// One account of each sort, with a profile each but `bare`, and a profile without an account.
async fn filled() -> MemoryStore {
    let store = MemoryStore::new();
    let stack = store.stack();
    let mut phone = named("phone");
    (phone.email, phone.phone) = (None, Some("+4915112345678".parse::<Phone>().unwrap()));
    let mut mfa = with_hash("mfa", ARGON2.parse().unwrap());
    mfa.has_mfa = true;
    let mut anonymous = NewAccount::anonymous();
    anonymous.id = Some("anonymous".parse().unwrap());
    for new in [
        with_hash("argon", ARGON2.parse().unwrap()),
        with_hash("bcrypt", BCRYPT.parse().unwrap()),
        with_hash("md5", md5()),
        named("oauth"),
        named("bare"),
        phone,
        mfa,
        anonymous,
    ] {
        let account = stack.accounts().create(new).await.unwrap();
        if !["bare", "anonymous"].contains(&account.id.as_str()) {
            let email = account.email.clone();
            let email = email.unwrap_or_else(|| "p@example.org".parse().unwrap());
            let user = NewUser::new(account.id.clone(), email, "");
            stack.users().create(user).await.unwrap();
        }
    }
    let lonely = NewUser::new(
        "gone".parse().unwrap(),
        "g@example.org".parse().unwrap(),
        "",
    );
    stack.users().create(lonely).await.unwrap();
    stack
        .accounts()
        .block(&"bcrypt".parse().unwrap())
        .await
        .unwrap();
    for (provider, subject) in [
        ("google", "10987"),
        ("microsoft", "object-id"),
        ("slack", "U1"),
    ] {
        let provider: IdentityProvider = provider.parse().unwrap();
        let identity = Identity::new("oauth".parse().unwrap(), provider, subject);
        stack.identities().create(identity).await.unwrap();
    }
    store
}

fn arc(store: &MemoryStore) -> Arc<MemoryStore> {
    Arc::new(store.clone())
}

fn into(store: &MemoryStore) -> Destination {
    Destination::transactional(arc(store))
}

fn accounts_only() -> RunOptions {
    RunOptions {
        kinds: Kind::ACCOUNTS.to_vec(),
        limits: BatchLimits {
            records: 3,
            bytes: 1 << 20,
        },
    }
}

async fn move_accounts(source: AccountSource, target: &MemoryStore) -> Report {
    run(Arc::new(source), &into(target), &accounts_only(), &Silent)
        .await
        .unwrap()
}

fn counts_of(report: &Report, kind: Kind) -> Counts {
    let mut kinds = report.kinds.iter();
    kinds.find(|report| report.kind == kind).unwrap().counts
}

fn counts(read: u64, written: u64, unchanged: u64, rejected: u64) -> Counts {
    Counts {
        read,
        written,
        unchanged,
        rejected,
    }
}

async fn scanned(source: &AccountSource, kind: Kind, after: Option<Position>) -> Vec<Scanned> {
    let limits = BatchLimits {
        records: 2,
        bytes: 1 << 20,
    };
    let batches: Vec<ScannedBatch> = source
        .scan(kind, after, limits)
        .try_collect()
        .await
        .unwrap();
    batches.into_iter().flat_map(|batch| batch.items).collect()
}

fn all_of(source: &MemoryStore) -> AccountSource {
    AccountSource::new(source).anonymous(Anonymous::Move)
}

#[tokio::test]
async fn accounts_move_with_their_hashes_and_a_second_run_changes_nothing() {
    let (source, target) = (filled().await, MemoryStore::new());
    let report = move_accounts(all_of(&source), &target).await;
    assert_eq!(counts_of(&report, Kind::Accounts), counts(8, 8, 0, 0));
    assert_eq!(counts_of(&report, Kind::Identities), counts(3, 3, 0, 0));
    let exported = |store: &MemoryStore| {
        let export = store.accounts().accounts.export();
        async move { export.try_collect::<Vec<ExportedAccount>>().await.unwrap() }
    };
    assert_eq!(exported(&target).await, exported(&source).await);

    let again = move_accounts(all_of(&source), &target).await;
    assert_eq!(counts_of(&again, Kind::Accounts), counts(8, 0, 8, 0));
    let from = Arc::new(all_of(&source));
    let verified = verify(from, &into(&target), Kind::ACCOUNTS, &Silent)
        .await
        .unwrap();
    assert_eq!(verified.status, Status::Complete, "{verified:?}");
}

#[tokio::test]
async fn however_little_fits_into_memory_each_account_comes_once_and_in_order() {
    let source = filled().await;
    for kind in Kind::ACCOUNTS {
        let whole = scanned(&all_of(&source), *kind, None).await;
        let keys: Vec<&String> = whole.iter().map(|item| &item.key).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let narrow = all_of(&source).window(1);
        let by_one = scanned(&narrow, *kind, None).await;
        assert_eq!(
            by_one.iter().map(|item| &item.key).collect::<Vec<_>>(),
            keys
        );
        let rest = scanned(&narrow, *kind, Some(Position(keys[1].clone()))).await;
        assert_eq!(
            rest.iter().map(|item| &item.key).collect::<Vec<_>>(),
            keys[2..]
        );
        assert_eq!(narrow.count(*kind).await.unwrap(), keys.len() as u64);
    }
}

#[tokio::test]
async fn a_later_run_carries_new_hashes_and_repair_does_too() {
    let (source, target) = (filled().await, MemoryStore::new());
    move_accounts(all_of(&source), &target).await;
    let accounts = source.stack();
    let (md5, argon) = ("md5".parse().unwrap(), "argon".parse().unwrap());
    let new = Credential::Hash(ARGON2.parse().unwrap());
    accounts.accounts().set_credential(&md5, new).await.unwrap();
    accounts.accounts().block(&argon).await.unwrap();
    let from = Arc::new(all_of(&source));
    let found = verify(from.clone(), &into(&target), Kind::ACCOUNTS, &Silent)
        .await
        .unwrap();
    let differences = &found.kinds[0].differences;
    let fields: Vec<&DifferenceKind> = differences.iter().map(|it| &it.difference).collect();
    let differ = |fields: &[&str]| DifferenceKind::Differs {
        fields: fields.iter().map(|it| (*it).to_owned()).collect(),
    };
    assert_eq!(
        fields,
        [
            &differ(&["isBlocked", "updatedAt"]),
            &differ(&["passwordStatus", "updatedAt"])
        ]
    );
    repair(from.clone(), &into(&target), Kind::ACCOUNTS, &Silent)
        .await
        .unwrap();
    let found = verify(from, &into(&target), Kind::ACCOUNTS, &Silent)
        .await
        .unwrap();
    assert_eq!(found.status, Status::Complete, "{found:?}");
}

async fn planned(source: &MemoryStore, accounts: AccountSource) -> Plan {
    let users = authorstack_core::migrate::SourceSet::new(vec![Arc::new(accounts), arc(source)]);
    let kinds = [Kind::Users, Kind::Accounts, Kind::Identities];
    let target = into(&MemoryStore::new());
    plan(Arc::new(users), &target, &kinds, &Silent)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_plan_says_whose_password_stays_and_who_has_no_profile() {
    let source = filled().await;
    let found = planned(&source, AccountSource::new(&source).for_supabase()).await;
    let accounts = found.accounts.unwrap();
    assert_eq!((accounts.kept(), accounts.lost()), (3, 1));
    let lost = accounts.passwords.iter().find(|count| !count.kept).unwrap();
    assert_eq!((lost.algorithm.as_str(), lost.accounts), ("md5", 1));
    assert_eq!(accounts.without_password, 3);
    assert_eq!((accounts.with_mfa, accounts.blocked), (1, 1));
    assert_eq!(accounts.without_profile.first, ["bare"]);
    assert_eq!(accounts.profiles_without_account.count, 1);
    let providers: Vec<_> = accounts.providers.into_iter().collect();
    assert_eq!(
        providers,
        [("google".to_owned(), 1), ("slack_oidc".to_owned(), 1)]
    );
    let of = |kind: Kind| {
        found
            .kinds
            .iter()
            .find(|it| it.report.kind == kind)
            .unwrap()
    };
    let accounts = of(Kind::Accounts);
    assert_eq!(accounts.rejected_fields["isAnonymous"], 1);
    assert_eq!(accounts.set_aside_fields["password"], 1);
    assert_eq!(accounts.set_aside_fields["hasMfa"], 1);
    let reason = &accounts.set_aside_examples[0].reason;
    assert!(
        reason.contains("md5") && reason.contains("link"),
        "{reason}"
    );
    assert!(!reason.contains("0f0f"), "{reason}");
    let refused = &of(Kind::Identities).examples[0];
    assert_eq!(refused.key, "azure/object-id");
    assert!(refused.reason.contains("Microsoft"), "{refused:?}");
}

/// A service with these accounts, in this order.
#[derive(Debug)]
struct Service(Accounts);

impl AccountStore for Service {
    fn name(&self) -> &'static str {
        "a service"
    }

    fn accounts(&self) -> Accounts {
        self.0.clone()
    }
}

fn account(id: &str, email: &str, seen: &str) -> Account {
    let mut new = NewAccount::new(email.parse().unwrap());
    new.last_seen_at = Some(seen.parse().unwrap());
    new.into_account(id.parse().unwrap(), AuthProvider::APPWRITE)
}

/// The service, with these identities.
fn linked(accounts: Vec<Result<Account, &'static str>>, identities: Vec<Identity>) -> Service {
    let Service(mut bundle) = service(accounts);
    let mut repository = MockIdentityRepository::new();
    repository
        .expect_stream()
        .returning(move || stream::iter(identities.clone()).map(Ok).boxed());
    bundle.identities = Arc::new(repository);
    Service(bundle)
}

fn service(accounts: Vec<Result<Account, &'static str>>) -> Service {
    let mut repository = MockAccountRepository::new();
    let all = accounts.clone();
    let failed = |what: &'static str| Error::corrupt(what).for_record("broken");
    repository.expect_stream().returning(move || {
        stream::iter(all.clone())
            .map(move |it| it.map_err(failed))
            .boxed()
    });
    repository.expect_export().returning(move || {
        let exported = |account| ExportedAccount {
            account,
            password: StoredPassword::None,
        };
        stream::iter(accounts.clone())
            .map(move |it| it.map(exported).map_err(failed))
            .boxed()
    });
    let mut bundle = MemoryStore::new().accounts();
    bundle.accounts = Arc::new(repository);
    Service(bundle)
}

fn twins() -> Service {
    service(vec![
        Ok(account("c", "ada@example.org", "2024-01-01T00:00:00Z")),
        Ok(account("b", "ada@example.org", "2025-01-01T00:00:00Z")),
        Ok(account("a", "ada@example.org", "2023-01-01T00:00:00Z")),
        Err("phone: is no number"),
        Ok(account("d", "bob@example.org", "2023-01-01T00:00:00Z")),
    ])
}

async fn keys_of(target: &MemoryStore) -> Vec<String> {
    let all: Vec<Account> = target
        .accounts()
        .accounts
        .stream()
        .try_collect()
        .await
        .unwrap();
    all.iter().map(|account| account.id.to_string()).collect()
}

#[tokio::test]
async fn of_several_accounts_with_one_address_an_option_says_which_one_moves() {
    let (target, service) = (MemoryStore::new(), twins());
    let report = move_accounts(AccountSource::new(&service), &target).await;
    // What cannot be read is named and counted.
    assert_eq!(counts_of(&report, Kind::Accounts), counts(5, 2, 0, 3));
    assert_eq!(keys_of(&target).await, ["a", "d"]);

    let target = MemoryStore::new();
    let last = AccountSource::new(&service).same_address(SameAddress::LastSeen);
    move_accounts(last, &target).await;
    assert_eq!(keys_of(&target).await, ["b", "d"]);
    let rejects: Vec<_> = into(&target).rejects().try_concat().await.unwrap();
    let keys: Vec<&str> = rejects.iter().map(|reject| reject.key.as_str()).collect();
    assert_eq!(keys, ["a", "broken", "c"]);
    assert_eq!(rejects[0].problems.0[0].field, "email");
    assert_eq!(rejects[1].problems.0[0].field, "phone");

    let empty = into(&MemoryStore::new());
    let planned = plan(
        Arc::new(AccountSource::new(&service)),
        &empty,
        &[Kind::Accounts],
        &Silent,
    );
    let collisions = planned.await.unwrap().collisions;
    assert_eq!(collisions.len(), 2);
    assert_eq!(collisions[0].value, "ada@example.org");
    assert_eq!(collisions[0].first.to_string(), "a");
}

#[tokio::test]
async fn an_account_with_an_identity_alone_is_not_anonymous() {
    let anonymous = |id: &str| {
        let new = NewAccount::anonymous();
        new.into_account(id.parse().unwrap(), AuthProvider::APPWRITE)
    };
    let identity = Identity::new("a".parse().unwrap(), "github".parse().unwrap(), "77");
    let all = vec![Ok(anonymous("a")), Ok(anonymous("b"))];
    for same in [SameAddress::First, SameAddress::LastSeen] {
        let (target, service) = (
            MemoryStore::new(),
            linked(all.clone(), vec![identity.clone()]),
        );
        let source = AccountSource::new(&service).same_address(same);
        let report = move_accounts(source, &target).await;
        assert_eq!(counts_of(&report, Kind::Accounts), counts(2, 1, 0, 1));
        assert_eq!(counts_of(&report, Kind::Identities), counts(1, 1, 0, 0));
        assert_eq!(keys_of(&target).await, ["a"]);
    }
}

#[tokio::test]
async fn a_fixed_line_gets_its_hash_from_the_source_and_no_line_holds_one() {
    let (source, target) = (filled().await, MemoryStore::new());
    let mut other = named("other");
    other.email = Some("argon@example.org".parse().unwrap());
    target.stack().accounts().create(other).await.unwrap();
    let report = move_accounts(all_of(&source), &target).await;
    assert_eq!(counts_of(&report, Kind::Accounts), counts(8, 7, 0, 1));
    let rejects: Vec<_> = into(&target).rejects().try_concat().await.unwrap();
    let text = format!("{rejects:?} {}", rejects[0].record);
    for secret in ["nf65EOgLrQMR", "c29tZXNhbHQ", "$argon2"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(rejects[0].record.contains("kept: argon2\""), "{text}");
    let mut line: RejectLine = rejects[0].to_line().unwrap();
    line.record["email"] = "ada@example.org".into();
    let lines = stream::iter([Ok(line)]).boxed();
    let from = Arc::new(all_of(&source));
    let replayed = replay(from, &into(&target), lines, &Silent).await.unwrap();
    assert_eq!(replayed.status, Status::Complete, "{replayed:?}");
    let export = target.accounts().accounts.export();
    let all: Vec<ExportedAccount> = export.try_collect().await.unwrap();
    let moved = all
        .iter()
        .find(|it| it.account.id.as_str() == "argon")
        .unwrap();
    let hash: PasswordHash = ARGON2.parse().unwrap();
    assert_eq!(moved.password, StoredPassword::Hash(hash));
    assert_eq!(
        moved.account.email.as_ref().unwrap().as_str(),
        "ada@example.org"
    );
}

#[tokio::test]
async fn accounts_go_back_by_the_calls_of_the_service() {
    let (source, service, ledger) = (filled().await, MemoryStore::new(), MemoryStore::new());
    let back = Destination::paired(Arc::new(AccountSink::new(&service)), arc(&ledger));
    let from: Arc<dyn Snapshot> = Arc::new(all_of(&source));
    let report = run(Arc::clone(&from), &back, &accounts_only(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts_of(&report, Kind::Accounts), counts(8, 8, 0, 0));
    assert_eq!(counts_of(&report, Kind::Identities), counts(3, 3, 0, 0));
    let stack = service.stack();
    let blocked = stack
        .accounts()
        .get(&"bcrypt".parse().unwrap())
        .await
        .unwrap();
    assert!(blocked.is_blocked);

    // A second run brings up to date what changed.
    let changed = "argon".parse().unwrap();
    let hash = Credential::Hash(BCRYPT.parse().unwrap());
    source
        .stack()
        .accounts()
        .set_credential(&changed, hash)
        .await
        .unwrap();
    source
        .stack()
        .accounts()
        .unblock(&"bcrypt".parse().unwrap())
        .await
        .unwrap();
    let again = run(from, &back, &accounts_only(), &Silent).await.unwrap();
    assert_eq!(counts_of(&again, Kind::Accounts), counts(8, 2, 6, 0));
    let export = service.accounts().accounts.export();
    let all: Vec<ExportedAccount> = export.try_collect().await.unwrap();
    let moved = all.iter().find(|it| it.account.id == changed).unwrap();
    let hash: PasswordHash = BCRYPT.parse().unwrap();
    assert_eq!(moved.password, StoredPassword::Hash(hash));
}

#[tokio::test]
async fn a_service_that_sets_its_own_dates_and_takes_no_later_hash_gets_the_rest() {
    let source = MemoryStore::new();
    let stack = source.stack();
    stack.accounts().create(named("new")).await.unwrap();
    let there = with_hash("there", ARGON2.parse().unwrap());
    let there = stack.accounts().create(there).await.unwrap();
    stack.accounts().block(&there.id).await.unwrap();

    let before = there.clone();
    let mut repository = MockAccountRepository::new();
    repository.expect_export().returning(move || {
        let account = before.clone();
        let password = StoredPassword::None;
        stream::iter([Ok(ExportedAccount { account, password })]).boxed()
    });
    let known = there.clone();
    repository.expect_get().returning(move |id| {
        if *id == known.id {
            Ok(known.clone())
        } else {
            Err(Error::not_found())
        }
    });
    repository
        .expect_stream()
        .returning(|| stream::empty().boxed());
    let unsupported = || Error::unsupported("this service sets its own");
    repository
        .expect_create()
        .withf(|new| new.created_at.is_some())
        .times(1..)
        .returning(move |_| Err(unsupported()));
    repository
        .expect_create()
        .withf(|new| new.created_at.is_none() && new.last_seen_at.is_none())
        .times(1..)
        .returning(|new| {
            let id = new.id.clone().unwrap();
            Ok(new.into_account(id, AuthProvider::APPWRITE))
        });
    // It is blocked, although its hash is not taken.
    let blocked = there.clone();
    repository
        .expect_block()
        .times(1..)
        .returning(move |_| Ok(blocked.clone()));
    repository
        .expect_set_credential()
        .times(1..)
        .returning(move |_, _| Err(unsupported()));
    let mut bundle = MemoryStore::new().accounts();
    bundle.accounts = Arc::new(repository);
    let sink = Arc::new(AccountSink::new(&Service(bundle)));
    let back = Destination::paired(sink, Arc::new(MemoryStore::new()));
    let options = RunOptions {
        kinds: vec![Kind::Accounts],
        ..accounts_only()
    };
    let report = run(Arc::new(all_of(&source)), &back, &options, &Silent)
        .await
        .unwrap();
    assert_eq!(counts_of(&report, Kind::Accounts), counts(2, 1, 0, 1));
    let rejects: Vec<_> = back.rejects().try_concat().await.unwrap();
    assert_eq!(rejects[0].key, "there");
    let reason = &rejects[0].problems.0[0].problem;
    assert!(reason.contains("sets its own"), "{reason}");
}

#[tokio::test]
async fn an_identity_without_its_account_stays_behind() {
    let (source, target) = (filled().await, MemoryStore::new());
    let options = RunOptions {
        kinds: vec![Kind::Identities],
        ..accounts_only()
    };
    let from = Arc::new(all_of(&source));
    let report = run(from, &into(&target), &options, &Silent).await.unwrap();
    assert_eq!(counts_of(&report, Kind::Identities), counts(3, 0, 0, 3));
    let rejects: Vec<_> = into(&target).rejects().try_concat().await.unwrap();
    assert_eq!(rejects[0].problems.0[0].field, "accountId");
}

#[test]
fn a_record_of_an_account_never_prints_its_hash() {
    let password = MovedPassword::kept(ARGON2.parse().unwrap());
    let account = named("ada").into_account("x".parse().unwrap(), AuthProvider::APPWRITE);
    let record = Record::from(authorstack_core::migrate::MovedAccount::new(
        account, password,
    ));
    let text = format!("{record:?} {record:#?} {}", record.to_json());
    for secret in ["nf65EOgLrQMR", "c29tZXNhbHQ"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(record.check().is_ok());
}
