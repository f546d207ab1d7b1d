//! What the generator may make.

/// What the generator may make.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of dirt")]
pub struct Can {
    /// Columns of other types.
    pub altered: bool,
    /// Columns that the schema does not know.
    pub added: bool,
    /// Tables without a key.
    pub keyless: bool,
    /// NULL where a value is needed.
    pub nulls: bool,
    /// Amounts with more digits than the target holds.
    pub exact: bool,
    /// Spellings that are read leniently.
    pub lenient: bool,
    /// Tables without their unique columns.
    pub loose: bool,
    /// Breakdowns whose sums lack a part, or have more digits than a decimal holds.
    pub sums: bool,
}

impl Can {
    /// Everything.
    pub const ALL: Self = Self {
        altered: true,
        added: true,
        keyless: true,
        nulls: true,
        exact: true,
        lenient: true,
        loose: true,
        sums: true,
    };

    /// The schema's own tables.
    pub const PLAIN: Self = Self {
        altered: false,
        added: false,
        keyless: false,
        nulls: false,
        exact: false,
        lenient: false,
        loose: false,
        sums: false,
    };
}
