//! What a user's own client does: signing in, looking at the account and its sessions.

use serde_json::{Value, json};

use super::{
    answers::{Refusal, Reply},
    caller::{self, Caller},
    create,
    data::users::User,
    events::Event,
    incoming::Incoming,
    passwords, sessions,
    state::{PROJECT, Shared, State},
    times::now,
};

/// How many sessions stand behind a sign-in.
const MOST_SESSIONS: usize = 11;

pub(super) fn get(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    let user = state
        .users
        .get_mut(id)
        .ok_or_else(Refusal::user_not_found)?;
    let mut json = user.account();
    if let Some(accessed) = caller::used(user) {
        json["accessedAt"] = accessed.into();
    }
    Ok(Reply::ok(json))
}

pub(super) fn rename(state: &mut State, id: &str, request: &Incoming) -> Result<Reply, Refusal> {
    let name = create::name_of(request.needed("name")?)?;
    let user = state
        .users
        .get_mut(id)
        .ok_or_else(Refusal::user_not_found)?;
    caller::used(user);
    user.name = name;
    user.updated = now();
    let json = user.account();
    state
        .events
        .push(Event::of_user(id, "update.name", json.clone()));
    Ok(Reply::ok(json))
}

/// `POST /account/sessions/email`.
pub(super) fn sign_in(
    state: &mut State,
    request: &Incoming,
    by: &Caller,
) -> Result<Reply, Refusal> {
    let email = create::email_of(request.needed("email")?, false)?;
    let password = request.needed("password")?.to_owned();
    create::check_password(&password)?;
    let wrong = || {
        let message = "Invalid credentials. Please check the email and password.";
        Refusal::new(401, "user_invalid_credentials", message)
    };
    let found = state.users.by_email(&email).ok_or_else(wrong)?;
    let hash = found.password.clone().filter(|hash| !hash.is_empty());
    let hash = hash.ok_or_else(wrong)?;
    if !passwords::is_right(&password, &found.hash, &hash, &found.options) {
        return Err(wrong());
    }
    if !found.is_active {
        return Err(caller::blocked());
    }
    let id = found.id.clone();
    if let Some(user) = state.users.get_mut(&id) {
        rehash(user, &password);
    }
    let (session, shown) = sessions::begin(state, &id, "email", &email, request);
    trim(state, &id);
    let secret = if *by == Caller::Key {
        shown.as_str()
    } else {
        ""
    };
    let cookie = shown.replace('=', "%3D");
    let end = "path=/; httponly";
    let name = format!("a_session_{PROJECT}");
    let fallback = json!({ (name.as_str()): shown.as_str() }).to_string();
    Ok(Reply::created(session.json(secret, true))
        .header("set-cookie", format!("{name}_legacy={cookie}; {end}"))
        .header(
            "set-cookie",
            format!("{name}={cookie}; {end}; samesite=None"),
        )
        .header("x-fallback-cookies", fallback))
}

/// The server's own algorithm takes the place of any other.
fn rehash(user: &mut User, password: &str) {
    if user.hash == "argon2" {
        return;
    }
    user.password = Some(passwords::argon2(password));
    "argon2".clone_into(&mut user.hash);
    user.options = passwords::argon2_options();
    user.updated = now();
}

/// A sign-in ends the oldest sessions beyond the limit.
fn trim(state: &mut State, user: &str) {
    let own = |state: &State| state.sessions.iter().filter(|it| it.user == user).count();
    while own(state) > MOST_SESSIONS {
        let oldest = state.sessions.iter();
        let oldest = oldest
            .clone()
            .position(|it| it.user == user && it.provider == "email");
        match oldest {
            Some(place) => drop(state.sessions.remove(place)),
            None => return,
        }
    }
}

pub(super) fn sessions(state: &State, id: &str, current: Option<&str>) -> Reply {
    let own = state.sessions.iter().filter(|it| it.user == id);
    let own: Vec<Value> = own.map(|it| it.json("", current == Some(&it.id))).collect();
    Reply::ok(json!({ "total": own.len(), "sessions": own }))
}

/// One session, by its id or as `current`. A JWT has no current one.
pub(super) fn session(
    state: &mut State,
    id: &str,
    current: Option<&str>,
    wanted: &str,
    request: &Incoming,
) -> Result<Reply, Refusal> {
    if let Some(user) = state.users.get_mut(id) {
        caller::used(user);
    }
    let is_jwt = request.header("x-appwrite-jwt").is_some();
    let wanted = match (wanted, current) {
        ("current", Some(current)) if !is_jwt => current,
        (wanted, _) => wanted,
    };
    let found = state
        .sessions
        .iter()
        .find(|it| it.user == id && it.id == wanted);
    let found = found.ok_or_else(sessions::not_found)?;
    Ok(Reply::ok(found.json("", current == Some(&found.id))))
}

pub(super) fn sign_out(
    state: &mut State,
    id: &str,
    current: Option<&str>,
    wanted: &str,
) -> Result<Reply, Refusal> {
    let wanted = match (wanted, current) {
        ("current", Some(current)) => current.to_owned(),
        (wanted, _) => wanted.to_owned(),
    };
    sessions::end(state, id, &wanted)
}

/// `POST /account/jwts`: a JWT of the session.
pub(super) fn jwt(
    state: &mut State,
    id: &str,
    current: Option<&str>,
    request: &Incoming,
    shared: &Shared,
) -> Result<Reply, Refusal> {
    let Some(current) = current else {
        return Err(sessions::not_found());
    };
    if let Some(user) = state.users.get_mut(id) {
        caller::used(user);
    }
    let jwt = sessions::made(id, current.to_owned(), request)?;
    Ok(Reply::created(json!({ "jwt": jwt.sign(&shared.signing) })))
}
