//! The fields of a record, listed once in the record's own file: names, columns, and what a missing
//! value means.
//!
//! Code that stores, copies, checks or compares records goes by this list. The macro takes the
//! record apart with `let Self { … } = self`, so a record with an unlisted field does not compile.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};

pub use super::sums::Breakdown;
use crate::{Change, Error, Extra, Id, Result, limits};

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in documents and in JSON.
    pub name: &'static str,
    /// The column of the record's table; `None` if the table computes it.
    pub column: Option<&'static str>,
    /// The form of its values.
    pub shape: Shape,
    /// Whether a record must have a value.
    pub required: bool,
    /// Whether identity, ownership or money depends on it. In a migration, a value that makes no
    /// sense rejects the record here; in any other field it is set aside ([`SET_ASIDE`]).
    pub vital: bool,
    /// The largest size in bytes: of a text, of each text of a list, of JSON as PostgreSQL writes
    /// it. Zero where the form itself limits the size. See [`limits`].
    pub most: usize,
}

/// The unknown field in which a migration keeps the values that make no sense: an object from the
/// name of the field to the value as the source has it. It is in `extra` of the record, or of the
/// part, that has the field; the field itself is empty there.
pub const SET_ASIDE: &str = "_setAside";

/// The form of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An id.
    Id,
    /// A text.
    Text,
    /// A text; an empty one means that there is no value.
    TextOrEmpty,
    /// A list of texts.
    Texts,
    /// True or false.
    Bool,
    /// A whole number between these bounds, inclusive. The column is an `integer` if they fit into
    /// an `i32`, else a `bigint`.
    Whole(i64, i64),
    /// A finite number.
    Float,
    /// A decimal number.
    Decimal,
    /// A day.
    Day,
    /// A moment.
    Moment,
    /// JSON of any form.
    Json,
    /// A map from a text to sums.
    Sums,
    /// A part with fields of its own.
    Part,
    /// A list of such parts.
    Parts,
}

impl Shape {
    /// A whole number of zero or more.
    pub const COUNT: Self = Self::Whole(0, i64::MAX);

    /// What such a value is called in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Id => "an id",
            Self::Text | Self::TextOrEmpty => "a text",
            Self::Texts => "a list of texts",
            Self::Bool => "true or false",
            Self::Whole(..) => "a whole number",
            Self::Float => "a number",
            Self::Decimal => "a decimal number",
            Self::Day => "a day",
            Self::Moment => "a moment",
            Self::Json => "JSON",
            Self::Sums => "sums",
            Self::Part => "an object",
            Self::Parts => "a list of objects",
        }
    }

    /// Whether the values are JSON in a table.
    #[must_use]
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Sums | Self::Part | Self::Parts)
    }

    /// The largest size of such a value in bytes, unless the field says otherwise.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Self::Text | Self::TextOrEmpty => limits::TEXT,
            Self::Texts => limits::ENTRY,
            Self::Part | Self::Parts => limits::JSON,
            Self::Json => limits::DOCUMENT,
            // Sums have one entry for each book or platform that sold.
            Self::Sums
            | Self::Id
            | Self::Bool
            | Self::Whole(..)
            | Self::Float
            | Self::Decimal
            | Self::Day
            | Self::Moment => 0,
        }
    }
}

/// The value of a field, in a form that every store can convert.
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    /// An id.
    Id(Id<()>),
    /// A text.
    Text(&'v str),
    /// A list of texts.
    Texts(&'v dyn Texts),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A finite number.
    Float(f64),
    /// A decimal number.
    Decimal(Decimal),
    /// A day.
    Day(NaiveDate),
    /// A moment.
    Moment(DateTime<Utc>),
    /// JSON of any form.
    Json(&'v serde_json::Value),
    /// A map from a text to sums.
    Sums(&'v dyn Breakdown),
}

impl Value<'_> {
    /// What it is called in messages.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Id(_) => Shape::Id.name(),
            Self::Text(_) => Shape::Text.name(),
            Self::Texts(_) => Shape::Texts.name(),
            Self::Bool(_) => Shape::Bool.name(),
            Self::Whole(_) => "a whole number",
            Self::Float(_) => Shape::Float.name(),
            Self::Decimal(_) => Shape::Decimal.name(),
            Self::Day(_) => Shape::Day.name(),
            Self::Moment(_) => Shape::Moment.name(),
            Self::Json(_) => Shape::Json.name(),
            Self::Sums(_) => Shape::Sums.name(),
        }
    }
}

