//! Lists of sums as JSON: objects such as `{"bookId": "…", "revenue": "9.50", "units": 3,
//! "pageReads": 0}`.

/// A module for `#[serde(with = …)]`, for lists of sums that each belong to a key.
macro_rules! ranking {
    ($(#[$doc:meta])* $module:ident, $key:ident: $type:ty) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            use crate::Sums;

            #[derive(Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Entry {
                $key: $type,
                #[serde(flatten)]
                sums: Sums,
            }

            pub(crate) fn serialize<S: Serializer>(
                list: &[($type, Sums)],
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(list.iter().map(|(key, sums)| Entry {
                    $key: key.clone(),
                    sums: *sums,
                }))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Vec<($type, Sums)>, D::Error> {
                let list = Vec::<Entry>::deserialize(deserializer)?;
                Ok(list.into_iter().map(|entry| (entry.$key, entry.sums)).collect())
            }
        }
    };
}

ranking! {
    /// Sums of days.
    days, date: chrono::NaiveDate
}
ranking! {
    /// Sums of platforms.
    platforms, platform: crate::Platform
}
ranking! {
    /// Sums of books.
    books, book_id: crate::Id<crate::Book>
}
