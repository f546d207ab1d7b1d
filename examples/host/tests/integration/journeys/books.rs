//! Books, and what belongs to them.

use http::Method;
use serde_json::{Value, json};

use super::common::book;
use crate::stage::Stage;

pub(crate) async fn books_are_added_changed_and_deleted(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let wrong = json!({ "titel": "The Tide House" });
    let problem = ada.post("/api/books", &wrong).await.problem(422, "invalid");
    assert!(
        problem["detail"].as_str().unwrap().contains("titel"),
        "{problem}"
    );
    let wrong = json!({ "title": "Tide", "isbn": "978-3-16-148410-1" });
    let problem = ada.post("/api/books", &wrong).await.problem(422, "invalid");
    assert_eq!(problem["field"], "isbn", "{problem}");

    let new = json!({ "title": "The Tide House", "genres": ["Mystery"] });
    let created = ada.post("/api/books", &new).await;
    let tag = created.header("etag").to_owned();
    let created = created.of(201);
    let path = format!("/api/books/{}", created["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.of(200), created);
    bob.get(&path).await.problem(404, "not_found");
    ada.get("/api/books/no-id").await.problem(404, "not_found");

    let change = json!({ "subtitle": "A novel" });
    let condition = [("if-match", tag.as_str())];
    let changed = ada.json(Method::PATCH, &path, &condition, &change).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.of(200)["subtitle"], "A novel");
    let refused = ada.json(Method::PATCH, &path, &condition, &change).await;
    refused.problem(412, "changed");
    let old = json!({ "subtitle": null, "expectedUpdatedAt": created["updatedAt"] });
    ada.patch(&path, &old).await.problem(409, "conflict");

    book(&ada, "Salt", "B08N5WRWNW").await;
    let page = ada.get("/api/books?limit=1").await.of(200);
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["total"]),
        (1, &json!(2))
    );
    let next = page["next"].as_str().unwrap();
    let rest = ada
        .get(&format!("/api/books?limit=1&after={next}"))
        .await
        .of(200);
    assert_eq!(
        (&rest["items"][0]["title"], &rest["next"]),
        (&json!("The Tide House"), &Value::Null)
    );
    let drafts = ada.get("/api/books?status=draft").await.of(200);
    assert_eq!(drafts["total"], 1);
    ada.get("/api/books?status=lost")
        .await
        .problem(400, "query");

    assert_eq!(ada.delete(&path).await.status, 204);
    ada.delete(&path).await.problem(404, "not_found");
}

pub(crate) async fn checklists_are_worked_through(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let book = book(&ada, "The Tide House", "B08N5WRWNW").await;
    let new = json!({ "bookId": book, "name": "Launch", "tasks": [
        { "title": "Cover", "dueDate": "2024-01-01T00:00:00Z" }, { "title": "Blurb" },
    ] });
    let list = ada.post("/api/checklists", &new).await.of(201);
    let path = format!("/api/checklists/{}", list["id"].as_str().unwrap());
    let due = ada.get("/api/tasks/due").await.of(200);
    assert_eq!(due["items"][0]["task"]["title"], "Cover");
    let done = format!(
        "{path}/tasks/{}/done",
        list["tasks"][0]["id"].as_str().unwrap()
    );
    assert_eq!(ada.put(&done).await.of(200)["progress"], 50);
    assert_eq!(ada.get("/api/tasks/due").await.of(200)["items"], json!([]));
    assert_eq!(ada.delete(&done).await.of(200)["progress"], 0);
    let added = ada
        .post(&format!("{path}/tasks"), &json!({ "title": "Newsletter" }))
        .await
        .of(200);
    assert_eq!(added["tasks"].as_array().unwrap().len(), 3);
    let task = format!("{path}/tasks/{}", added["tasks"][2]["id"].as_str().unwrap());
    assert_eq!(
        ada.delete(&task).await.of(200)["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let renamed = ada
        .patch(&path, &json!({ "name": "Launch day" }))
        .await
        .of(200);
    assert_eq!(renamed["name"], "Launch day");
    assert_eq!(ada.get(&path).await.of(200), renamed);
    let lists = ada
        .get(&format!("/api/checklists?book={book}"))
        .await
        .of(200);
    assert_eq!(lists["items"], json!([renamed]));
    assert_eq!(ada.delete(&path).await.status, 204);
}

pub(crate) async fn competitors_prices_are_noted(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let new = json!({ "asin": "B07XJ8C8F5", "title": "Rival", "currency": "USD" });
    let rival = ada.post("/api/competitors", &new).await.of(201);
    let problem = ada
        .post("/api/competitors", &new)
        .await
        .problem(409, "already_exists");
    assert_eq!(problem["field"], "asin");
    let path = format!("/api/competitors/{}", rival["id"].as_str().unwrap());
    let seen = json!({ "price": "4.99", "date": "2024-03-01T00:00:00Z" });
    let noted = ada.post(&format!("{path}/prices"), &seen).await.of(200);
    assert_eq!(noted["currentPrice"], "4.99");
    ada.post(&format!("{path}/prices"), &json!({ "price": "3.99" }))
        .await
        .of(200);
    let prices = ada.get(&format!("{path}/prices")).await.of(200);
    assert_eq!(prices["items"].as_array().unwrap().len(), 2);
    let changed = ada
        .patch(&path, &json!({ "genre": "Mystery" }))
        .await
        .of(200);
    assert_eq!(
        (&changed["genre"], &changed["currentPrice"]),
        (&json!("Mystery"), &json!("3.99"))
    );
    assert_eq!(
        ada.get("/api/competitors").await.of(200)["items"],
        json!([changed])
    );
    assert_eq!(ada.delete(&path).await.status, 204);
    ada.get(&path).await.problem(404, "not_found");
}
