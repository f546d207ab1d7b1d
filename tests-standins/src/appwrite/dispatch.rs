//! Which request goes where.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::{Request, State as Shown},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{Timelike, Utc};
use serde_json::Value;

use super::{
    account,
    answers::{Refusal, Reply},
    caller::Caller,
    create, identities,
    incoming::Incoming,
    realtime,
    rows::{Call, DOCUMENTS, ROWS},
    sessions,
    state::{PROJECT, Shared, State},
    tables, users,
};

/// Answers one request.
pub(super) async fn answer(Shown(shared): Shown<Shared>, request: Request) -> Response {
    if request.uri().path() == "/v1/realtime" {
        return realtime::open(&shared, request);
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let request = Incoming::read(request).await;
    if let Some(document) = &shared.document
        && let Err(problem) = document.check(&request.asked())
    {
        eprintln!("not in the OpenAPI document: {problem}");
        return Refusal::new(500, "openapi_document", problem).into_response();
    }
    let (response, events, webhooks) = {
        let mut state = shared.lock();
        if let Some(ordered) = state.ordered.pop_front() {
            let status = StatusCode::from_u16(ordered.status).unwrap_or_default();
            let kind = [(header::CONTENT_TYPE, ordered.kind)];
            return (status, kind, ordered.body).into_response();
        }
        if let Some(seconds) = state.throttles.pop_front() {
            return throttled(seconds);
        }
        let response = route(&mut state, &request, &shared);
        let response = with_format(response, &request).into_response();
        let events = std::mem::take(&mut state.events);
        (response, events, state.webhooks.clone())
    };
    for event in events {
        for webhook in webhooks.clone() {
            let event = event.clone();
            tokio::spawn(async move { webhook.post(&event, PROJECT).await });
        }
        // There may be nobody who listens.
        let _ = shared.hub.send(Arc::new(event));
    }
    limited(response, &request)
}

fn throttled(seconds: u64) -> Response {
    let message = "Rate limit for the current endpoint has been exceeded. Please try again after \
                   some time.";
    let refusal = Refusal::new(429, "general_rate_limit_exceeded", message);
    let reset = Utc::now().timestamp().unsigned_abs() + seconds;
    let headers = [
        ("x-ratelimit-limit", "120".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset.to_string()),
    ];
    (headers, refusal).into_response()
}

/// Older forms of answers lack what newer versions have added.
fn with_format(reply: Result<Reply, Refusal>, request: &Incoming) -> Result<Reply, Refusal> {
    if request.header("x-appwrite-response-format") != Some("1.8.0") {
        return reply;
    }
    reply.map(|reply| reply.map(without))
}

/// An account, or a list of them, without the fields of newer versions.
fn without(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.remove("impersonator");
        body.remove("impersonatorUserId");
        if let Some(users) = body.get_mut("users").and_then(Value::as_array_mut) {
            for user in users {
                *user = without(user.take());
            }
        }
    }
    body
}

/// Adds the headers of routes with a limit. Nothing counts down: the limits are off.
fn limited(mut response: Response, request: &Incoming) -> Response {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let now = Utc::now();
    let second = i64::from(now.second());
    let minute = now.timestamp() - second + 60;
    let (limit, reset) = match (&request.method, &path[..]) {
        (&Method::POST, ["account", "sessions", "email"]) => {
            (10, minute + 60 * (59 - i64::from(now.minute())))
        }
        (&Method::DELETE, ["tablesdb" | "databases", _, _, _, "rows" | "documents", ..]) => {
            (60, minute)
        }
        (method, ["tablesdb" | "databases", _, _, _, "rows" | "documents", ..])
            if *method != Method::GET =>
        {
            (120, minute)
        }
        _ => return response,
    };
    for (name, value) in [
        ("x-ratelimit-limit", limit),
        ("x-ratelimit-remaining", limit - 1),
        ("x-ratelimit-reset", reset),
    ] {
        response.headers_mut().insert(name, value.into());
    }
    response
}

fn route(state: &mut State, request: &Incoming, shared: &Shared) -> Result<Reply, Refusal> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    if !matches!(
        path.first(),
        Some(&("users" | "account" | "tablesdb" | "databases"))
    ) {
        return Err(users::not_found());
    }
    let caller = Caller::of(request, state, shared)?;
    match path[..] {
        ["users", ..] => {
            let scope = if method == "GET" {
                "users.read"
            } else {
                "users.write"
            };
            caller.with_key(scope)?;
            of_users(state, request, shared, &path[1..])
        }
        ["account", ..] => of_account(state, request, shared, &caller, &path[1..]),
        ["tablesdb", database, "tables", table, "rows", ..] => {
            let call = Call {
                words: ROWS,
                database,
                table,
                caller: &caller,
                request,
            };
            of_rows(state, &call, &path[5..])
        }
        ["databases", database, "collections", table, "documents", ..] => {
            let call = Call {
                words: DOCUMENTS,
                database,
                table,
                caller: &caller,
                request,
            };
            of_rows(state, &call, &path[5..])
        }
        ["tablesdb", ..] => {
            caller.with_key("databases.write")?;
            of_tables(state, request, &path[1..])
        }
        _ => Err(users::not_found()),
    }
}

