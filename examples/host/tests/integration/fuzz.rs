//! Requests that a schema-driven tester makes of the document.

use std::{env, process::Command};

use serde_json::{Value, json};

use crate::{browser::served, client::Client, stage::Stage};

/// What would end the user or the session, or never ends.
const LEFT_OUT: [&str; 3] = ["/api/me", "/api/session", "/api/preferences/live"];

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_or_gets_an_answer_that_the_document_does_not_allow() {
    let settings = vec![("requests_per_minute", "1000000".to_owned())];
    let stage = Stage::memory_with(settings).await;
    stage.run(fuzz).await;
}

async fn fuzz(stage: &Stage) {
    let address = served(stage).await;
    let credentials = json!({ "email": "ada@example.org", "password": "tide and time" });
    let token = stage
        .nobody()
        .post("/api/session", &credentials)
        .await
        .of(201);
    let mut ada = stage.nobody();
    ada.token = token["token"].as_str().map(str::to_owned);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, known_ids(&ada).await).unwrap();

    let program = env::var("AUTHORSTACK_TEST_SCHEMATHESIS");
    let program = program.expect("`cargo xtask test` installs schemathesis, and names it here");
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .arg(format!("--config-file={}", config.display()))
        .args(["run", &format!("{address}/openapi.json"), "--url", &address])
        .arg(format!(
            "--header=Authorization: Bearer {}",
            ada.token.unwrap()
        ))
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args([
            "--max-examples",
            "10",
            "--seed",
            "1",
            "--workers",
            "2",
            "--no-color",
        ]);
    for path in LEFT_OUT {
        command.args(["--exclude-path", path]);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    println!("{said}");
}

/// Records that are there, for the parameters of paths: invented ids find nothing.
async fn known_ids(ada: &Client) -> String {
    let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
    let books = ada.get("/api/books").await.of(200);
    let book = id(&books["items"][0]);
    let posts = ada.get("/api/posts?everyone=true").await.of(200);
    let (post, author) = (&posts["items"][0]["post"], &posts["items"][0]["author"]);
    let new = json!({ "bookId": book, "name": "Launch", "tasks": [{ "title": "Cover" }] });
    let list = ada.post("/api/checklists", &new).await.of(201);
    let rival = json!({ "asin": "B07XJ8C8F5" });
    let rival = ada.post("/api/competitors", &rival).await.of(201);
    let known = [
        ("books", book),
        ("posts", id(post)),
        ("users", id(author)),
        ("checklists", id(&list)),
        ("competitors", id(&rival)),
    ];
    // What is deleted is not found afterwards.
    let methods = ["GET", "POST", "PUT", "PATCH"];
    let each = known
        .iter()
        .flat_map(|known| methods.map(|method| (known, method)));
    let operations = each.map(|((resource, id), method)| {
        format!(
            "[[operations]]\ninclude-path-regex = \"^/api/{resource}/\"\n\
             include-method = \"{method}\"\nparameters = {{ \"path.id\" = \"{id}\" }}\n"
        )
    });
    operations.collect()
}
