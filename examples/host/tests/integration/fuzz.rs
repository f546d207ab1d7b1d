//! Requests that a schema-driven tester makes of the document.

use std::{env, process::Command};

use serde_json::json;

use crate::{browser::served, stage::Stage};

/// What would end the user, or never ends.
const LEFT_OUT: [&str; 4] = [
    "/api/me",
    "/api/session",
    "/api/preferences/live",
    "/api/webhooks/appwrite",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_of_the_document_fails_or_gets_an_answer_that_it_does_not_allow() {
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
    let token = token["token"].as_str().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let program = env::var("AUTHORSTACK_TEST_SCHEMATHESIS");
        let program = program.expect("`cargo xtask test` installs schemathesis, and names it here");
        let mut command = Command::new(program);
        command
            .args(["run", &format!("{address}/openapi.json"), "--url", &address])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1", "--workers", "2", "--no-color"]);
        for path in LEFT_OUT {
            command.args(["--exclude-path", path]);
        }
        command.output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
