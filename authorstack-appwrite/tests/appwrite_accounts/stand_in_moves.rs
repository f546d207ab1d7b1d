//! Accounts move from Appwrite and back to it.

use std::sync::Arc;

use authorstack_core::{
    AuthId, Credential, ExportedAccount, MemoryStore, NewAccount, PasswordHash, StoredPassword,
    migrate::{
        AccountSink, AccountSource, Destination, Kind, Report, RunOptions, Silent, Snapshot, run,
    },
    testing::{FreshAccounts, accounts::address},
};
use futures::TryStreamExt;

use crate::project::{Project, on_project};

const ARGON2: &str = "$argon2id$v=19$m=19456,t=2,p=1$NnJyaVhldGF5dUZGRDVESQ$TOqUMHZVpR67IuFg7rQQiUgOrGI3cibUEdb0kioCCiQ";

fn md5() -> PasswordHash {
    PasswordHash::md5("ce757af9f9d0ee3045aa831d56f2978d").unwrap()
}

fn with(name: &str, hash: PasswordHash) -> NewAccount {
    let mut new = NewAccount::new(address(name));
    new.id = Some(name.parse().unwrap());
    new.email_verified = true;
    new.credential = Credential::Hash(hash);
    new
}

async fn exported(store: &MemoryStore) -> Vec<ExportedAccount> {
    let stack = store.stack();
    stack.accounts().export().try_collect().await.unwrap()
}

async fn moved(from: Arc<dyn Snapshot>, to: &Destination) -> Report {
    let options = RunOptions {
        kinds: Kind::ACCOUNTS.to_vec(),
        ..RunOptions::default()
    };
    run(from, to, &options, &Silent).await.unwrap()
}

fn written_and_rejected(report: &Report, kind: Kind) -> (u64, u64) {
    let mut kinds = report.kinds.iter();
    let counts = kinds.find(|it| it.kind == kind).unwrap().counts;
    (counts.written, counts.rejected)
}

#[tokio::test]
async fn accounts_leave_with_their_hashes_and_those_that_cannot_keep_theirs_are_named() {
    on_project(Project::stand_in(|config| config).await, async |project| {
        let stack = project.stack();
        for new in [
            with("ada", ARGON2.parse().unwrap()),
            with("bob", md5()),
            NewAccount::anonymous(),
        ] {
            stack.accounts().create(new).await.unwrap();
        }
        let blocked: AuthId = "bob".parse().unwrap();
        stack.accounts().block(&blocked).await.unwrap();

        let target = MemoryStore::new();
        let to = Destination::transactional(Arc::new(target.clone()));
        let from = Arc::new(AccountSource::new(&project.accounts).for_supabase());
        let report = moved(from.clone(), &to).await;
        assert_eq!(written_and_rejected(&report, Kind::Accounts), (2, 1));
        let rejects: Vec<_> = to.rejects().try_concat().await.unwrap();
        assert_eq!(rejects[0].problems.0[0].field, "isAnonymous");
        let aside: Vec<_> = to.set_aside().try_concat().await.unwrap();
        assert_eq!(aside.len(), 1, "{aside:?}");

        let there = exported(&target).await;
        let of = |id: &str| {
            there
                .iter()
                .find(|it| it.account.id.as_str() == id)
                .unwrap()
        };
        let hash: PasswordHash = ARGON2.parse().unwrap();
        assert_eq!(of("ada").password, StoredPassword::Hash(hash));
        assert!(of("ada").account.email_verified);
        assert_eq!(of("bob").password, StoredPassword::None);
        assert!(of("bob").account.is_blocked);

        // A second run changes nothing.
        let report = moved(from, &to).await;
        assert_eq!(written_and_rejected(&report, Kind::Accounts), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn accounts_come_back_with_their_hashes_and_appwrites_dates() {
    on_project(Project::stand_in(|config| config).await, async |project| {
        let source = MemoryStore::new();
        let stack = source.stack();
        let mut phone = with("phone", md5());
        (phone.email, phone.email_verified) = (None, false);
        phone.phone = Some("+4915112345678".parse().unwrap());
        let ada = with("ada", ARGON2.parse().unwrap());
        for new in [ada, with("bob", md5()), phone] {
            stack.accounts().create(new).await.unwrap();
        }
        let bob: AuthId = "bob".parse().unwrap();
        stack.accounts().block(&bob).await.unwrap();
        let identity = authorstack_core::Identity::new(
            "ada".parse().unwrap(),
            "google".parse().unwrap(),
            "10987",
        );
        stack.identities().create(identity).await.unwrap();

        let sink = Arc::new(AccountSink::new(&project.accounts));
        let back = Destination::paired(sink, Arc::new(MemoryStore::new()));
        let from = Arc::new(AccountSource::new(&source));
        let report = moved(from.clone(), &back).await;
        // Appwrite takes no hash without an address, and no identity.
        assert_eq!(written_and_rejected(&report, Kind::Accounts), (2, 1));
        assert_eq!(written_and_rejected(&report, Kind::Identities), (0, 1));
        let rejects: Vec<_> = back.rejects().try_concat().await.unwrap();
        let text = format!("{rejects:?}");
        for said in [
            "only with an e-mail address",
            "signs in by the other service",
        ] {
            assert!(text.contains(said), "{text}");
        }
        assert!(!text.contains("ce757af9"), "{text}");

        let export = project.stack().accounts().export();
        let there: Vec<ExportedAccount> = export.try_collect().await.unwrap();
        let of = |id: &str| {
            there
                .iter()
                .find(|it| it.account.id.as_str() == id)
                .unwrap()
        };
        let hash: PasswordHash = ARGON2.parse().unwrap();
        assert_eq!(of("ada").password, StoredPassword::Hash(hash));
        assert!(of("bob").account.is_blocked && of("bob").account.email_verified);

        let again = moved(from, &back).await;
        assert_eq!(written_and_rejected(&again, Kind::Accounts), (0, 1));
    })
    .await;
}
