//! The forms of ids in `uuid` columns.

use authorstack_core::{Error, Id, Result};
use uuid::Uuid;

/// The form of a 24-digit id in a `uuid` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdForm {
    /// AuthorStack's own form, [`Id::to_uuid`].
    #[default]
    Embedded,
    /// Eight zeros before the digits.
    PaddedLeft,
    /// Eight zeros after the digits.
    PaddedRight,
}

impl IdForm {
    /// The form's name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::PaddedLeft => "padded-left",
            Self::PaddedRight => "padded-right",
        }
    }

    /// The form in the words of a message.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Embedded => "in AuthorStack's form",
            Self::PaddedLeft => "padded with zeros in front",
            Self::PaddedRight => "padded with zeros behind",
        }
    }

    /// The id as a UUID of this form.
    #[must_use]
    pub fn write<T>(self, id: Id<T>) -> Uuid {
        let digits = id.to_bytes();
        let mut bytes = [0; 16];
        match self {
            Self::Embedded => return id.to_uuid(),
            Self::PaddedLeft => bytes[4..].copy_from_slice(&digits),
            Self::PaddedRight => bytes[..12].copy_from_slice(&digits),
        }
        Uuid::from_bytes(bytes)
    }

    /// The id in a UUID of this form.
    ///
    /// # Errors
    /// Invalid for `id` if the UUID has another form.
    pub fn read<T>(self, uuid: Uuid) -> Result<Id<T>> {
        let bytes = uuid.as_bytes();
        let mut digits = [0; 12];
        match self {
            Self::Embedded => return Id::from_uuid(uuid),
            Self::PaddedLeft => digits.copy_from_slice(&bytes[4..]),
            Self::PaddedRight => digits.copy_from_slice(&bytes[..12]),
        }
        let id = Id::from_bytes(digits);
        if self.write(id) == uuid {
            Ok(id)
        } else {
            let reason =
                format!("the UUID {uuid} is not an id padded with zeros in the chosen way");
            Err(Error::invalid("id", reason))
        }
    }

    /// SQL for the id's 24 digits, from a `uuid` column of this form.
    #[must_use]
    pub fn digits(self, column: &str) -> String {
        match self {
            Self::Embedded => format!(
                "(substr({column}::text, 1, 8) || substr({column}::text, 10, 4) || \
                 substr({column}::text, 16, 3) || substr({column}::text, 21, 3) || \
                 substr({column}::text, 25, 6))"
            ),
            Self::PaddedLeft => format!("substr(replace({column}::text, '-', ''), 9)"),
            Self::PaddedRight => format!("substr(replace({column}::text, '-', ''), 1, 24)"),
        }
    }

    /// SQL for whether a `uuid` column has this form.
    #[must_use]
    pub fn holds(self, column: &str) -> String {
        let bytes = format!("uuid_send({column})");
        match self {
            Self::Embedded => format!(
                "get_byte({bytes}, 6) >> 4 = 8 and get_byte({bytes}, 8) >> 4 = 8 \
                 and substr({bytes}, 14) = '\\x000000'::bytea"
            ),
            Self::PaddedLeft => format!("substr({bytes}, 1, 4) = '\\x00000000'::bytea"),
            Self::PaddedRight => format!("substr({bytes}, 13) = '\\x00000000'::bytea"),
        }
    }

    /// SQL that converts a `uuid` column of this form into AuthorStack's.
    #[must_use]
    pub fn embedded(self, column: &str) -> String {
        let part = |from: u8, length: u8| format!("substr({column}::text, {from}, {length})");
        let parts = match self {
            Self::Embedded => return column.to_owned(),
            Self::PaddedLeft => [
                [part(10, 4), part(15, 4)].join(" || "),
                part(20, 4),
                part(25, 3),
                part(28, 3),
                part(31, 6),
            ],
            Self::PaddedRight => [
                part(1, 8),
                part(10, 4),
                part(15, 3),
                [part(18, 1), part(20, 2)].join(" || "),
                [part(22, 2), part(25, 4)].join(" || "),
            ],
        };
        let [seconds, machine, first, second, last] = parts;
        format!(
            "({seconds} || {machine} || '8' || {first} || '8' || {second} || {last} || '000000')::uuid"
        )
    }
}
