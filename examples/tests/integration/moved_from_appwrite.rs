//! The tool moves accounts from Appwrite, and back; whose password is lost gets a link.

use crate::common;

use std::process::Command;

use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AccountStore, Credential, DocumentStore, ExportedAccount, NewAccount, NewUser, PasswordHash,
    StoredPassword,
};
use authorstack_examples::tool::Tool;
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use authorstack_mongo::{MongoConfig, MongoStore};
use common::fresh;
use futures::TryStreamExt;
use serde_json::{Value, json};
use tests_standins::{
    appwrite::{Appwrite, NewIdentity},
    supabase_auth::{Gateway, Signing, SupabaseAuth},
};

/// The password is `U*U`.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const MD5: &str = "ce757af9f9d0ee3045aa831d56f2978d";
const SERVICE_KEY: &str = "sb_secret_of_the_tests";

static CLIENT: Service = Service {
    name: "Supabase Auth",
    setting: "supabase_auth_url",
    example: "https://<ref>.supabase.co/auth/v1",
};

fn with(name: &str, hash: PasswordHash) -> NewAccount {
    let mut new = NewAccount::new(format!("{name}@example.org").parse().unwrap());
    new.id = Some(name.parse().unwrap());
    new.email_verified = true;
    new.credential = Credential::Hash(hash);
    new
}

/// Runs the tool, with the settings of the accounts in its environment.
fn ask(tool: &Tool, arguments: &[&str], more: &[(&str, &str)]) -> (Option<i32>, Value, String) {
    let arguments = [arguments, &["--output", "json"]].concat();
    let mut command: Command = tool.command(&arguments);
    let output = command.envs(more.iter().copied()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&said).unwrap_or_default();
    let stderr = String::from_utf8(output.stderr).unwrap();
    for secret in ["E5YPO9kmyuRGyh0X", MD5, Appwrite::KEY, SERVICE_KEY] {
        assert!(
            !said.contains(secret) && !stderr.contains(secret),
            "{secret}"
        );
    }
    (output.status.code(), json, stderr)
}

