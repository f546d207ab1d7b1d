use serde_json::{Map, Value};

use crate::{Error, Result};

/// What the client of an account's owner keeps at the service: a JSON object.
///
/// ```
/// use authorstack_core::{Prefs, serde_json::json};
///
/// let prefs = Prefs::try_from(json!({ "font": "serif" }))?;
/// assert_eq!(prefs.get("font"), Some(&json!("serif")));
/// assert!(Prefs::try_from(json!(["serif"])).is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prefs(Value);

impl Prefs {
    /// The object.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The names and values.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        match self.0 {
            Value::Object(map) => map,
            // There is no other: see `TryFrom`.
            _ => Map::new(),
        }
    }
}

impl Default for Prefs {
    fn default() -> Self {
        Self(Value::Object(Map::new()))
    }
}

impl From<Map<String, Value>> for Prefs {
    fn from(map: Map<String, Value>) -> Self {
        Self(Value::Object(map))
    }
}

impl TryFrom<Value> for Prefs {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self> {
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(Error::invalid("prefs", "are no JSON object; correct them"))
        }
    }
}
