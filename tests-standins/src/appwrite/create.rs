//! New accounts, also with the hash of another service.

use serde_json::{Map, Value, json};

use super::{
    answers::{Refusal, Reply},
    data::users::User,
    events::Event,
    incoming::Incoming,
    passwords,
    state::State,
    times::{now, unique_id},
};

const BAD_ID: &str = "Parameter must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, \
                      period, hyphen, and underscore. Can't start with a special char";

/// `POST /users` and `POST /users/<algorithm>`.
pub(super) fn create(
    state: &mut State,
    request: &Incoming,
    algorithm: Option<&str>,
) -> Result<Reply, Refusal> {
    let id = id_of(request, "userId")?;
    let email = match (algorithm, request.text("email")?) {
        (None, None | Some("")) => String::new(),
        (Some(_), None) => return Err(Refusal::missing("email")),
        (_, Some(email)) => email_of(email, algorithm.is_none())?,
    };
    let phone = match algorithm {
        None => phone_of(request.text("phone")?.unwrap_or_default(), "phone")?,
        Some(_) => String::new(),
    };
    let (password, hash, options) = match algorithm {
        None => {
            let password = request.text("password")?.filter(|it| !it.is_empty());
            password.map(check_password).transpose()?;
            let hash = password.map(passwords::argon2);
            (hash, "argon2".to_owned(), passwords::argon2_options())
        }
        Some(algorithm) => {
            let password = request.needed("password")?.to_owned();
            let (hash, options) = imported(request, algorithm)?;
            (Some(password), hash, options)
        }
    };
    let name = name_of(request.text("name")?.unwrap_or_default())?;
    if !email.is_empty() && is_taken_email(state, &email, None) {
        return Err(email_taken());
    }
    let is_taken = !phone.is_empty() && state.users.by_phone(&phone).is_some();
    if state.users.get(&id).is_some() || is_taken {
        let message = "A user with the same id, email, or phone already exists in this project.";
        return Err(Refusal::new(409, "user_already_exists", message));
    }
    let at = now();
    state.users.add(User {
        id: id.clone(),
        created: at.clone(),
        updated: at.clone(),
        registration: at.clone(),
        name,
        email,
        phone,
        email_verified: false,
        phone_verified: false,
        password_update: if password.is_some() {
            at
        } else {
            String::new()
        },
        password,
        hash,
        options,
        is_active: true,
        labels: Vec::new(),
        prefs: Map::new(),
        has_mfa: false,
        accessed: None,
        targets: Vec::new(),
    });
    let user = state
        .users
        .get(&id)
        .ok_or_else(Refusal::user_not_found)?
        .json();
    state
        .events
        .push(Event::of_user(&id, "create", user.clone()));
    Ok(Reply::created(user))
}

/// Kind and options of a hash. Nothing of it is checked.
fn imported(request: &Incoming, algorithm: &str) -> Result<(String, Value), Refusal> {
    let text = |name: &str| request.needed(name).map(str::to_owned);
    Ok(match algorithm {
        "argon2" => ("argon2".to_owned(), passwords::argon2_options()),
        "bcrypt" => ("bcrypt".to_owned(), json!({ "type": "bcrypt", "cost": 8 })),
        "md5" => ("md5".to_owned(), json!({ "type": "md5" })),
        "sha" => {
            let version = request.text("passwordVersion")?.filter(|it| !it.is_empty());
            let version = version.unwrap_or("sha256");
            ("sha".to_owned(), json!({ "version": version }))
        }
        "phpass" => (
            "phpass".to_owned(),
            json!({
                "type": "phpass", "iteration_count_log2": 8, "portable_hashes": false,
                "random_state": format!("0.{} {}", unique_id(), std::process::id()),
            }),
        ),
        "scrypt" => (
            "scrypt".to_owned(),
            json!({
                "type": "scrypt", "salt": text("passwordSalt")?,
                "costCpu": request.number("passwordCpu")?,
                "costMemory": request.number("passwordMemory")?,
                "costParallel": request.number("passwordParallel")?,
                "length": request.number("passwordLength")?,
            }),
        ),
        _ => (
            "scryptMod".to_owned(),
            json!({
                "type": "scryptMod", "salt": text("passwordSalt")?,
                "saltSeparator": text("passwordSaltSeparator")?,
                "signerKey": text("passwordSignerKey")?,
            }),
        ),
    })
}

/// The id of a new record.
pub(super) fn id_of(request: &Incoming, name: &str) -> Result<String, Refusal> {
    let id = request.needed(name)?;
    if id == "unique()" {
        return Ok(unique_id());
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_first = id
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !is_first || id.len() > 36 || !id.bytes().all(is_letter) {
        return Err(Refusal::argument(name, BAD_ID));
    }
    Ok(id.to_owned())
}

pub(super) fn email_of(email: &str, is_optional: bool) -> Result<String, Refusal> {
    let parts = email.split_once('@');
    let is_sound = parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && !email.contains(' ')
    });
    if is_sound {
        return Ok(email.to_lowercase());
    }
    let or_null = if is_optional { " or null" } else { "" };
    let problem = format!("Value must be a valid email address{or_null}");
    Err(Refusal::argument("email", &problem))
}

pub(super) fn phone_of(phone: &str, name: &str) -> Result<String, Refusal> {
    let digits = phone.strip_prefix('+').unwrap_or_default();
    let is_sound = (7..=15).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    if phone.is_empty() || is_sound {
        return Ok(phone.to_owned());
    }
    let problem = "Phone number must start with a '+' can have a maximum of fifteen digits.";
    Err(Refusal::argument(name, problem))
}

pub(super) fn name_of(name: &str) -> Result<String, Refusal> {
    if name.chars().count() > 128 {
        let problem = "Value must be a valid string and no longer than 128 chars";
        return Err(Refusal::argument("name", problem));
    }
    Ok(name.to_owned())
}

pub(super) fn check_password(password: &str) -> Result<(), Refusal> {
    if (8..=256).contains(&password.chars().count()) {
        return Ok(());
    }
    let problem = "Password must be between 8 and 256 characters long.";
    Err(Refusal::argument("password", problem))
}

/// Whether another account, or an identity of another one, has the address.
pub(super) fn is_taken_email(state: &State, email: &str, own: Option<&str>) -> bool {
    let is_other = |user: &str| own != Some(user);
    let identity = state.identities.iter();
    let mut identity = identity.filter(|it| it.is.email == email && is_other(&it.is.user));
    state.users.by_email(email).is_some() || identity.next().is_some()
}

pub(super) fn email_taken() -> Refusal {
    let message = "A user with the same email already exists in the current project.";
    Refusal::new(409, "user_email_already_exists", message)
}
