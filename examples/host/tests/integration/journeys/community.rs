//! Posts, follows, boosts.

use http::Method;
use serde_json::json;

use super::common::{book, id_of};
use crate::stage::Stage;

pub(crate) async fn posts_are_seen_liked_and_commented(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let bobs_id = id_of(&bob).await;
    let post = json!({ "content": "The cover is out!", "visibility": "followers" });
    let post = bob.post("/api/posts", &post).await.of(201);
    let path = format!("/api/posts/{}", post["id"].as_str().unwrap());
    ada.get(&path).await.problem(404, "not_found");
    assert_eq!(
        ada.put(&format!("/api/users/{bobs_id}/follow"))
            .await
            .status,
        204
    );
    let profile = ada.get(&format!("/api/users/{bobs_id}")).await.of(200);
    assert_eq!(
        profile,
        json!({ "id": bobs_id, "name": "Bob", "followers": 1, "following": 0, "isFollowed": true })
    );
    let followers = ada
        .get(&format!("/api/users/{bobs_id}/followers"))
        .await
        .of(200);
    assert_eq!(followers["items"][0]["name"], "Ada");

    assert_eq!(ada.put(&format!("{path}/like")).await.of(200)["likes"], 1);
    let said = ada
        .post(&format!("{path}/comments"), &json!({ "content": "Lovely" }))
        .await
        .of(201);
    let feed = ada.get("/api/posts").await.of(200);
    let seen = &feed["items"][0];
    assert_eq!(seen["author"], json!({ "id": bobs_id, "name": "Bob" }));
    assert_eq!(
        (&seen["likeCount"], &seen["commentCount"], &seen["liked"]),
        (&json!(1), &json!(1), &json!(true))
    );
    let comments = bob.get(&format!("{path}/comments")).await.of(200);
    assert_eq!(comments["items"][0]["author"]["name"], "Ada");
    ada.patch(&path, &json!({ "content": "Mine" }))
        .await
        .problem(404, "not_found");
    let comment = format!("{path}/comments/{}", said["id"].as_str().unwrap());
    assert_eq!(bob.delete(&comment).await.status, 204);
    assert_eq!(
        ada.delete(&format!("{path}/like")).await.of(200)["likes"],
        0
    );
    assert_eq!(
        ada.delete(&format!("/api/users/{bobs_id}/follow"))
            .await
            .status,
        204
    );
    assert_eq!(ada.get("/api/posts").await.of(200)["items"], json!([]));
    assert_eq!(bob.delete(&path).await.status, 204);
}

pub(crate) async fn a_boost_is_bought_once_and_leads(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let boosted = book(&ada, "The Tide House", "B08N5WRWNW").await;
    let boost = json!({ "bookId": boosted, "duration": 7, "creditsSpent": 60 });
    ada.post("/api/boosts", &boost)
        .await
        .problem(402, "insufficient_credits");
    let id = id_of(&ada).await.parse().unwrap();
    stage.app.stack.users().add_credits(id, 100).await.unwrap();

    let key = [("idempotency-key", "one boost")];
    let first = ada
        .json(Method::POST, "/api/boosts", &key, &boost)
        .await
        .of(201);
    let again = ada
        .json(Method::POST, "/api/boosts", &key, &boost)
        .await
        .of(201);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(ada.get("/api/me").await.of(200)["credits"], 40);
    let other = json!({ "bookId": boosted, "duration": 8, "creditsSpent": 60 });
    let other = ada.json(Method::POST, "/api/boosts", &key, &other).await;
    other.problem(409, "conflict");
    // A key is its user's: Bob's is another one.
    let bobs = bob.json(Method::POST, "/api/boosts", &key, &boost).await;
    bobs.problem(404, "not_found");

    let leaders = bob.get("/api/leaderboard").await.of(200);
    assert_eq!(leaders[0]["book"]["title"], "The Tide House");
    assert_eq!(leaders[0]["author"]["name"], "Ada");
    assert_eq!(
        ada.get("/api/boosts").await.of(200)["items"][0]["id"],
        first["id"]
    );
}
