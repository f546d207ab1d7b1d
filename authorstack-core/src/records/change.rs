//! Changes of single fields, for updates that leave the other fields alone.

/// What an update does to an optional field.
///
/// ```
/// use authorstack_core::Change;
///
/// let mut subtitle = Some("A tale".to_owned());
/// Change::Keep.apply(&mut subtitle);
/// assert_eq!(subtitle.as_deref(), Some("A tale"));
/// Change::Clear.apply(&mut subtitle);
/// assert_eq!(subtitle, None);
/// Change::Set("A story".to_owned()).apply(&mut subtitle);
/// assert_eq!(subtitle.as_deref(), Some("A story"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Leaves the field as it is.
    #[default]
    Keep,
    /// Empties the field.
    Clear,
    /// Sets the field.
    Set(T),
}

impl<T> Change<T> {
    /// Applies the change to a field in memory.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// The field's new content: `None` keeps it, `Some(None)` empties it.
    #[must_use]
    pub fn as_option(&self) -> Option<Option<&T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<T> From<T> for Change<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}