fn of_users(
    state: &mut State,
    request: &Incoming,
    shared: &Shared,
    path: &[&str],
) -> Result<Reply, Refusal> {
    match (request.method.as_str(), path) {
        ("GET", []) => users::list(state, request),
        ("POST", []) => create::create(state, request, None),
        ("GET", ["identities"]) => identities::list(state, request),
        ("DELETE", ["identities", id]) => identities::delete(state, id),
        (
            "POST",
            [
                algorithm @ ("argon2" | "bcrypt" | "md5" | "phpass" | "scrypt" | "scrypt-modified"
                | "sha"),
            ],
        ) => create::create(state, request, Some(algorithm)),
        ("GET", [id]) => users::get(state, id),
        ("DELETE", [id]) => users::delete(state, id),
        ("GET", [id, "sessions"]) => sessions::list(state, id, request),
        ("POST", [id, "sessions"]) => sessions::create(state, id, request),
        ("DELETE", [id, "sessions"]) => sessions::end_all(state, id),
        ("DELETE", [id, "sessions", session]) => sessions::end(state, id, session),
        ("POST", [id, "jwts"]) => sessions::jwt(state, id, request, shared),
        ("GET", [id, "prefs"]) => users::present_prefs(state, id),
        ("GET", [id, "mfa", "factors"]) => users::factors(state, id),
        ("GET", [id, "targets"]) => users::targets(state, id),
        ("GET", [id, "logs"]) => users::logs(state, id),
        ("PUT", [id, "labels"]) => users::change(state, id, "labels", request),
        ("PATCH", [id, "verification", "phone"]) => {
            users::change(state, id, "verification.phone", request)
        }
        ("PATCH", [id, what]) => users::change(state, id, what, request),
        _ => Err(users::not_found()),
    }
}

fn of_account(
    state: &mut State,
    request: &Incoming,
    shared: &Shared,
    caller: &Caller,
    path: &[&str],
) -> Result<Reply, Refusal> {
    if let ("POST", ["sessions", "email"]) = (request.method.as_str(), path) {
        return account::sign_in(state, request, caller);
    }
    let (id, session) = caller.user()?;
    match (request.method.as_str(), path) {
        ("GET", []) => account::get(state, id),
        ("PATCH", ["name"]) => account::rename(state, id, request),
        ("GET", ["sessions"]) => Ok(account::sessions(state, id, session)),
        ("GET", ["sessions", wanted]) => account::session(state, id, session, wanted, request),
        ("DELETE", ["sessions", wanted]) => account::sign_out(state, id, session, wanted),
        ("POST", ["jwts"]) => account::jwt(state, id, session, request, shared),
        _ => Err(users::not_found()),
    }
}

fn of_rows(state: &mut State, call: &Call<'_>, path: &[&str]) -> Result<Reply, Refusal> {
    match (call.request.method.as_str(), path) {
        ("GET", []) => call.list(state),
        ("POST", []) => call.create(state),
        ("GET", [id]) => call.get(state, id),
        ("PATCH", [id]) => call.write(state, id, false),
        ("PUT", [id]) => call.write(state, id, true),
        ("DELETE", [id]) => call.delete(state, id),
        _ => Err(users::not_found()),
    }
}

fn of_tables(state: &mut State, request: &Incoming, path: &[&str]) -> Result<Reply, Refusal> {
    match (request.method.as_str(), path) {
        ("POST", []) => tables::create_database(state, request),
        ("GET", [id]) => tables::get_database(state, id),
        ("DELETE", [id]) => tables::delete_database(state, id),
        ("POST", [database, "tables"]) => tables::create_table(state, database, request),
        ("GET", [database, "tables", id]) => tables::get_table(state, database, id),
        ("GET", [database, "tables", id, "columns"]) => tables::columns(state, database, id),
        ("POST", [database, "tables", id, "columns", kind]) => {
            tables::create_column(state, (database, id), kind, request)
        }
        ("POST", [database, "tables", id, "indexes"]) => {
            tables::create_index(state, (database, id), request)
        }
        _ => Err(users::not_found()),
    }
}
