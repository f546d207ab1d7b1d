use serde_json::{Value, json};

use super::{
    answers::{Refusal, Reply},
    data::identities::Identity,
    incoming::Incoming,
    queries::{Of, Queries},
    state::State,
};

const KNOWN: [&str; 8] = [
    "$id",
    "$createdAt",
    "$updatedAt",
    "userId",
    "provider",
    "providerUid",
    "providerEmail",
    "providerAccessTokenExpiry",
];

pub(super) fn list(state: &State, request: &Incoming) -> Result<Reply, Refusal> {
    let queries = Queries::read(&request.all("queries"), Of::Accounts, &KNOWN)?;
    let all = state.identities.iter().map(Identity::json);
    let mut found: Vec<Value> = all.filter(|it| queries.takes(it)).collect();
    queries.sort(&mut found);
    let total = if request.counts() { found.len() } else { 0 };
    if let Some(id) = &queries.after {
        let place = found.iter().position(|it| it["$id"] == id.as_str());
        let Some(place) = place else {
            let message = format!("User '{id}' for the 'cursor' value not found.");
            return Err(Refusal::new(400, "general_cursor_not_found", message));
        };
        found.drain(..=place);
    }
    let page = found.into_iter().skip(queries.offset).take(queries.limit);
    let page: Vec<Value> = page.collect();
    Ok(Reply::ok(json!({ "total": total, "identities": page })))
}

pub(super) fn delete(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    let place = state.identities.iter().position(|it| it.id == id);
    let Some(place) = place else {
        let message = "The identity could not be found. Please sign in with OAuth provider to \
                       create identity first.";
        return Err(Refusal::new(404, "user_identity_not_found", message));
    };
    state.identities.remove(place);
    Ok(Reply::empty())
}
