//! Every form of hash that Supabase Auth takes keeps its password; the others are refused.

use authorstack_core::{
    Credential, ErrorKind, HashParameters, NewAccount, PasswordHash, StoredPassword,
    testing::{FreshAccounts, accounts::address},
};
use futures::TryStreamExt;
use serde_json::json;

use crate::accounts::project::{Family, Project, on_project};

const FIREBASE: &str =
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
const SIGNER: &str =
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";

/// Firebase's own published vector.
fn firebase() -> PasswordHash {
    let parameters = HashParameters::FirebaseScrypt {
        salt: "42xEC+ixf3L2lw==".into(),
        separator: "Bw==".into(),
        signer_key: SIGNER.into(),
        log_n: 14,
        r: 8,
        p: 1,
    };
    PasswordHash::firebase_scrypt(FIREBASE, parameters).unwrap()
}

/// Hashes that others have published, with their passwords.
pub(crate) fn vectors() -> Vec<(&'static str, PasswordHash, &'static str)> {
    let hash = |text: &str| text.parse::<PasswordHash>().unwrap();
    let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    vec![
        ("firebase", firebase(), "user1password"),
        ("bcrypt2a", hash(bcrypt), "U*U"),
        ("bcrypt2b", hash(&bcrypt.replace("2a", "2b")), "U*U"),
        ("bcrypt2y", hash(&bcrypt.replace("2a", "2y")), "U*U"),
        (
            "argon2i",
            hash(
                "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            ),
            "password",
        ),
        (
            "argon2id",
            hash(
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            ),
            "password",
        ),
    ]
}

async fn signs_in(project: &Project, name: &str, password: &str) -> bool {
    let body = json!({ "email": address(name).as_str(), "password": password });
    match project.token(&body).await {
        Ok(_) => true,
        Err(error) if *error.kind() == ErrorKind::Unauthenticated => false,
        Err(error) => panic!("{name}: {error}"),
    }
}

#[tokio::test]
async fn hashes_of_each_kind_keep_their_passwords() {
    on_project(Family::New, async |project| {
        let stack = project.stack();
        for (name, hash, password) in vectors() {
            let mut new = NewAccount::new(address(name));
            new.email_verified = true;
            new.credential = Credential::Hash(hash);
            stack.accounts().create(new).await.unwrap();
            assert!(!signs_in(project, name, "another one").await, "{name}");
            assert!(signs_in(project, name, password).await, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_has_each_hash_as_it_was() {
    on_project(Family::New, async |project| {
        let stack = project.stack();
        for (name, hash, _) in vectors() {
            let mut new = NewAccount::new(address(name));
            new.credential = Credential::Hash(hash);
            stack.accounts().create(new).await.unwrap();
        }
        let exported: Vec<_> = stack.accounts().export().try_collect().await.unwrap();
        assert_eq!(exported.len(), vectors().len());
        for (name, hash, _) in vectors() {
            let of =
                |it: &&authorstack_core::ExportedAccount| it.account.email == Some(address(name));
            let found = exported.iter().find(of).unwrap();
            assert_eq!(found.password, StoredPassword::Hash(hash), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_hash_that_is_not_taken_is_refused_before_anything_is_written() {
    on_project(Family::New, async |project| {
        let stack = project.stack();
        let mut new = NewAccount::new(address("ada"));
        new.credential = Credential::Hash(PasswordHash::md5(&"0f".repeat(16)).unwrap());
        let refused = stack.accounts().create(new).await.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Unsupported { .. }),
            "{refused}"
        );
        let found = stack.accounts().get_by_email(&address("ada")).await;
        assert!(found.unwrap_err().is_not_found());
    })
    .await;
}

#[tokio::test]
async fn an_account_signs_in_by_phone_and_an_unverified_one_does_not() {
    on_project(Family::New, async |project| {
        let stack = project.stack();
        let (_, hash, password) = vectors().remove(1);
        let mut new = NewAccount::new(address("ada"));
        (new.phone, new.phone_verified) = (Some("+4915112345678".parse().unwrap()), true);
        new.credential = Credential::Hash(hash);
        stack.accounts().create(new).await.unwrap();
        let by_phone = json!({ "phone": "+4915112345678", "password": password });
        project.token(&by_phone).await.unwrap();
        let by_email = json!({ "email": "ada@example.org", "password": password });
        let refused = project.token(&by_email).await.unwrap_err();
        assert!(
            refused.to_string().contains("email_not_confirmed"),
            "{refused}"
        );
    })
    .await;
}
