//! Sessions and JWTs, as a key makes and ends them.

use chrono::Utc;
use serde_json::{Value, json};

use super::{
    answers::{Refusal, Reply},
    data::sessions::Session,
    events::Event,
    incoming::Incoming,
    state::{Shared, State},
    tokens::{self, Jwt},
};

const LIFETIME: i64 = 900;

fn check_user(state: &State, id: &str) -> Result<(), Refusal> {
    let found = state.users.get(id).map(drop);
    found.ok_or_else(Refusal::user_not_found)
}

pub(super) fn list(state: &State, user: &str, request: &Incoming) -> Result<Reply, Refusal> {
    check_user(state, user)?;
    let own = state.sessions.iter().filter(|it| it.user == user);
    let sessions: Vec<Value> = own.map(|it| it.json(&it.digest, false)).collect();
    let total = if request.counts() { sessions.len() } else { 0 };
    Ok(Reply::ok(json!({ "total": total, "sessions": sessions })))
}

/// Begins a session, and returns its place and what its client shows.
pub(super) fn begin(
    state: &mut State,
    user: &str,
    provider: &'static str,
    uid: &str,
    request: &Incoming,
) -> (Session, String) {
    let inner = tokens::new_secret();
    let client = request.header("user-agent").unwrap_or_default();
    let session = Session::new(user, provider, uid, tokens::digest(&inner), client);
    state.sessions.push(session.clone());
    let payload = session.json("", false);
    let event = Event::of_session(user, &session.id, "create", payload);
    state.events.push(event);
    (session, tokens::shown(user, &inner))
}

pub(super) fn create(state: &mut State, user: &str, request: &Incoming) -> Result<Reply, Refusal> {
    check_user(state, user)?;
    let (session, shown) = begin(state, user, "server", "", request);
    Ok(Reply::created(session.json(&shown, false)))
}

pub(super) fn end(state: &mut State, user: &str, id: &str) -> Result<Reply, Refusal> {
    check_user(state, user)?;
    let place = state
        .sessions
        .iter()
        .position(|it| it.user == user && it.id == id);
    let Some(place) = place else {
        return Err(not_found());
    };
    let session = state.sessions.remove(place);
    let payload = session.json(&session.digest, false);
    state
        .events
        .push(Event::of_session(user, id, "delete", payload));
    Ok(Reply::empty())
}

pub(super) fn not_found() -> Refusal {
    let message = "The current user session could not be found.";
    Refusal::new(404, "user_session_not_found", message)
}

pub(super) fn end_all(state: &mut State, user: &str) -> Result<Reply, Refusal> {
    check_user(state, user)?;
    state.sessions.retain(|session| session.user != user);
    Ok(Reply::empty())
}

/// `POST /users/{id}/jwts`: for a session, or for none.
pub(super) fn jwt(
    state: &State,
    user: &str,
    request: &Incoming,
    shared: &Shared,
) -> Result<Reply, Refusal> {
    check_user(state, user)?;
    let session = match request.text("sessionId")?.unwrap_or_default() {
        "" => String::new(),
        "recent" => {
            let own = state.sessions.iter().rfind(|it| it.user == user);
            own.map(|it| it.id.clone()).unwrap_or_default()
        }
        id => {
            let own = state
                .sessions
                .iter()
                .find(|it| it.user == user && it.id == id);
            own.map(|it| it.id.clone()).unwrap_or_default()
        }
    };
    let jwt = made(user, session, request)?;
    Ok(Reply::created(json!({ "jwt": jwt.sign(&shared.signing) })))
}

pub(super) fn made(user: &str, session: String, request: &Incoming) -> Result<Jwt, Refusal> {
    let duration = match request.body.get("duration") {
        None => LIFETIME,
        Some(_) => request.number("duration")?,
    };
    if !(0..=3_600).contains(&duration) {
        let problem = "Value must be a valid range between 0 and 3,600";
        return Err(Refusal::argument("duration", problem));
    }
    Ok(Jwt {
        user: user.to_owned(),
        session,
        exp: Utc::now().timestamp() + duration,
    })
}
