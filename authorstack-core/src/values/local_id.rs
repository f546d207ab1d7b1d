//! Ids that are texts, unique within the record that holds them.

use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Id, Result};

/// The longest id, in bytes: it must fit into an index.
const MOST: usize = 200;

macro_rules! local_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);
        text_value!($name);

        impl $name {
            /// A new id: 24 hex digits, in creation order.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "each is another one")]
            pub fn new() -> Self {
                Self(Id::<()>::new().to_string())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                check_id($field, text)?;
                Ok(Self(text.to_owned()))
            }
        }
    };
}

fn check_id(field: &'static str, text: &str) -> Result<()> {
    let sound = !text.trim().is_empty() && text.len() <= MOST && !text.contains('\0');
    if sound {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format!(
                "{} is not an id of 1 to {MOST} bytes without NUL characters",
                excerpt(text)
            ),
        ))
    }
}

local_id! {
    /// The id of a task, unique within its checklist. New ids are 24 hex digits. Ids of other
    /// forms, made by an old app, are kept as they are.
    TaskId, "tasks.id"
}

local_id! {
    /// The id of a comment, unique within its post. New ids are 24 hex digits. Ids of other forms,
    /// made by an old app, are kept as they are.
    CommentId, "comments.id"
}