/// A list of texts.
pub trait Texts: std::fmt::Debug {
    /// How many texts there are.
    fn count(&self) -> usize;

    /// The text at this index.
    fn text(&self, index: usize) -> &str;
}

impl dyn Texts + '_ {
    /// The texts, in their order.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.count()).map(|index| self.text(index))
    }
}

impl<T: AsRef<str> + std::fmt::Debug> Texts for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, index: usize) -> &str {
        self[index].as_ref()
    }
}

/// A record, or a part of one, whose fields are listed.
pub trait Fields: Sized {
    /// The fields in the schema's order, without those in `extra`.
    const FIELDS: &'static [Field];
    /// Field names that documents use for records of their own, such as a post's `likes`.
    const RESERVED: &'static [&'static str] = &[];
    /// Fields that the record's own part of a document does not have, such as a comment's
    /// `postId`: an unknown field may have this name.
    const OUTSIDE: &'static [&'static str] = &[];
    /// Whether the record keeps unknown fields.
    const HAS_EXTRA: bool;

    /// Passes each field to a writer, in the order of the list; unknown fields come last.
    ///
    /// # Errors
    /// The writer's first error.
    fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()>;

    /// Takes each field from a reader, in the order of the list; unknown fields come last. Returns
    /// `None` if the reader has noted a problem.
    fn read<R: FieldReader>(reader: &mut R) -> Option<Self>;

    /// The columns of the record's table, in the order of the list, separated by commas.
    #[must_use]
    fn columns() -> String {
        let columns = Self::FIELDS.iter().filter_map(|field| field.column);
        let columns: Vec<&str> = columns.chain(Self::HAS_EXTRA.then_some("extra")).collect();
        columns.join(", ")
    }

    /// Whether the schema knows a field of this name.
    #[must_use]
    fn knows(name: &str) -> bool {
        let mut fields = Self::FIELDS.iter();
        let is_field = fields.any(|field| field.name == name) && !Self::OUTSIDE.contains(&name);
        is_field || Self::RESERVED.contains(&name)
    }
}

/// Receives the fields of a record.
pub trait FieldWriter {
    /// Receives a value, or `None` for a field without one.
    ///
    /// # Errors
    /// The reason why it cannot be written.
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()>;

    /// A part with fields of its own.
    ///
    /// # Errors
    /// The reason why it cannot be written.
    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()>;

    /// Receives a list of such parts.
    ///
    /// # Errors
    /// The reason why it cannot be written.
    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()>;

    /// The unknown fields.
    ///
    /// # Errors
    /// The reason why they cannot be written.
    fn extra(&mut self, extra: &Extra) -> Result<()>;
}

/// Provides the fields of a record, and collects their problems.
pub trait FieldReader {
    /// The value of the next field.
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T>;

    /// The next field, a list of texts.
    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>>;

    /// The next field, a part with fields of its own.
    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T>;

    /// The next field, a list of such parts.
    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>>;

    /// Skips the next field, whose value is computed.
    fn skip(&mut self, field: &'static Field);

    /// The unknown fields.
    fn extra(&mut self) -> Read<Extra>;

    /// Notes that a required field is missing, and how to fix that.
    fn missing(&mut self, field: &'static Field, way_out: &'static str);
}

/// The result of reading a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Read<T> {
    /// Its value.
    Value(T),
    /// Nothing.
    Missing,
    /// Not a valid value; the reader has noted the problem.
    Refused,
}

impl<T> Read<T> {
    /// Converts the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Self::Value(value) => Read::Value(make(value)),
            Self::Missing => Read::Missing,
            Self::Refused => Read::Refused,
        }
    }
}

/// A single value that every store can hold.
pub trait Scalar: Sized {
    /// The form of the values.
    const SHAPE: Shape;

    /// The value in the stores' form.
    fn value(&self) -> Value<'_>;

