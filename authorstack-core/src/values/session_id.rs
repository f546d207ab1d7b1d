use std::str::FromStr;

use super::{check_text, text_value};
use crate::{Error, Result};

/// The id of a session, as the service gives it. It is no secret: nobody signs in with it. 1 to 255
/// bytes, no NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);
text_value!(SessionId);

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 255 {
            let problem = format!("is {} bytes long; a session's id has 1 to 255", text.len());
            return Err(Error::invalid("sessionId", problem));
        }
        check_text("sessionId", text)?;
        Ok(Self(text.to_owned()))
    }
}
