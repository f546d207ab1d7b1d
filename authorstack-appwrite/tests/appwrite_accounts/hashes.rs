//! Every form of hash that Appwrite takes over keeps its password, and comes out as it went in.

use authorstack_core::{
    Credential, ErrorKind, ExportedAccount, HashParameters, NewAccount, PasswordAlgorithm,
    PasswordHash, StoredPassword,
    testing::{FreshAccounts, accounts::address},
};
use futures::TryStreamExt;

use crate::project::{Project, on_project};

/// Hashes whose sign-ins a real server has taken, with their passwords.
pub(crate) fn vectors() -> Vec<(&'static str, PasswordHash, &'static str)> {
    const PASSWORD: &str = "Passw0rd-acc";
    let hash = |text: &str| text.parse::<PasswordHash>().unwrap();
    let firebase = HashParameters::FirebaseScrypt {
        salt: "UxLMreBr6tYyjQ==".into(),
        separator: "Bw==".into(),
        signer_key: "XyEKE9RcTDeLEsL/RjwPDBv/RqDl8fb3gpYEOQaPihbxf1ZAtSOHCjuAAa7Q3oHpCYhXSN9tizHgVOwn6krflQ==".into(),
        log_n: 14,
        r: 8,
        p: 1,
    };
    let firebase = PasswordHash::firebase_scrypt(
        "UlM7JiXRcQhzAGlaonpSqNSLIz475WMddOgLjej5De9vxTy48K6WtqlEzrRFeK4t0COfMhWCb8wuMHgxOFCHFQ==",
        firebase,
    );
    let scrypt = HashParameters::Scrypt {
        salt: "salty".into(),
        n: 16_384,
        r: 8,
        p: 1,
        length: 64,
    };
    let scrypt = PasswordHash::scrypt(
        "5d44508e456d85ed56ccabc6eb98f01bb59a09545637555547928f68684b96a2d3945c9415696c728c43e6d65f604d39fe8f124a486ed66309d16d1256ea2d31",
        scrypt,
    );
    let sha256 = "3bc282c8da791ac47afce19f77c065ebb8e875a634e7ce9b5f71f58c73b8a5f2";
    vec![
        (
            "argon2",
            hash(
                "$argon2id$v=19$m=19456,t=2,p=1$NnJyaVhldGF5dUZGRDVESQ$TOqUMHZVpR67IuFg7rQQiUgOrGI3cibUEdb0kioCCiQ",
            ),
            PASSWORD,
        ),
        (
            "bcrypt",
            hash("$2y$12$mj02DkHd.tnrKuUHz.zasu.kGYyzoLM1PhkUaLd6M2CvjG1RM0yi6"),
            PASSWORD,
        ),
        ("firebase", firebase.unwrap(), "appwrite"),
        ("scrypt", scrypt.unwrap(), PASSWORD),
        (
            "phpass",
            hash("$P$Br387rwferoKN7uwHZqNMu98q3U8RO."),
            "appwrite",
        ),
        (
            "sha",
            PasswordHash::sha(sha256, "sha256").unwrap(),
            PASSWORD,
        ),
        (
            "md5",
            PasswordHash::md5("ce757af9f9d0ee3045aa831d56f2978d").unwrap(),
            PASSWORD,
        ),
    ]
}

async fn exported(project: &Project) -> Vec<ExportedAccount> {
    let stack = project.stack();
    stack.accounts().export().try_collect().await.unwrap()
}

#[tokio::test]
async fn each_hash_is_exported_as_it_was_and_keeps_its_password() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        for (name, hash, _) in vectors() {
            let mut new = NewAccount::new(address(name));
            new.phone = Some(
                format!(
                    "+4915112345{}",
                    600 + name.len() * 10 + usize::from(name.as_bytes()[0] % 10)
                )
                .parse()
                .unwrap(),
            );
            new.email_verified = true;
            new.credential = Credential::Hash(hash);
            let made = stack.accounts().create(new.clone()).await.unwrap();
            assert!(made.email_verified, "{name}");
            assert_eq!(made.phone, new.phone);
        }
        let before = exported(project).await;
        for (name, hash, password) in vectors() {
            let of = |it: &&ExportedAccount| it.account.email == Some(address(name));
            let found = before.iter().find(of).unwrap();
            assert_eq!(found.password, StoredPassword::Hash(hash), "{name}");
            let email = format!("{name}@example.org");
            let wrong = project.signed_in(&email, "another one").await;
            assert_eq!(wrong.unwrap_err().kind(), &ErrorKind::Unauthenticated);
            project.signed_in(&email, password).await.unwrap();
        }
        // A sign-in has replaced all of them.
        for account in exported(project).await {
            let StoredPassword::Hash(hash) = account.password else {
                panic!("{account:?}");
            };
            assert_eq!(hash.algorithm(), PasswordAlgorithm::Argon2);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hash_that_is_not_taken_is_refused_before_anything_is_sent() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let (_, hash, _) = vectors().remove(1);
        let mut by_phone = NewAccount::new(address("ada"));
        by_phone.email = None;
        by_phone.phone = Some("+4915112345678".parse().unwrap());
        by_phone.credential = Credential::Hash(hash);
        let mut odd = NewAccount::new(address("bob"));
        odd.credential = Credential::Hash(PasswordHash::sha("0f", "whirlpool").unwrap());
        for new in [by_phone, odd] {
            let refused = stack.accounts().create(new).await.unwrap_err();
            let is_unsupported = matches!(refused.kind(), ErrorKind::Unsupported { .. });
            assert!(is_unsupported, "{refused}");
        }
        assert_eq!(exported(project).await.len(), 0);
    })
    .await;
}