    /// Converts a value from a store. A store without the right type may give a text for a number.
    ///
    /// # Errors
    /// Invalid, with the problem of the value.
    fn of(value: Value<'_>) -> Result<Self>;

    /// Converts a text that another program stored. It may be written in another way than
    /// AuthorStack would: blanks around a name, or a name of a closed set in capitals, have one
    /// meaning.
    ///
    /// # Errors
    /// As of [`Scalar::of`].
    fn of_stored(text: &str) -> Result<Self> {
        Self::of(Value::Text(text))
    }
}

/// The type of a field.
pub trait FieldValue: Sized {
    /// The form of the values.
    const SHAPE: Shape;

    /// The value of a missing field, if the type has one for it.
    const MISSING: Option<fn() -> Self> = None;

    /// Passes the value to a writer.
    ///
    /// # Errors
    /// The writer's error.
    fn write<W: FieldWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()>;

    /// Takes the value from a reader.
    fn read<R: FieldReader>(field: &'static Field, reader: &mut R) -> Read<Self>;
}

/// The error for a value of an unexpected type.
pub(crate) fn unexpected<T>(expected: &str, found: Value<'_>) -> Result<T> {
    Err(Error::invalid(
        "value",
        format!("expected {expected}, found {}; correct it", found.name()),
    ))
}

macro_rules! scalars {
    ($($type:ty, $shape:expr, |$this:ident| $value:expr, $($pattern:pat => $of:expr),+;)+) => {$(
        impl Scalar for $type {
            const SHAPE: $crate::records::fields::Shape = $shape;

            fn value(&self) -> Value<'_> {
                let $this = self;
                $value
            }

            fn of(value: Value<'_>) -> Result<Self> {
                match value {
                    $($pattern => $of,)+
                    #[allow(unreachable_patterns, reason = "some take all")]
                    other => unexpected(<Self as Scalar>::SHAPE.name(), other),
                }
            }
        }
        scalar_field!($type);
    )+};
}

macro_rules! scalar_field {
    ($type:ty) => {
        impl $crate::records::fields::FieldValue for $type {
            const SHAPE: $crate::records::fields::Shape =
                <$type as $crate::records::fields::Scalar>::SHAPE;

            fn write<W: $crate::records::fields::FieldWriter>(
                &self,
                field: &'static $crate::records::fields::Field,
                writer: &mut W,
            ) -> $crate::Result<()> {
                writer.value(field, Some($crate::records::fields::Scalar::value(self)))
            }

            fn read<R: $crate::records::fields::FieldReader>(
                field: &'static $crate::records::fields::Field,
                reader: &mut R,
            ) -> $crate::records::fields::Read<Self> {
                reader.value(field)
            }
        }

        impl $crate::records::fields::FieldValue for Option<$type> {
            const SHAPE: $crate::records::fields::Shape =
                <$type as $crate::records::fields::Scalar>::SHAPE;
            const MISSING: Option<fn() -> Self> = Some(|| None);

            fn write<W: $crate::records::fields::FieldWriter>(
                &self,
                field: &'static $crate::records::fields::Field,
                writer: &mut W,
            ) -> $crate::Result<()> {
                writer.value(
                    field,
                    self.as_ref().map($crate::records::fields::Scalar::value),
                )
            }

            fn read<R: $crate::records::fields::FieldReader>(
                field: &'static $crate::records::fields::Field,
                reader: &mut R,
            ) -> $crate::records::fields::Read<Self> {
                reader.value(field).map(Some)
            }
        }
    };
}
pub(crate) use scalar_field;

/// A name that another program stored: blanks around it mean nothing, nor do capitals if only the
/// name in small letters is valid.
pub(crate) fn stored_name<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse().or_else(|error| {
        let name = text.trim();
        let read = name.parse();
        read.or_else(|_| name.to_ascii_lowercase().parse())
            .map_err(|_: Error| error)
    })
}

/// Text types that validate their value.
macro_rules! text_scalars {
    ($shape:expr, $($type:ty),+) => {
        $crate::records::fields::text_scalars!(
            @ $shape, |text| $crate::records::fields::stored_name(text), $($type),+
        );
    };
    // Ids of other programs: each character counts.
    ($shape:expr; $($type:ty),+) => {
        $crate::records::fields::text_scalars!(@ $shape, |text| text.parse(), $($type),+);
    };
    (@ $shape:expr, |$text:ident| $stored:expr, $($type:ty),+) => {$(
        impl $crate::records::fields::Scalar for $type {
            const SHAPE: $crate::records::fields::Shape = $shape;

            fn value(&self) -> $crate::records::fields::Value<'_> {
                $crate::records::fields::Value::Text(self.as_str())
            }

            fn of(value: $crate::records::fields::Value<'_>) -> $crate::Result<Self> {
                match value {
                    $crate::records::fields::Value::Text(text) => text.parse(),
                    other => $crate::records::fields::unexpected("a text", other),
                }
            }

            fn of_stored($text: &str) -> $crate::Result<Self> {
                $stored
            }
        }
        $crate::records::fields::scalar_field!($type);
    )+};
}
pub(crate) use text_scalars;

