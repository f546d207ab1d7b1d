//! The queries of lists.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;

use super::answers::Refusal;

/// The most values of one query.
const MOST_VALUES: usize = 500;
const DEFAULT_LIMIT: usize = 25;

/// One query, as a client writes it.
#[derive(Debug, Deserialize)]
struct Written {
    method: String,
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    values: Vec<Value>,
}

/// Of what a list is: errors differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Users and identities.
    Accounts,
    /// Rows and documents.
    Rows,
}

/// What a list asks for.
#[derive(Debug)]
pub(super) struct Queries {
    filters: Vec<(String, String, Vec<Value>)>,
    orders: Vec<(String, bool)>,
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) after: Option<String>,
    pub(super) select: Option<Vec<String>>,
}

impl Queries {
    /// Reads the queries of a list whose attributes these are.
    pub(super) fn read(texts: &[&str], of: Of, known: &[&str]) -> Result<Self, Refusal> {
        let refuse = |problem: &str| match of {
            Of::Accounts => Refusal::argument("queries", problem),
            Of::Rows => {
                let problem = problem
                    .strip_prefix("Invalid query: ")
                    .map_or(problem, |it| it);
                let message = format!("Invalid query: {problem}");
                Refusal::new(400, "general_query_invalid", message)
            }
        };
        let mut read = Self {
            filters: Vec::new(),
            orders: Vec::new(),
            limit: DEFAULT_LIMIT,
            offset: 0,
            after: None,
            select: None,
        };
        for text in texts {
            let Ok(query) = serde_json::from_str::<Written>(text) else {
                return Err(refuse("Invalid query: Invalid query: Syntax error"));
            };
            if query.values.len() > MOST_VALUES {
                let message = "Invalid query: Query on attribute has greater than 500 values";
                return Err(Refusal::new(400, "general_query_invalid", message));
            }
            let number = || query.values.first().and_then(Value::as_u64);
            let texts = || query.values.iter().filter_map(Value::as_str);
            let attribute = query.attribute.as_str();
            match query.method.as_str() {
                "limit" => match number().and_then(|number| usize::try_from(number).ok()) {
                    Some(limit) if limit > 0 => read.limit = limit,
                    _ => return Err(refuse("Invalid query: Invalid limit")),
                },
                "offset" => match number().and_then(|number| usize::try_from(number).ok()) {
                    Some(offset) => read.offset = offset,
                    None => return Err(refuse("Invalid query: Invalid offset")),
                },
                "cursorAfter" => read.after = texts().next().map(str::to_owned),
                "select" if of == Of::Rows => {
                    read.select = Some(texts().map(str::to_owned).collect());
                }
                "select" => return Err(refuse("Invalid query method: select")),
                "orderAsc" | "orderDesc" if attribute == "$sequence" || attribute.is_empty() => {
                    let order = ("$sequence".to_owned(), query.method == "orderAsc");
                    read.orders.push(order);
                }
                method @ ("equal" | "notEqual" | "lessThan" | "lessThanEqual" | "greaterThan"
                | "greaterThanEqual" | "isNull" | "isNotNull" | "orderAsc"
                | "orderDesc") => {
                    if !known.contains(&attribute) {
                        let problem = format!("Attribute not found in schema: {attribute}");
                        return Err(refuse(&format!("Invalid query: {problem}")));
                    }
                    if method.starts_with("order") {
                        let order = (attribute.to_owned(), method == "orderAsc");
                        read.orders.push(order);
                    } else {
                        let filter = (method.to_owned(), attribute.to_owned(), query.values);
                        read.filters.push(filter);
                    }
                }
                other => {
                    let problem = format!("Invalid query: Invalid query method: {other}");
                    return Err(refuse(&problem));
                }
            }
        }
        Ok(read)
    }

    /// Whether the filters take a record, given by its JSON.
    pub(super) fn takes(&self, record: &Value) -> bool {
        self.filters.iter().all(|(method, attribute, values)| {
            let found = &record[attribute.as_str()];
            let is_any = || values.iter().any(|value| is_equal(found, value));
            let than = |wanted: &[Ordering]| {
                let order = values.first().and_then(|value| compared(found, value));
                order.is_some_and(|order| wanted.contains(&order))
            };
            match method.as_str() {
                "equal" => is_any(),
                "notEqual" => !is_any(),
                "lessThan" => than(&[Ordering::Less]),
                "lessThanEqual" => than(&[Ordering::Less, Ordering::Equal]),
                "greaterThan" => than(&[Ordering::Greater]),
                "greaterThanEqual" => than(&[Ordering::Greater, Ordering::Equal]),
                "isNull" => found.is_null(),
                _ => !found.is_null(),
            }
        })
    }

    /// Whether the records come in another order than that of their making.
    pub(super) fn is_ordered(&self) -> bool {
        self.orders
            .iter()
            .any(|order| *order != ("$sequence".to_owned(), true))
    }

    /// Sorts records that are in the order of their making.
    pub(super) fn sort(&self, records: &mut [Value]) {
        if self.orders == [("$sequence".to_owned(), false)] {
            records.reverse();
            return;
        }
        records.sort_by(|a, b| {
            let orders = self.orders.iter().filter(|(name, _)| name != "$sequence");
            let mut compared = orders.map(|(name, is_up)| {
                let order = compared(&a[name.as_str()], &b[name.as_str()]);
                let order = order.unwrap_or(Ordering::Equal);
                if *is_up { order } else { order.reverse() }
            });
            let found = compared.find(|order| order.is_ne());
            found.unwrap_or(Ordering::Equal)
        });
    }
}

fn is_equal(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.contains(wanted),
        found => found == wanted || compared(found, wanted) == Some(Ordering::Equal),
    }
}

fn compared(found: &Value, wanted: &Value) -> Option<Ordering> {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => {
            let moments = (super::times::read(found), super::times::read(wanted));
            match moments {
                (Some(found), Some(wanted)) => Some(found.cmp(&wanted)),
                _ => Some(found.cmp(wanted)),
            }
        }
        (Value::Number(found), Value::Number(wanted)) => {
            found.as_f64()?.partial_cmp(&wanted.as_f64()?)
        }
        (Value::Bool(found), Value::Bool(wanted)) => Some(found.cmp(wanted)),
        _ => None,
    }
}
