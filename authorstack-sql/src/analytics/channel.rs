//! The platform and the market of a sale in SQL, as `SalesChannel` reads them.

use super::dialect::Dialect;

/// Texts with a market: a name without outer spaces, a colon, a market.
const WITH_MARKET: &str = "'^[^:]*[^:\\s\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]\
                           :[A-Za-z0-9._-]{1,40}$'";

impl Dialect {
    /// A platform or a channel in small letters. Only ASCII letters are changed, as in core.
    pub(super) fn folded(self, column: &str) -> String {
        if self.any_case {
            format!("lower({column} collate \"C\")")
        } else {
            column.to_owned()
        }
    }

    /// The currency of a row, in capitals; an old app may not have written one.
    pub(super) fn currency(self, column: &str) -> String {
        if self.any_case {
            format!("upper(btrim(coalesce({column}, 'USD')) collate \"C\")")
        } else {
            column.to_owned()
        }
    }

    /// The platform of a channel.
    pub(super) fn platform_of(self, column: &str) -> String {
        let (folded, part) = (self.folded(column), part(column, 1));
        format!(
            "case when {} then {} else {folded} end",
            has_market(column),
            self.folded(&part)
        )
    }

    /// The market of a channel; null if it has none.
    pub(super) fn market_of(self, column: &str) -> String {
        let part = part(column, 2);
        format!(
            "case when {} then {} end",
            has_market(column),
            self.folded(&part)
        )
    }
}

/// The regular expression costs more than the search for a colon.
fn has_market(column: &str) -> String {
    format!("strpos({column}, ':') > 0 and {column} ~ {WITH_MARKET}")
}

fn part(column: &str, number: u8) -> String {
    format!("split_part({column}, ':', {number})")
}
