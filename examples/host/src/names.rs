//! Names of users for lists, all in one call.

use std::collections::BTreeMap;

use authorstack_core::{Id, PublicUser, Result, User, UserRepositoryExt as _};
use utoipa::ToSchema;

use crate::app::App;

/// The names of users.
#[derive(Debug)]
pub struct Names(BTreeMap<Id<User>, String>);

/// What everyone may see of a user, in the document.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it stands for PublicUser in the document")]
pub struct Person {
    /// The id.
    id: String,
    /// The name; empty for a user who is gone.
    name: String,
}

/// The names of these users.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, ids: impl IntoIterator<Item = Id<User>>) -> Result<Names> {
    let mut ids: Vec<Id<User>> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let users = app.stack.users().list_public(&ids).await?;
    let named = users.into_iter().map(|user| (user.id, user.name));
    Ok(Names(named.collect()))
}

impl Names {
    /// A user with their name.
    #[must_use]
    pub fn person(&self, id: Id<User>) -> PublicUser {
        let name = self.0.get(&id).cloned().unwrap_or_default();
        PublicUser { id, name }
    }
}