text_scalars!(
    Shape::Text,
    crate::AuthProvider,
    crate::AttachmentKind,
    crate::Email,
    crate::IdentityProvider,
    crate::InsightKind,
    crate::Phone,
    crate::Platform,
    crate::SalesChannel,
    crate::WebUrl
);
text_scalars!(Shape::Text; crate::AuthId, crate::CommentId, crate::SessionId, crate::TaskId);
text_scalars!(
    Shape::TextOrEmpty,
    crate::Asin,
    crate::Currency,
    crate::Isbn
);

/// A whole number of a narrower type.
fn whole<T: TryFrom<i64>>(number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| {
        let reason = format!("{number} is larger or smaller than the field can hold; correct it");
        Error::invalid("value", reason)
    })
}

scalars! {
    String, Shape::Text, |text| Value::Text(text), Value::Text(text) => Ok(text.to_owned());
    bool, Shape::Bool, |yes| Value::Bool(*yes), Value::Bool(yes) => Ok(yes);
    i64, Shape::Whole(i64::MIN, i64::MAX), |number| Value::Whole(*number), Value::Whole(number) => Ok(number);
    i32, Shape::Whole(i32::MIN as i64, i32::MAX as i64), |number| Value::Whole(i64::from(*number)), Value::Whole(number) => whole(number);
    u32, Shape::Whole(0, u32::MAX as i64), |number| Value::Whole(i64::from(*number)), Value::Whole(number) => whole(number);
    u8, Shape::Whole(0, u8::MAX as i64), |number| Value::Whole(i64::from(*number)), Value::Whole(number) => whole(number);
    f64, Shape::Float, |number| Value::Float(*number), Value::Float(number) => Ok(number + 0.0);
    NaiveDate, Shape::Day, |day| Value::Day(*day), Value::Day(day) => Ok(day);
    DateTime<Utc>, Shape::Moment, |moment| Value::Moment(*moment), Value::Moment(moment) => Ok(moment);
    Decimal, Shape::Decimal, |number| Value::Decimal(*number), Value::Decimal(number) => Ok(number);
    crate::Price, Shape::Decimal, |price| Value::Decimal(price.amount()), Value::Decimal(amount) => Self::new(amount), Value::Float(amount) => Self::from_f64(amount), Value::Text(amount) => amount.parse();
    crate::Amount, Shape::Decimal, |amount| Value::Decimal(amount.to_decimal()), Value::Decimal(amount) => Self::new(amount);
    crate::Confidence, Shape::Decimal, |confidence| Value::Decimal(confidence.to_decimal()), Value::Decimal(amount) => Self::new(amount);
    crate::Prefs, Shape::Json, |prefs| Value::Json(prefs.as_value()), Value::Json(json) => Self::try_from(json.clone());
    serde_json::Value, Shape::Json, |json| Value::Json(json), Value::Json(json) => Ok(json.clone());
}

impl<T> Scalar for Id<T> {
    const SHAPE: Shape = Shape::Id;

    fn value(&self) -> Value<'_> {
        Value::Id(self.cast())
    }

    fn of(value: Value<'_>) -> Result<Self> {
        match value {
            Value::Id(id) => Ok(id.cast()),
            other => unexpected("an id", other),
        }
    }
}

impl<T> FieldValue for Id<T> {
    const SHAPE: Shape = Shape::Id;

    fn write<W: FieldWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
        writer.value(field, Some(self.value()))
    }

    fn read<R: FieldReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
        reader.value(field)
    }
}

impl<T> FieldValue for Option<Id<T>> {
    const SHAPE: Shape = Shape::Id;
    const MISSING: Option<fn() -> Self> = Some(|| None);

