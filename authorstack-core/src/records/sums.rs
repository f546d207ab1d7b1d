//! Sums of sales.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Summed sales. Sums may be larger than any single amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// The revenue, exact to the cent.
    #[serde(with = "crate::json::decimal")]
    pub revenue: Decimal,
    /// The copies.
    #[serde(default)]
    pub units: i64,
    /// The pages read (KENP).
    #[serde(default, alias = "page_reads")]
    pub page_reads: i64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        // A sum that no column can hold must not stop the others.
        self.revenue = self.revenue.saturating_add(other.revenue);
        self.units = self.units.saturating_add(other.units);
        self.page_reads = self.page_reads.saturating_add(other.page_reads);
    }
}

/// A map from a text to sums, as a table stores it.
pub trait Breakdown: std::fmt::Debug {
    /// Each key with its sums, in the order of the keys.
    fn sums(&self) -> Box<dyn Iterator<Item = (String, Sums)> + '_>;
}

impl<K: std::fmt::Display + std::fmt::Debug> Breakdown for BTreeMap<K, Sums> {
    fn sums(&self) -> Box<dyn Iterator<Item = (String, Sums)> + '_> {
        Box::new(self.iter().map(|(key, sums)| (key.to_string(), *sums)))
    }
}
