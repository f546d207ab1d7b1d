//! Checks that every backend can store a record. The checks go by the list of fields, so no field
//! is forgotten. Supabase's tables have the same rules as constraints
//! (`20261127010000_authorstack_rules.sql`); its test `accepted` holds the two together.

mod json;

use std::fmt;

use serde::Serialize;

use json::measure;

use super::{
    extra::{find_nul, nul_in_value},
    fields::{Field, FieldValue, FieldWriter, Fields, Patch, PatchWriter, Value},
};
use crate::{Change, Error, Extra, Result, limits, values::time::check_moment};

/// Refuses a record that some backend cannot store: text with NUL characters, numbers that are not
/// finite, unknown fields with the name of a known one, and what is beyond the
/// [`limits`](crate::limits).
pub(crate) fn check_fields<T: Fields>(record: &T) -> Result<()> {
    record.write(&mut Checker::of::<T>(Path::Root))
}

/// Checks a part of a document as [`check_fields`] does; `name` is the field that holds it.
pub(crate) fn check_part<T: Fields>(name: &str, part: &T) -> Result<()> {
    part.write(&mut Checker::of::<T>(Path::Field(&Path::Root, name)))
}

/// Checks the values that a patch sets as [`check_fields`] does.
pub(crate) fn check_patch<P: Patch>(patch: &P) -> Result<()> {
    patch.write(&mut Checker::of::<P::Record>(Path::Root))
}

/// Checks a patch of a part of a document; `name` is the field that holds the part.
pub(crate) fn check_patch_of_part<P: Patch>(name: &str, patch: &P) -> Result<()> {
    patch.write(&mut Checker::of::<P::Record>(Path::Field(
        &Path::Root,
        name,
    )))
}

#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}.{index}"),
        }
    }
}

struct Checker<'p> {
    within: Path<'p>,
    knows: fn(&str) -> bool,
    /// Whether this is part of JSON, whose size is checked as a whole.
    in_json: bool,
}

impl<'p> Checker<'p> {
    fn of<T: Fields>(within: Path<'p>) -> Self {
        Self {
            within,
            knows: T::knows,
            in_json: false,
        }
    }

    /// For a part with fields of its own, within JSON.
    fn of_part<T: Fields>(within: Path<'p>) -> Self {
        Self {
            in_json: true,
            ..Self::of::<T>(within)
        }
    }

    fn text(&self, field: &Field, text: &str) -> Result<()> {
        if text.len() > field.most {
            return Err(self.too_large(field.name, "is", text.len(), field.most, "long"));
        }
        // Bytes are compared faster than characters are.
        if !text.as_bytes().contains(&0) {
            return Ok(());
        }
        match text.find('\0') {
            None => Ok(()),
            Some(at) => Err(Error::invalid(
                Path::Field(&self.within, field.name).to_string(),
                format!(
                    "holds a NUL character at byte {at}, which PostgreSQL cannot store; remove it"
                ),
            )),
        }
    }

    fn entries(&self, field: &Field, count: usize) -> Result<()> {
        if count <= limits::ENTRIES {
            return Ok(());
        }
        Err(Error::invalid(
            Path::Field(&self.within, field.name).to_string(),
            format!(
                "has {count} entries, and {} are the most; remove some",
                limits::ENTRIES
            ),
        ))
    }

    /// Checks the size and the depth of a column's JSON.
    fn json(&self, name: &str, json: &(impl Serialize + ?Sized), most: usize) -> Result<()> {
        if self.in_json {
            return Ok(());
        }
        let size = measure(json);
        if size.bytes > most {
            return Err(self.too_large(name, "as JSON is", size.bytes, most, "large"));
        }
        if size.levels > limits::LEVELS {
            return Err(Error::invalid(
                Path::Field(&self.within, name).to_string(),
                format!(
                    "is nested more than {} levels deep; flatten it",
                    limits::LEVELS
                ),
            ));
        }
        Ok(())
    }

    #[cold]
    fn too_large(&self, name: &str, is: &str, found: usize, most: usize, large: &str) -> Error {
        Error::invalid(
            Path::Field(&self.within, name).to_string(),
            format!("{is} {found} bytes {large}, and {most} are the most; shorten it"),
        )
    }
}

impl FieldWriter for Checker<'_> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        match value {
            Some(Value::Text(text)) => self.text(field, text),
            Some(Value::Texts(list)) => {
                self.entries(field, list.count())?;
                list.texts().try_for_each(|text| self.text(field, text))
            }
            Some(Value::Moment(at)) => check_moment(Path::Field(&self.within, field.name), at),
            Some(Value::Float(number)) if !number.is_finite() => Err(Error::invalid(
                Path::Field(&self.within, field.name).to_string(),
                format!("{number} is not a finite number; correct it"),
            )),
            Some(Value::Json(json)) => match nul_in_value(json) {
                None => self.json(field.name, json, field.most),
                Some(rest) => Err(holds_nul(format!(
                    "{}{rest}",
                    Path::Field(&self.within, field.name)
                ))),
            },
            None
            | Some(
                Value::Id(_)
                | Value::Bool(_)
                | Value::Whole(_)
                | Value::Float(_)
                | Value::Decimal(_)
                | Value::Day(_)
                | Value::Sums(_),
            ) => Ok(()),
        }
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        part.write(&mut Checker::of_part::<T>(Path::Field(
            &self.within,
            field.name,
        )))?;
        self.json(field.name, part, field.most)
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        self.entries(field, parts.len())?;
        let list = Path::Field(&self.within, field.name);
        parts.iter().enumerate().try_for_each(|(index, part)| {
            part.write(&mut Checker::of_part::<T>(Path::Index(&list, index)))
        })?;
        self.json(field.name, parts, field.most)
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        if let Some(name) = extra.keys().find(|name| (self.knows)(name)) {
            return Err(Error::invalid(
                Path::Field(&self.within, name).to_string(),
                "is an unknown field with the name of a known one; set the known field instead",
            ));
        }
        match find_nul(extra) {
            // Most records have no unknown fields.
            None if extra.is_empty() => Ok(()),
            None => self.json("extra", extra, limits::DOCUMENT),
            Some(found) => Err(holds_nul(Path::Field(&self.within, &found).to_string())),
        }
    }
}

fn holds_nul(path: String) -> Error {
    Error::invalid(
        path,
        "holds a NUL character, which PostgreSQL cannot store; remove it",
    )
}

impl PatchWriter for Checker<'_> {
    fn change<T: FieldValue>(&mut self, field: &'static Field, change: Change<&T>) -> Result<()> {
        match change {
            Change::Keep | Change::Clear => Ok(()),
            Change::Set(value) => value.write(field, self),
        }
    }
}
