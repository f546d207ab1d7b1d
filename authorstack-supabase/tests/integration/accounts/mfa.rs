//! Second factors that accounts have at Supabase itself.

use std::sync::Arc;

use authorstack_core::{
    Account, AccountStore, AuthId, MemoryStore, NewAccount,
    migrate::{
        AccountSink, BatchLimits, Destination, Kind, RunOptions, SetAside, Silent, Snapshot, plan,
        run,
    },
    testing::{FreshAccounts, accounts::address},
};
use futures::TryStreamExt;
use sqlx::query;
use uuid::Uuid;

use super::{
    moves::connection,
    project::{Family, Project, on_project},
};

/// Enrols a factor as the server does it.
async fn enrol(project: &Project, account: &AuthId, is_verified: bool) {
    let insert = "insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, \
                    created_at, updated_at, secret) \
                  values ($1, $2, $3, 'totp', $4::auth.factor_status, now(), now(), 'QUOKKA')";
    let status = if is_verified {
        "verified"
    } else {
        "unverified"
    };
    let insert = query(insert)
        .bind(Uuid::from_u128(rand::random()))
        .bind(account.as_str().parse::<Uuid>().unwrap())
        .bind(status)
        .bind(status);
    let mut connection = connection(project).await;
    insert.execute(&mut connection).await.unwrap();
}

async fn account(project: &Project, name: &str) -> AuthId {
    let mut new = NewAccount::new(address(name));
    new.email_verified = true;
    project.stack().accounts().create(new).await.unwrap().id
}

#[tokio::test]
async fn an_account_with_a_verified_factor_has_a_second_one() {
    on_project(Family::New, async |project| {
        let (ada, bob) = (account(project, "ada").await, account(project, "bob").await);
        for id in [&ada, &bob] {
            enrol(project, id, false).await;
        }
        let stack = project.stack();
        assert!(!stack.accounts().get(&ada).await.unwrap().has_mfa);
        enrol(project, &ada, true).await;
        assert!(stack.accounts().get(&ada).await.unwrap().has_mfa);
        let found = stack.accounts().get_by_email(&address("ada")).await;
        assert!(found.unwrap().has_mfa);
        let all: Vec<Account> = stack.accounts().stream().try_collect().await.unwrap();
        let having = all.iter().filter(|it| it.has_mfa);
        assert_eq!(having.map(|it| &it.id).collect::<Vec<_>>(), [&ada]);
        assert!(stack.accounts().block(&ada).await.unwrap().has_mfa);

        // Who removes it has none, and whoever is deleted leaves none behind.
        let mut connection = connection(project).await;
        let remove = query("delete from auth.mfa_factors where status = 'verified'");
        remove.execute(&mut connection).await.unwrap();
        assert!(!stack.accounts().unblock(&ada).await.unwrap().has_mfa);
        stack.accounts().delete(&bob).await.unwrap();
        let left = query("select 1 from auth.mfa_factors").fetch_all(&mut connection);
        assert_eq!(left.await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_way_back_lists_the_factors_that_stay() {
    on_project(Family::New, async |project| {
        let ada = account(project, "ada").await;
        account(project, "bob").await;
        enrol(project, &ada, true).await;
        let (service, ledger) = (MemoryStore::new(), MemoryStore::new());
        let back = Destination::paired(Arc::new(AccountSink::new(&service)), Arc::new(ledger));
        let from: Arc<dyn Snapshot> = Arc::new(project.store.migration().with_accounts());
        let planned = plan(Arc::clone(&from), &back, Kind::ACCOUNTS, &Silent).await;
        let planned = planned.unwrap();
        assert_eq!(planned.accounts.unwrap().with_mfa, 1);
        assert_eq!(planned.kinds[0].set_aside_fields["hasMfa"], 1);
        let options = RunOptions {
            kinds: Kind::ACCOUNTS.to_vec(),
            limits: BatchLimits::default(),
        };
        run(from, &back, &options, &Silent).await.unwrap();
        let listed: Vec<SetAside> = back.set_aside().try_concat().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].key, ada.as_str());
        assert_eq!(listed[0].fields.0[0].field, "hasMfa");
        assert!(!format!("{listed:?}").contains("QUOKKA"));
        let there = service.accounts().accounts.get(&ada).await.unwrap();
        assert!(there.has_mfa, "it is marked");
    })
    .await;
}