    fn write<W: FieldWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
        writer.value(field, self.as_ref().map(Scalar::value))
    }

    fn read<R: FieldReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
        reader.value(field).map(Some)
    }
}

macro_rules! text_lists {
    ($($type:ty),+) => {$(
        impl FieldValue for Vec<$type> {
            const SHAPE: Shape = Shape::Texts;
            const MISSING: Option<fn() -> Self> = Some(Vec::new);

            fn write<W: FieldWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
                writer.value(field, Some(Value::Texts(self)))
            }

            fn read<R: FieldReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
                reader.texts(field)
            }
        }
    )+};
}

text_lists!(String, crate::Platform);

/// Parts that occur once in a record. A missing part is an empty one.
macro_rules! part_fields {
    ($($type:ty),+) => {$(
        impl $crate::records::fields::FieldValue for $type {
            const SHAPE: $crate::records::fields::Shape = $crate::records::fields::Shape::Part;
            const MISSING: Option<fn() -> Self> = Some(Self::default);

            fn write<W: $crate::records::fields::FieldWriter>(&self, field: &'static $crate::records::fields::Field, writer: &mut W) -> $crate::Result<()> {
                writer.part(field, self)
            }

            fn read<R: $crate::records::fields::FieldReader>(field: &'static $crate::records::fields::Field, reader: &mut R) -> $crate::records::fields::Read<Self> {
                reader.part(field)
            }
        }
    )+};
}
pub(crate) use part_fields;

macro_rules! part_lists {
    ($($type:ty),+) => {$(
        impl $crate::records::fields::FieldValue for Vec<$type> {
            const SHAPE: $crate::records::fields::Shape = $crate::records::fields::Shape::Parts;
            const MISSING: Option<fn() -> Self> = Some(Vec::new);

            fn write<W: $crate::records::fields::FieldWriter>(&self, field: &'static $crate::records::fields::Field, writer: &mut W) -> $crate::Result<()> {
                writer.parts(field, self)
            }

            fn read<R: $crate::records::fields::FieldReader>(field: &'static $crate::records::fields::Field, reader: &mut R) -> $crate::records::fields::Read<Self> {
                reader.parts(field)
            }
        }
    )+};
}
pub(crate) use part_lists;

/// The shape of the field that a function points at.
pub(crate) const fn shape_of<R, T: FieldValue>(_: fn(&R) -> &T) -> Shape {
    T::SHAPE
}

/// Whether a field must have a value: its type has none for a missing field. The function points at
/// the field.
pub(crate) const fn is_needed<R, T: FieldValue>(_: fn(&R) -> &T) -> bool {
    T::MISSING.is_none()
}

