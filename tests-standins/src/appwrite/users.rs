//! Accounts, as a key reads and changes them.

use serde_json::{Value, json};

use super::{
    answers::{Refusal, Reply},
    create,
    data::users::User,
    events::Event,
    incoming::Incoming,
    passwords,
    queries::{Of, Queries},
    state::State,
    times::now,
};

const KNOWN: [&str; 12] = [
    "$id",
    "$createdAt",
    "$updatedAt",
    "email",
    "phone",
    "name",
    "status",
    "labels",
    "registration",
    "passwordUpdate",
    "emailVerification",
    "phoneVerification",
];

/// The most that is counted.
const MOST_COUNTED: usize = 5_000;
const MOST_PREFS: usize = 65_535;

pub(super) fn list(state: &mut State, request: &Incoming) -> Result<Reply, Refusal> {
    let queries = Queries::read(&request.all("queries"), Of::Accounts, &KNOWN)?;
    let after = queries.after.as_deref();
    let missing = || {
        let id = after.unwrap_or_default();
        let message = format!("User '{id}' for the 'cursor' value not found.");
        Refusal::new(400, "general_cursor_not_found", message)
    };
    let (total, page) = if queries.is_ordered() {
        let all = state.users.behind(None).into_iter().flatten();
        let mut found: Vec<Value> = all.map(User::json).filter(|it| queries.takes(it)).collect();
        queries.sort(&mut found);
        let total = found.len();
        if let Some(id) = after {
            let place = found.iter().position(|it| it["$id"] == id);
            found.drain(..=place.ok_or_else(missing)?);
        }
        let found = found.into_iter().skip(queries.offset).take(queries.limit);
        (total, found.collect())
    } else {
        let behind = state.users.behind(after).ok_or_else(missing)?;
        let taken = behind.map(User::json).filter(|it| queries.takes(it));
        let page: Vec<Value> = taken.skip(queries.offset).take(queries.limit).collect();
        let total = match (request.counts(), request.all("queries").is_empty()) {
            (false, _) => 0,
            (true, true) => state.users.len(),
            (true, false) => {
                let all = state.users.behind(None).into_iter().flatten();
                all.filter(|user| queries.takes(&user.json())).count()
            }
        };
        (total, page)
    };
    let shows = |id: &String, page: &[Value]| page.iter().any(|it| it["$id"] == id.as_str());
    let gone: Vec<String> = state
        .vanishing
        .iter()
        .filter(|id| shows(id, &page))
        .cloned()
        .collect();
    state.vanishing.retain(|id| !gone.contains(id));
    for id in gone {
        state.users.remove(&id);
    }
    let total = if request.counts() {
        total.min(MOST_COUNTED)
    } else {
        0
    };
    Ok(Reply::ok(json!({ "total": total, "users": page })))
}

fn user<'s>(state: &'s State, id: &str) -> Result<&'s User, Refusal> {
    state.users.get(id).ok_or_else(Refusal::user_not_found)
}

pub(super) fn get(state: &State, id: &str) -> Result<Reply, Refusal> {
    Ok(Reply::ok(user(state, id)?.json()))
}

pub(super) fn delete(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    let user = state.users.remove(id).ok_or_else(Refusal::user_not_found)?;
    state.sessions.retain(|session| session.user != id);
    state.identities.retain(|identity| identity.is.user != id);
    state.events.push(Event::of_user(id, "delete", user.json()));
    Ok(Reply::empty())
}

/// `PATCH /users/{id}/<what>`, and the labels.
pub(super) fn change(
    state: &mut State,
    id: &str,
    what: &str,
    request: &Incoming,
) -> Result<Reply, Refusal> {
    let body = match what {
        "prefs" => return prefs(state, id, request),
        "email" => {
            let email = match request.needed("email")? {
                "" => String::new(),
                email => create::email_of(email, false)?,
            };
            user(state, id)?;
            if !email.is_empty() && create::is_taken_email(state, &email, Some(id)) {
                return Err(create::email_taken());
            }
            state.users.set_email(id, &email);
            return changed(state, id, "update.email");
        }
        "phone" => {
            let phone = create::phone_of(request.needed("number")?, "number")?;
            user(state, id)?;
            if !phone.is_empty() && state.users.by_phone(&phone).is_some() {
                let message = "A target with the same ID already exists.";
                return Err(Refusal::new(409, "user_target_already_exists", message));
            }
            state.users.set_phone(id, &phone);
            return changed(state, id, "update.phone");
        }
        other => other,
    };
    let set = setter(body, request)?;
    set(state
        .users
        .get_mut(id)
        .ok_or_else(Refusal::user_not_found)?);
    if what == "password" {
        state.sessions.retain(|session| session.user != id);
    }
    changed(state, id, &format!("update.{what}"))
}

type Set = Box<dyn FnOnce(&mut User)>;

