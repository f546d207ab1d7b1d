use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::appwrite::{
    answers::Refusal,
    times::{now, read, stamp},
};

#[derive(Debug)]
pub(in crate::appwrite) struct Database {
    pub(in crate::appwrite) name: String,
    pub(in crate::appwrite) created: String,
    pub(in crate::appwrite) tables: BTreeMap<String, Table>,
}

#[derive(Debug)]
pub(in crate::appwrite) struct Table {
    pub(in crate::appwrite) name: String,
    pub(in crate::appwrite) created: String,
    pub(in crate::appwrite) permissions: Vec<String>,
    pub(in crate::appwrite) has_row_security: bool,
    pub(in crate::appwrite) columns: Vec<Column>,
    pub(in crate::appwrite) indexes: Vec<Value>,
    /// In the order of their making.
    pub(in crate::appwrite) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(in crate::appwrite) struct Column {
    pub(in crate::appwrite) key: String,
    /// `string`, `integer`, `boolean` or `datetime`.
    pub(in crate::appwrite) kind: String,
    pub(in crate::appwrite) size: usize,
    pub(in crate::appwrite) is_array: bool,
    pub(in crate::appwrite) is_required: bool,
    pub(in crate::appwrite) created: String,
}

#[derive(Debug, Clone)]
pub(in crate::appwrite) struct Row {
    pub(in crate::appwrite) id: String,
    pub(in crate::appwrite) sequence: u64,
    pub(in crate::appwrite) created: String,
    pub(in crate::appwrite) updated: String,
    pub(in crate::appwrite) permissions: Vec<String>,
    pub(in crate::appwrite) values: Map<String, Value>,
}

impl Column {
    pub(in crate::appwrite) fn of(kind: &str, given: &Map<String, Value>) -> Self {
        let flag = |name: &str| given.get(name) == Some(&Value::Bool(true));
        let size = given.get("size").and_then(Value::as_u64);
        Self {
            key: given["key"].as_str().unwrap_or_default().to_owned(),
            kind: kind.to_owned(),
            size: size
                .and_then(|size| usize::try_from(size).ok())
                .unwrap_or_default(),
            is_array: flag("array"),
            is_required: flag("required"),
            created: now(),
        }
    }

    pub(in crate::appwrite) fn json(&self, status: &str) -> Value {
        let mut json = json!({
            "key": self.key, "type": self.kind, "status": status, "error": "",
            "required": self.is_required, "array": self.is_array,
            "$createdAt": self.created, "$updatedAt": self.created, "default": null,
        });
        if self.kind == "string" {
            json["size"] = self.size.into();
            json["encrypt"] = false.into();
        }
        json
    }

    /// The value as it is stored.
    fn stored(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::Null if self.is_array => Ok(json!([])),
            Value::Null => Ok(Value::Null),
            Value::Array(items) if self.is_array => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.one(item)).collect();
                Ok(items?.into())
            }
            value if !self.is_array => self.one(value),
            _ => Err("must be an array".to_owned()),
        }
    }

    fn one(&self, value: &Value) -> Result<Value, String> {
        match (self.kind.as_str(), value) {
            ("string", Value::String(text)) if text.chars().count() <= self.size => {
                Ok(value.clone())
            }
            ("boolean", Value::Bool(_)) => Ok(value.clone()),
            ("integer", Value::Number(number))
                if number.as_i64().is_some_and(|it| i32::try_from(it).is_ok()) =>
            {
                Ok(value.clone())
            }
            ("datetime", Value::String(text)) => {
                let moment = read(text).ok_or_else(|| "is no date".to_owned())?;
                Ok(stamp(moment).into())
            }
            ("string", _) => Err(format!(
                "Value must be a valid string and no longer than {} chars",
                self.size
            )),
            ("integer", _) => Err(
                "Value must be a valid signed 32-bit integer between -2,147,483,648 and \
                 2,147,483,647"
                    .to_owned(),
            ),
            (kind, _) => Err(format!("Value must be a valid {kind}")),
        }
    }
}

impl Table {
    /// The values of a row as they are stored. `given` replaces what is there.
    pub(in crate::appwrite) fn values(
        &self,
        there: Option<&Map<String, Value>>,
        given: &Map<String, Value>,
        kind: &'static str,
    ) -> Result<Map<String, Value>, Refusal> {
        let refuse = |problem: String| {
            let message = format!("Invalid document structure: {problem}");
            Refusal::new(400, kind, message)
        };
        let mut values = there.cloned().unwrap_or_default();
        for (name, value) in given.iter().filter(|(name, _)| !name.starts_with('$')) {
            let column = self.columns.iter().find(|column| column.key == *name);
            let column = column.ok_or_else(|| refuse(format!("Unknown attribute: \"{name}\"")))?;
            let stored = column.stored(value).map_err(|problem| {
                refuse(format!("Attribute \"{name}\" has invalid type. {problem}"))
            })?;
            values.insert(name.clone(), stored);
        }
        for column in &self.columns {
            let empty = if column.is_array {
                json!([])
            } else {
                Value::Null
            };
            let value = values.entry(column.key.clone()).or_insert(empty);
            if column.is_required && value.is_null() {
                let name = &column.key;
                return Err(refuse(format!("Missing required attribute \"{name}\"")));
            }
        }
        Ok(values)
    }

    /// Whether somebody in these roles may read a row.
    pub(in crate::appwrite) fn may(
        &self,
        action: &str,
        roles: &[String],
        row: Option<&Row>,
    ) -> bool {
        let of_row = row
            .filter(|_| self.has_row_security)
            .map_or(&[][..], |row| &row.permissions[..]);
        let granted = self.permissions.iter().chain(of_row);
        let mut granted = granted.filter_map(|permission| {
            let (allowed, role) = permission.split_once("(\"")?;
            let is_it = allowed == action || (allowed == "write" && action != "read");
            is_it.then(|| role.trim_end_matches("\")"))
        });
        granted.any(|role| roles.iter().any(|it| it == role))
    }
}

impl Row {
    /// The row with the names that a table or a collection gives it.
    pub(in crate::appwrite) fn json(&self, database: &str, table: &str, place: &str) -> Value {
        let mut json = self.values.clone();
        for (name, value) in [
            ("$id", json!(self.id)),
            ("$sequence", json!(self.sequence.to_string())),
            ("$createdAt", json!(self.created)),
            ("$updatedAt", json!(self.updated)),
            ("$permissions", json!(self.permissions)),
            ("$databaseId", json!(database)),
            (place, json!(table)),
        ] {
            json.insert(name.to_owned(), value);
        }
        json.into()
    }
}