/// Lists the fields of a record, each as `field: "name"`, followed by these options in this order:
/// `column("…")` if the column has another name than the field; `shape(…)` if the type allows more
/// values than the field; `most(…)` if its texts may have another size than the shape's; `vital("…")` with the reason if
/// identity, ownership or money depends on it though it is not required; then one of
/// `required("…")` with the advice for a missing value, `or(…)`
/// with the default of a missing value (it may use earlier fields), or `computed(…)` for a value
/// that follows from earlier fields and has no column.
macro_rules! fields {
    (
        $record:ty $(, extra: $extra:ident)? $(, reserved: [$($reserved:literal),+])?
        $(, outside: [$($outside:literal),+])?;
        $($field:ident: $name:literal
            $(column($column:literal))? $(shape($shape:expr))? $(most($most:expr))?
            $(vital($vital:literal))?
            $(required($way_out:literal))? $(or($default:expr))? $(computed($computed:expr))?,)+
    ) => {
        impl $crate::records::fields::Fields for $record {
            const FIELDS: &'static [$crate::records::fields::Field] = &[$(
                $crate::records::fields::Field {
                    name: $name,
                    column: $crate::records::fields::column!($field $(, $column)? $(; $computed)?),
                    shape: $crate::records::fields::shape!($record, $field $(, $shape)?),
                    required: $crate::records::fields::required!(
                        $record, $field $(, required $way_out)? $(, or $default)? $(, computed $computed)?
                    ),
                    vital: $crate::records::fields::vital!(
                        $crate::records::fields::shape!($record, $field $(, $shape)?);
                        $crate::records::fields::required!(
                            $record, $field $(, required $way_out)? $(, or $default)? $(, computed $computed)?
                        )
                        $(; $vital)?
                    ),
                    most: $crate::records::fields::most!(
                        $crate::records::fields::shape!($record, $field $(, $shape)?) $(, $most)?
                    ),
                },
            )+];
            $(const RESERVED: &'static [&'static str] = &[$($reserved),+];)?
            $(const OUTSIDE: &'static [&'static str] = &[$($outside),+];)?
            const HAS_EXTRA: bool = $crate::records::fields::is_some!($($extra)?);

            fn write<W: $crate::records::fields::FieldWriter>(
                &self,
                writer: &mut W,
            ) -> $crate::Result<()> {
                let Self { $($field,)+ $($extra,)? } = self;
                let mut index = 0;
                $(
                    $crate::records::fields::FieldValue::write($field, &Self::FIELDS[index], writer)?;
                    index += 1;
                )+
                let _ = index;
                $(writer.extra($extra)?;)?
                Ok(())
            }

            fn read<R: $crate::records::fields::FieldReader>(reader: &mut R) -> Option<Self> {
                let mut index = 0;
                $(
                    let $field = $crate::records::fields::read!(
                        |record: &$record| &record.$field, reader, &Self::FIELDS[index] $(, required $way_out)? $(, or $default)? $(, computed $computed)?
                    );
                    index += 1;
                )+
                let _ = index;
                $(let $extra = reader.extra();)?
                $(
                    let $field = $crate::records::fields::unwrap!($field $(, $default)? $(, $computed)?);
                )+
                $(let $extra = $crate::records::fields::unwrap!($extra, $crate::Extra::new());)?
                Some(Self { $($field,)+ $($extra,)? })
            }
        }
    };
}
pub(crate) use fields;

macro_rules! column {
    ($field:ident; $computed:expr) => {
        None
    };
    ($field:ident) => {
        Some(stringify!($field))
    };
    ($field:ident, $column:literal) => {
        Some($column)
    };
}
pub(crate) use column;

macro_rules! shape {
    ($record:ty, $field:ident) => {
        $crate::records::fields::shape_of(|record: &$record| &record.$field)
    };
    ($record:ty, $field:ident, $shape:expr) => {
        $shape
    };
}
pub(crate) use shape;

macro_rules! most {
    ($shape:expr) => {
        $shape.most()
    };
    ($shape:expr, $most:expr) => {
        $most
    };
}
pub(crate) use most;

macro_rules! required {
    ($record:ty, $field:ident) => {
        $crate::records::fields::is_needed(|record: &$record| &record.$field)
    };
    ($record:ty, $field:ident, required $way_out:literal) => {
        true
    };
    ($record:ty, $field:ident, or $default:expr) => {
        false
    };
    ($record:ty, $field:ident, computed $computed:expr) => {
        false
    };
}
pub(crate) use required;

/// Ids say what a record is and whose; required fields make it a record.
macro_rules! vital {
    ($shape:expr; $required:expr) => {
        $required || matches!($shape, $crate::records::fields::Shape::Id)
    };
    ($shape:expr; $required:expr; $vital:literal) => {
        true
    };
}
pub(crate) use vital;

macro_rules! is_some {
    () => {
        false
    };
    ($there:ident) => {
        true
    };
}
pub(crate) use is_some;

/// Reads a field. A missing field becomes its type's value for that, a default, or a problem.
macro_rules! read {
    ($of:expr, $reader:ident, $field:expr) => {
        $crate::records::fields::read_or_missing($of, $field, $reader, "add it")
    };
    ($of:expr, $reader:ident, $field:expr, required $way_out:literal) => {
        $crate::records::fields::read_required($of, $field, $reader, $way_out)
    };
    ($of:expr, $reader:ident, $field:expr, or $default:expr) => {
        $crate::records::fields::read_field($of, $field, $reader)
    };
    ($of:expr, $reader:ident, $field:expr, computed $computed:expr) => {
        $reader.skip($field)
    };
}
pub(crate) use read;

/// Reads a field; the function fixes its type to that of the record's field.
pub(crate) fn read_field<S, T: FieldValue, R: FieldReader>(
    _: fn(&S) -> &T,
    field: &'static Field,
    reader: &mut R,
) -> Read<T> {
    T::read(field, reader)
}