fn setter(what: &str, request: &Incoming) -> Result<Set, Refusal> {
    Ok(match what {
        "name" => {
            let name = create::name_of(request.needed("name")?)?;
            Box::new(|user| user.name = name)
        }
        "status" => {
            let status = request.flag("status")?;
            Box::new(move |user| user.is_active = status)
        }
        "mfa" => {
            let mfa = request.flag("mfa")?;
            Box::new(move |user| user.has_mfa = mfa)
        }
        "verification" => {
            let verified = request.flag("emailVerification")?;
            Box::new(move |user| user.email_verified = verified)
        }
        "verification.phone" => {
            let verified = request.flag("phoneVerification")?;
            Box::new(move |user| user.phone_verified = verified)
        }
        "labels" => {
            let labels = labels(request)?;
            Box::new(|user| user.labels = labels)
        }
        "password" => {
            let password = request.needed("password")?.to_owned();
            if !password.is_empty() {
                create::check_password(&password)?;
            }
            Box::new(move |user| {
                user.password_update = now();
                if password.is_empty() {
                    user.password = Some(String::new());
                } else {
                    user.password = Some(passwords::argon2(&password));
                    "argon2".clone_into(&mut user.hash);
                    user.options = passwords::argon2_options();
                }
            })
        }
        _ => return Err(not_found()),
    })
}

/// Notes a change, and answers the account.
fn changed(state: &mut State, id: &str, action: &str) -> Result<Reply, Refusal> {
    let user = state
        .users
        .get_mut(id)
        .ok_or_else(Refusal::user_not_found)?;
    user.updated = now();
    let json = user.json();
    state.events.push(Event::of_user(id, action, json.clone()));
    Ok(Reply::ok(json))
}

fn prefs(state: &mut State, id: &str, request: &Incoming) -> Result<Reply, Refusal> {
    let prefs = request
        .body
        .get("prefs")
        .ok_or_else(|| Refusal::missing("prefs"))?;
    let escaped = |c: char| match c.len_utf16() {
        _ if c.is_ascii() => 1,
        units => 6 * units,
    };
    let length: usize = prefs.to_string().chars().map(escaped).sum();
    let Some(map) = prefs.as_object().filter(|_| length <= MOST_PREFS) else {
        return Err(Refusal::argument("prefs", "Value must be a valid object."));
    };
    let user = state
        .users
        .get_mut(id)
        .ok_or_else(Refusal::user_not_found)?;
    user.prefs.clone_from(map);
    user.updated = now();
    let event = Event::of_user(id, "update.prefs", prefs.clone());
    state.events.push(event);
    Ok(Reply::ok(prefs.clone()))
}

fn labels(request: &Incoming) -> Result<Vec<String>, Refusal> {
    let all = ('0'..='9').chain('A'..='Z').chain('a'..='z');
    let all: Vec<String> = all.map(String::from).collect();
    let refuse = || {
        let problem = format!(
            "Value must a valid array no longer than 1000 items and Value must be a valid string \
             and at least 1 chars and no longer than 36 chars and only consist of '{}' chars",
            all.join(", ")
        );
        Refusal::argument("labels", &problem)
    };
    let given = request
        .body
        .get("labels")
        .ok_or_else(|| Refusal::missing("labels"))?;
    let given = given.as_array().filter(|given| given.len() <= 1_000);
    let mut labels: Vec<String> = Vec::new();
    for label in given.ok_or_else(refuse)? {
        let label = label.as_str().filter(|label| {
            (1..=36).contains(&label.len()) && label.bytes().all(|it| it.is_ascii_alphanumeric())
        });
        let label = label.ok_or_else(refuse)?.to_owned();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}

pub(super) fn present_prefs(state: &State, id: &str) -> Result<Reply, Refusal> {
    Ok(Reply::ok(user(state, id)?.prefs.clone().into()))
}

pub(super) fn factors(state: &State, id: &str) -> Result<Reply, Refusal> {
    let user = user(state, id)?;
    Ok(Reply::ok(json!({
        "totp": false, "phone": user.has_phone_factor(), "email": user.has_email_factor(),
        "recoveryCode": false,
    })))
}

pub(super) fn targets(state: &State, id: &str) -> Result<Reply, Refusal> {
    let targets = &user(state, id)?.targets;
    Ok(Reply::ok(
        json!({ "total": targets.len(), "targets": targets }),
    ))
}

pub(super) fn logs(state: &State, id: &str) -> Result<Reply, Refusal> {
    user(state, id)?;
    Ok(Reply::ok(json!({ "total": 0, "logs": [] })))
}

pub(super) fn not_found() -> Refusal {
    let message = "Route not found. Please ensure the endpoint is configured correctly and that \
                   the API route is valid for this SDK version. Refer to the API docs for more \
                   details.";
    Refusal::new(404, "general_route_not_found", message)
}
