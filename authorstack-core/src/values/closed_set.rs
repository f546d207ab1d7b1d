//! Names from closed sets: the schema lists all members.

/// Defines an enum with the schema's texts for its members.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident, $field:literal, $($(#[$member_doc:meta])* $member:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$member_doc])* #[serde(rename = $text)] $member,)+
        }

        impl $name {
            /// Every member, in the schema's order.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The text that the stores hold.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                match text {
                    $($text => Ok(Self::$member),)+
                    _ => Err($crate::Error::invalid(
                        $field,
                        format!(
                            "{} is not one of {}",
                            $crate::values::excerpt(text),
                            [$($text),+].join(", "),
                        ),
                    )),
                }
            }
        }
    };
}
pub(crate) use closed_set;
