//! Who calls.

use chrono::{TimeDelta, Utc};

use super::{
    answers::Refusal,
    data::users::User,
    incoming::Incoming,
    state::{KEY, LIMITED_KEY, PROJECT, Shared, State},
    times::stamp,
    tokens::{self, Jwt},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    Key,
    /// A key without scopes.
    LimitedKey,
    Guest,
    User {
        id: String,
        session: Option<String>,
    },
}

impl Caller {
    /// The caller of a request to a route.
    pub(super) fn of(request: &Incoming, state: &State, shared: &Shared) -> Result<Self, Refusal> {
        let Some(project) = request.header("x-appwrite-project") else {
            let message = "When using project API key, make sure to pass x-appwrite-project header \
                           with your project ID.";
            return Err(Refusal::new(403, "project_id_missing", message));
        };
        if project != PROJECT {
            let message = "Project with the requested ID could not be found. Please check the value \
                           of the X-Appwrite-Project header to ensure the correct project ID is \
                           being used.";
            return Err(Refusal::new(404, "project_not_found", message));
        }
        match request.header("x-appwrite-key") {
            Some(KEY) => return Ok(Self::Key),
            Some(LIMITED_KEY) => return Ok(Self::LimitedKey),
            Some(_) => {
                let message = "The current user is not authorized to perform the requested action.";
                return Err(Refusal::new(401, "user_unauthorized", message));
            }
            None => {}
        }
        let caller = if let Some(token) = request.header("x-appwrite-jwt") {
            let jwt = Jwt::read(token, &shared.signing);
            let jwt = jwt.map_err(|problem| Refusal::new(401, "user_jwt_invalid", problem))?;
            Self::of_jwt(&jwt, state)
        } else if let Some(secret) = secret_of(request) {
            Self::of_secret(&secret, state)
        } else {
            Self::Guest
        };
        caller.check(state)?;
        Ok(caller)
    }

    /// Nobody, if the user or the session is gone.
    pub(super) fn of_jwt(jwt: &Jwt, state: &State) -> Self {
        let has_ended = !jwt.session.is_empty()
            && !state
                .sessions
                .iter()
                .any(|it| it.id == jwt.session && it.user == jwt.user);
        if has_ended || state.users.get(&jwt.user).is_none() {
            return Self::Guest;
        }
        Self::User {
            id: jwt.user.clone(),
            session: Some(jwt.session.clone()).filter(|session| !session.is_empty()),
        }
    }

    pub(super) fn of_secret(secret: &str, state: &State) -> Self {
        let Some((id, inner)) = tokens::read_shown(secret) else {
            return Self::Guest;
        };
        let digest = tokens::digest(&inner);
        let mut sessions = state.sessions.iter();
        match sessions.find(|it| it.user == id && it.digest == digest) {
            Some(session) => Self::User {
                id,
                session: Some(session.id.clone()),
            },
            None => Self::Guest,
        }
    }

    /// Refuses a blocked user, and one whose session needs another factor.
    fn check(&self, state: &State) -> Result<(), Refusal> {
        let Self::User { id, session } = self else {
            return Ok(());
        };
        let Some(user) = state.users.get(id) else {
            return Ok(());
        };
        if !user.is_active {
            return Err(blocked());
        }
        let session = session.as_ref();
        let session = session.and_then(|id| state.sessions.iter().find(|it| it.id == *id));
        let is_half = session.is_some_and(|it| it.factors.len() < 2);
        if user.has_mfa && user.has_factor() && is_half {
            let message = "More factors are required to complete the sign in process.";
            return Err(Refusal::new(401, "user_more_factors_required", message));
        }
        Ok(())
    }

    /// Demands a key.
    pub(super) fn with_key(&self, scope: &str) -> Result<(), Refusal> {
        match self {
            Self::Key => Ok(()),
            Self::LimitedKey => Err(Refusal::scope("applications", scope)),
            Self::Guest => Err(Refusal::scope("guests", scope)),
            Self::User { .. } => Err(Refusal::scope("users", scope)),
        }
    }

    /// Demands a user.
    pub(super) fn user(&self) -> Result<(&str, Option<&str>), Refusal> {
        match self {
            Self::User { id, session } => Ok((id, session.as_deref())),
            Self::Guest => Err(Refusal::scope("guests", "account")),
            Self::Key | Self::LimitedKey => Err(Refusal::scope("applications", "account")),
        }
    }

    /// The roles by which rows are read.
    pub(super) fn roles(&self, state: &State) -> Vec<String> {
        let mut roles = vec!["any".to_owned()];
        match self {
            Self::Key | Self::LimitedKey => {}
            Self::Guest => roles.push("guests".to_owned()),
            Self::User { id, .. } => {
                roles.extend(["users".to_owned(), format!("user:{id}")]);
                let labels = state.users.get(id).map_or(&[][..], |user| &user.labels[..]);
                roles.extend(labels.iter().map(|label| format!("label:{label}")));
            }
        }
        roles
    }
}

pub(super) fn blocked() -> Refusal {
    Refusal::new(403, "user_blocked", "The current user has been blocked.")
}

fn secret_of(request: &Incoming) -> Option<String> {
    let cookie = || {
        let cookies = request.header("cookie")?;
        let mut cookies = cookies
            .split(';')
            .filter_map(|it| it.trim().split_once('='));
        let name = format!("a_session_{PROJECT}");
        cookies.find_map(|(found, value)| (found == name).then_some(value))
    };
    request
        .header("x-appwrite-session")
        .or_else(cookie)
        .map(str::to_owned)
}

/// Notes the use of an account, as the server does it from time to time; returns the moment as the
/// answer of that first call has it.
pub(super) fn used(user: &mut User) -> Option<String> {
    let now = Utc::now();
    let is_fresh = |seen| now - seen < TimeDelta::days(1);
    if user.accessed.is_some_and(is_fresh) {
        return None;
    }
    user.accessed = Some(now);
    user.updated = stamp(now);
    Some(now.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}