/// What the tool says to people.
fn said(tool: &Tool, arguments: &[&str], more: &[(&str, &str)]) -> String {
    let mut command: Command = tool.command(arguments);
    let output = command.envs(more.iter().copied()).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn written(answer: &Value, kind: &str) -> u64 {
    let mut kinds = answer["kinds"].as_array().unwrap().iter();
    let found = kinds.find(|it| it["kind"] == kind).unwrap();
    found["written"].as_u64().unwrap()
}

/// What a plan says of the providers. The project has GitHub switched on, and neither of the others.
fn check_providers(tool: &Tool, planned: &Value, more: &[(&str, &str)], auth: &str) {
    assert_eq!(
        planned["accounts"]["providers"],
        json!({ "github": 1, "google": 1 })
    );
    assert_eq!(planned["accounts"]["linked_anew"], json!({ "azure": 1 }));
    assert_eq!(
        planned["providers_not_enabled"],
        json!(["azure", "google"]),
        "{planned}"
    );
    let (_, unasked, _) = ask(tool, &["plan"], &more[..3]);
    assert_eq!(unasked["providers_not_enabled"], Value::Null);
    let page = said(tool, &["plan"], more);
    for line in [
        "github: switched on",
        "google: NOT switched on",
        "azure: NOT switched on",
        "[auth.external.google]",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(!page.contains("[auth.external.github]"), "{page}");
    assert!(page.contains(&format!("{auth}/callback")), "{page}");
    let page = said(tool, &["plan"], &more[..3]);
    assert!(
        page.contains("not known: set --supabase-auth-url"),
        "{page}"
    );
    let wrong = [
        &more[..4],
        &[("AUTHORSTACK_SUPABASE_SERVICE_KEY", "sb_secret_wrong")],
    ]
    .concat();
    let (code, _, stderr) = ask(tool, &["plan"], &wrong);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--supabase-service-key"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_move_sign_in_and_go_back() {
    let (scratch, tool) = fresh().await;
    let appwrite = Appwrite::start().await;
    let settings = AppwriteConfig::new(appwrite.address(), Appwrite::PROJECT, Appwrite::KEY.into());
    let service = AppwriteAccounts::new(settings).unwrap().accounts().accounts;
    let mongo = MongoStore::connect_and_prepare(MongoConfig::new(tool.mongodb_url.as_str()));
    let mongo = mongo.await.unwrap();
    let documents = mongo.documents();
    for new in [
        with("ada", BCRYPT.parse().unwrap()),
        with("bob", PasswordHash::md5(MD5).unwrap()),
    ] {
        let account = service.create(new).await.unwrap();
        let user = NewUser::new(account.id, account.email.unwrap(), "");
        documents.users.create(user).await.unwrap();
    }
    for (provider, uid) in [("google", "g-1"), ("github", "42"), ("microsoft", "m-7")] {
        let _ = appwrite.add_identity(NewIdentity {
            user: "ada".to_owned(),
            provider: provider.to_owned(),
            uid: uid.to_owned(),
            email: String::new(),
            access_token: "at-quokka".to_owned(),
        });
    }
    let gateway = Gateway {
        service_keys: vec![SERVICE_KEY.to_owned()],
        public_keys: Vec::new(),
    };
    let auth = SupabaseAuth::start(&tool.supabase_db_url, Signing::es256("key-1"), gateway).await;
    let more = [
        ("AUTHORSTACK_APPWRITE_ENDPOINT", appwrite.address()),
        ("AUTHORSTACK_APPWRITE_PROJECT", Appwrite::PROJECT),
        ("AUTHORSTACK_APPWRITE_KEY", Appwrite::KEY),
        ("AUTHORSTACK_SUPABASE_AUTH_URL", auth.address()),
        ("AUTHORSTACK_SUPABASE_SERVICE_KEY", SERVICE_KEY),
    ];

    let wrong = [
        more[0],
        more[1],
        ("AUTHORSTACK_APPWRITE_KEY", "standard_wrong"),
    ];
    let (code, answer, stderr) = ask(&tool, &["plan"], &wrong);
    assert_eq!(code, Some(2), "{answer} {stderr}");
    assert!(stderr.contains("--appwrite-key"), "{stderr}");
    let (code, _, stderr) = ask(&tool, &["plan"], &more[..1]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--appwrite-project"), "{stderr}");

    let (_, planned, stderr) = ask(&tool, &["plan"], &more);
    let passwords = &planned["accounts"]["passwords"];
    assert_eq!(
        *passwords,
        json!([
            { "algorithm": "bcrypt", "kept": true, "accounts": 1 },
            { "algorithm": "md5", "kept": false, "accounts": 1 },
        ]),
        "{planned} {stderr}"
    );
    check_providers(&tool, &planned, &more, auth.address());
    let (_, moved, stderr) = ask(&tool, &["run"], &more);
    assert_eq!(written(&moved, "users"), 2, "{moved} {stderr}");
    assert_eq!(written(&moved, "accounts"), 2, "{moved} {stderr}");
    let (_, again, _) = ask(&tool, &["run"], &more);
    assert_eq!(written(&again, "accounts"), 0, "{again}");

    let client = HttpClient::new(HttpSettings::new(&CLIENT, auth.address()).unwrap()).unwrap();
    for (password, status) in [("U*U", 200), ("another one", 400)] {
        let request = client.request(Method::POST, &["token"]).unwrap();
        let request = request.query("grant_type", "password");
        let request = request.header("apikey", SERVICE_KEY).unwrap();
        let body = json!({ "email": "ada@example.org", "password": password });
        let answer = request.json(&body).unwrap().send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{password}");
    }

    let (code, waiting, stderr) = ask(&tool, &["send-resets", "--dry-run"], &more);
    assert_eq!(
        (code, &waiting["waiting"]),
        (Some(0), &json!(1)),
        "{stderr}"
    );
    let pace = ["send-resets", "--per-minute", "6000"];
    let (code, resets, stderr) = ask(&tool, &pace, &more);
    assert_eq!((code, &resets["sent"]), (Some(0), &json!(1)), "{stderr}");

    // Back to Appwrite, where the account is gone meanwhile.
    service.delete(&"ada".parse().unwrap()).await.unwrap();
    let back = ["run", "--from", "supabase", "--kind", "accounts"];
    let (_, returned, stderr) = ask(&tool, &back, &more);
    assert_eq!(written(&returned, "accounts"), 1, "{returned} {stderr}");
    let there: Vec<ExportedAccount> = service.export().try_collect().await.unwrap();
    let ada = there.iter().find(|it| it.account.id.as_str() == "ada");
    let hash: PasswordHash = BCRYPT.parse().unwrap();
    assert_eq!(ada.unwrap().password, StoredPassword::Hash(hash));

    auth.stop().await;
    scratch.remove().await.unwrap();
}
