//! Realtime: events over a WebSocket. A login is looked at when the connection opens, and never
//! again.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::{
    caller::Caller,
    events::Event,
    incoming::query_of,
    state::{PROJECT, Shared},
    times::unique_id,
    tokens::Jwt,
};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the request for a connection.
pub(super) fn open(shared: &Shared, mut request: Request) -> Response {
    if !shared.has_realtime.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let key = request.headers().get("sec-websocket-key");
    let Some(key) = key.map(|key| derive_accept_key(key.as_bytes())) else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    let query = query_of(request.uri());
    let headers = request.headers().clone();
    let upgrade = hyper::upgrade::on(&mut request);
    let shared = shared.clone();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            shared.connections.fetch_add(1, Ordering::SeqCst);
            // Without a close frame, whatever happens.
            let _ = serve(&shared, socket, &query, &headers).await;
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, key),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
}

/// A connection, as it was when it opened.
struct Connection {
    channels: Vec<String>,
    roles: Vec<String>,
    subscription: String,
    has_project: bool,
}

fn error(code: u16, message: &str) -> Value {
    json!({ "type": "error", "data": { "code": code, "message": message } })
}

async fn say(socket: &mut Socket, message: &Value) -> Option<()> {
    socket.send(Message::text(message.to_string())).await.ok()
}

async fn serve(
    shared: &Shared,
    mut socket: Socket,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Option<()> {
    let mut events = shared.hub.subscribe();
    let mut breaks = shared.breaks.subscribe();
    let mut connection = match connected(shared, query, headers) {
        Ok((connection, message)) => {
            say(&mut socket, &message).await?;
            connection
        }
        Err(message) => return say(&mut socket, &message).await,
    };
    loop {
        tokio::select! {
            event = events.recv() => {
                let event = event.ok()?;
                if connection.sees(&event) {
                    say(&mut socket, &event.message(&connection.subscription)).await?;
                }
            }
            _ = breaks.recv() => return None,
            message = socket.next() => match message?.ok()? {
                Message::Text(text) => {
                    let answer = connection.hear(shared, &text);
                    say(&mut socket, &answer).await?;
                }
                Message::Close(_) => return None,
                _ => {}
            },
        }
    }
}

fn connected(
    shared: &Shared,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(Connection, Value), Value> {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let given = |name: &str| {
        let found = query.iter().filter(move |(found, _)| found == name);
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let project = given("project").into_iter().next();
    if project.as_deref().is_some_and(|project| project != PROJECT) {
        return Err(error(1008, "Missing or unknown project ID"));
    }
    if let Some(origin) = of("origin") {
        let host = origin.rsplit('/').next().unwrap_or_default();
        let message = format!(
            "Invalid Origin. Register your new client ({host}) as a new Web platform on your \
             project console dashboard"
        );
        return Err(error(1008, &message));
    }
    let mut channels = given("channels");
    if channels.is_empty() {
        return Err(error(1008, "Missing channels"));
    }
    let state = shared.lock();
    let caller = match (of("x-appwrite-jwt"), of("x-appwrite-session")) {
        (Some(token), _) => {
            let jwt = Jwt::read(token, &shared.signing);
            Caller::of_jwt(&jwt.map_err(|problem| error(401, &problem))?, &state)
        }
        (None, Some(secret)) => Caller::of_secret(secret, &state),
        (None, None) => {
            let cookie = of("cookie").unwrap_or_default();
            let secret = cookie.split(&format!("a_session_{PROJECT}=")).nth(1);
            let secret = secret.map(|rest| rest.split(';').next().unwrap_or_default());
            secret.map_or(Caller::Guest, |secret| Caller::of_secret(secret, &state))
        }
    };
    let user = match &caller {
        Caller::User { id, .. } => state.users.get(id),
        _ => None,
    };
    if let (Some(user), true) = (user, channels.iter().any(|it| it == "account")) {
        channels.push(format!("account.{}", user.id));
    }
    let connection = Connection {
        roles: caller.roles(&state),
        channels,
        subscription: unique_id(),
        has_project: project.is_some(),
    };
    let message = json!({ "type": "connected", "data": {
        "channels": connection.channels, "subscriptions": [connection.subscription],
        "user": user.map(super::data::users::User::account),
    }});
    Ok((connection, message))
}

impl Connection {
    fn sees(&self, event: &Arc<Event>) -> bool {
        let both = |own: &[String], those: &[String]| own.iter().any(|it| those.contains(it));
        self.has_project
            && both(&self.channels, &event.channels)
            && both(&self.roles, &event.readers)
    }

    /// The answer to a message.
    fn hear(&mut self, shared: &Shared, text: &str) -> Value {
        let said: Value = serde_json::from_str(text).unwrap_or_default();
        match said["type"].as_str() {
            Some("ping") => json!({ "type": "pong" }),
            Some("authentication") => {
                let secret = said["data"]["session"].as_str().unwrap_or_default();
                let state = shared.lock();
                let caller = Caller::of_secret(secret, &state);
                let Caller::User { id, .. } = &caller else {
                    return error(1003, "Error: Server Error");
                };
                let user = state.users.get(id).map(super::data::users::User::account);
                self.roles = caller.roles(&state);
                json!({ "type": "response", "data": {
                    "to": "authentication", "success": true, "user": user,
                }})
            }
            _ => error(1003, "Error: Server Error"),
        }
    }
}