/// Reads a required field.
pub(crate) fn read_required<S, T: FieldValue, R: FieldReader>(
    of: fn(&S) -> &T,
    field: &'static Field,
    reader: &mut R,
    way_out: &'static str,
) -> Read<T> {
    match read_field(of, field, reader) {
        Read::Missing => {
            reader.missing(field, way_out);
            Read::Refused
        }
        found => found,
    }
}

/// Reads a field that may be missing if its type has a value for that.
pub(crate) fn read_or_missing<S, T: FieldValue, R: FieldReader>(
    of: fn(&S) -> &T,
    field: &'static Field,
    reader: &mut R,
    way_out: &'static str,
) -> Read<T> {
    match (read_field(of, field, reader), T::MISSING) {
        (Read::Missing, Some(value)) => Read::Value(value()),
        (Read::Missing, None) => {
            reader.missing(field, way_out);
            Read::Refused
        }
        (found, _) => found,
    }
}

macro_rules! unwrap {
    ($field:ident) => {
        match $field {
            $crate::records::fields::Read::Value(value) => value,
            _ => return None,
        }
    };
    ($field:ident, $default:expr) => {
        $crate::records::fields::or_else($field, || $default)?
    };
}
pub(crate) use unwrap;

/// The value of a field that has a default.
pub(crate) trait OrElse<T> {
    fn or_else(self, default: impl FnOnce() -> T) -> Option<T>;
}

impl<T> OrElse<T> for Read<T> {
    fn or_else(self, default: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing => Some(default()),
            Self::Refused => None,
        }
    }
}

/// A computed field was skipped.
impl<T> OrElse<T> for () {
    fn or_else(self, default: impl FnOnce() -> T) -> Option<T> {
        Some(default())
    }
}

pub(crate) fn or_else<T>(found: impl OrElse<T>, default: impl FnOnce() -> T) -> Option<T> {
    found.or_else(default)
}

/// Changes of a record whose fields are listed.
pub trait Patch {
    /// The record.
    type Record: Fields;

    /// The fields that the patch can change.
    const FIELDS: &'static [&'static Field];

    /// Passes each of these fields to a writer, in the order of the list.
    ///
    /// # Errors
    /// The writer's first error.
    fn write<W: PatchWriter>(&self, writer: &mut W) -> Result<()>;

    /// Takes each of these fields from a reader, in the order of the list. Returns `None` if the
    /// reader has noted a problem.
    fn read<R: PatchReader>(reader: &mut R) -> Option<Self>
    where
        Self: Sized;

    /// Applies the changes to a record in memory.
    fn apply_to(self, record: &mut Self::Record);
}

/// Provides the fields of a patch, and collects their problems.
pub trait PatchReader {
    /// The next field: missing if it is to be kept, no value if it is to be cleared.
    fn change<T: FieldValue>(&mut self, field: &'static Field) -> Read<Option<T>>;

    /// Notes that a field was to be cleared that always has a value.
    fn never_empty(&mut self, field: &'static Field);
}

/// Receives the fields of a patch.
pub trait PatchWriter {
    /// Receives the change of a field.
    ///
    /// # Errors
    /// The reason why it cannot be written.
    fn change<T: FieldValue>(&mut self, field: &'static Field, change: Change<&T>) -> Result<()>;
}

/// The type of a patch's field.
pub(crate) trait PatchField<T> {
    fn write<W: PatchWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()>;
    fn read<R: PatchReader>(field: &'static Field, reader: &mut R) -> Read<Self>
    where
        Self: Sized;
    fn apply_to(self, value: &mut T);
}

/// A change of a field that always has a value.
impl<T: FieldValue> PatchField<T> for Option<T> {
    fn write<W: PatchWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
        let change = self.as_ref().map_or(Change::Keep, Change::Set);
        writer.change(field, change)
    }

    fn read<R: PatchReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
        match reader.change(field) {
            Read::Value(Some(value)) => Read::Value(Some(value)),
            Read::Value(None) => {
                reader.never_empty(field);
                Read::Refused
            }
            Read::Missing => Read::Value(None),
            Read::Refused => Read::Refused,
        }
    }

    fn apply_to(self, value: &mut T) {
        if let Some(new) = self {
            *value = new;
        }
    }
}

/// A change of an optional field.
impl<T> PatchField<Option<T>> for Change<T>
where
    T: FieldValue,
{
    fn write<W: PatchWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
        let change = match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(value),
        };
        writer.change(field, change)
    }

    fn read<R: PatchReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
        match reader.change(field) {
            Read::Value(Some(value)) => Read::Value(Self::Set(value)),
            Read::Value(None) => Read::Value(Self::Clear),
            Read::Missing => Read::Value(Self::Keep),
            Read::Refused => Read::Refused,
        }
    }

    fn apply_to(self, value: &mut Option<T>) {
        self.apply(value);
    }
}

/// The listed field with this column.
#[expect(
    clippy::panic,
    reason = "evaluated when the crate is compiled, never when it runs"
)]
pub(crate) const fn field_of(fields: &'static [Field], column: &str) -> &'static Field {
    let mut index = 0;
    while index < fields.len() {
        if let Some(named) = fields[index].column
            && equal(named.as_bytes(), column.as_bytes())
        {
            return &fields[index];
        }
        index += 1;
    }
    panic!("the patch names a field that its record does not list")
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    if a.len() != b.len() {
        return false;
    }
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Lists the fields that a patch changes. `beside` lists fields of the patch that are not changes.
macro_rules! patch {
    ($patch:ty, $record:ty $(, beside: [$($beside:ident),+])?; $($field:ident,)+) => {
        impl $crate::records::fields::Patch for $patch {
            type Record = $record;
            const FIELDS: &'static [&'static $crate::records::fields::Field] = &[$(
                $crate::records::fields::field_of(
                    <$record as $crate::records::fields::Fields>::FIELDS,
                    stringify!($field),
                ),
            )+];

            fn write<W: $crate::records::fields::PatchWriter>(
                &self,
                writer: &mut W,
            ) -> $crate::Result<()> {
                let Self { $($field,)+ $($($beside: _,)+)? } = self;
                let mut index = 0;
                $(
                    $crate::records::fields::patched(
                        |record: &mut $record| &mut record.$field,
                        $field,
                        <Self as $crate::records::fields::Patch>::FIELDS[index],
                        writer,
                    )?;
                    index += 1;
                )+
                let _ = index;
                Ok(())
            }

            fn read<R: $crate::records::fields::PatchReader>(reader: &mut R) -> Option<Self> {
                $($(
                    static BESIDE: $crate::records::fields::Field =
                        $crate::records::fields::Field {
                            name: stringify!($beside),
                            column: None,
                            shape: $crate::records::fields::Shape::Moment,
                            most: $crate::records::fields::Shape::Moment.most(),
                            vital: false,
                    required: false,
                        };
                )+)?
                let mut index = 0;
                $(
                    let $field = $crate::records::fields::read_patched(
                        |patch: &$patch| &patch.$field,
                        |record: &mut $record| &mut record.$field,
                        <Self as $crate::records::fields::Patch>::FIELDS[index],
                        reader,
                    );
                    index += 1;
                )+
                let _ = index;
                $($(
                    let $beside = $crate::records::fields::PatchField::read(&BESIDE, reader);
                )+)?
                Some(Self {
                    $($field: $crate::records::fields::unwrap!($field),)+
                    $($($beside: $crate::records::fields::unwrap!($beside),)+)?
                })
            }

            fn apply_to(self, record: &mut $record) {
                $($crate::records::fields::PatchField::apply_to(self.$field, &mut record.$field);)+
            }
        }
    };
}
pub(crate) use patch;

/// Writes a field of a patch; the function fixes its type to that of the record's field.
pub(crate) fn patched<R, T, W: PatchWriter>(
    _: fn(&mut R) -> &mut T,
    change: &impl PatchField<T>,
    field: &'static Field,
    writer: &mut W,
) -> Result<()> {
    change.write(field, writer)
}

/// Reads a field of a patch; the functions fix the types of the patch's and of the record's field.
pub(crate) fn read_patched<P, R, C: PatchField<T>, T, I: PatchReader>(
    _: fn(&P) -> &C,
    _: fn(&mut R) -> &mut T,
    field: &'static Field,
    reader: &mut I,
) -> Read<C> {
    C::read(field, reader)
}

#[cfg(test)]
#[cfg(feature = "stores")]
mod tests;
