//! Text from data, for people: in messages, on terminals, in logs.
//!
//! A record's id, a field's name or a server's answer may hold anything, escape sequences of a
//! terminal included. What people read goes through [`shown`], which escapes and shortens it.

use std::fmt::{self, Write as _};

/// The most characters of one value.
const VALUE: usize = 200;

/// A text from data: what a terminal would obey, or people could not see, is escaped
/// (`\n`, `\u{1b}`), and what is longer than 200 characters is cut, with its length.
///
/// ```
/// use authorstack_core::shown;
///
/// assert_eq!(shown("Ada \u{1b}[2J").to_string(), r"Ada \u{1b}[2J");
/// let long = "a".repeat(900_000);
/// assert!(shown(&long).to_string().ends_with("aaa… (900000 characters)"));
/// ```
#[must_use]
pub const fn shown(text: &str) -> Shown<'_> {
    Shown { text, most: VALUE }
}

/// A text in the form for people; [`shown`] makes it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'t> {
    text: &'t str,
    most: usize,
}

impl Shown<'_> {
    /// The same with another limit, in characters: for whole messages.
    #[must_use]
    pub const fn up_to(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = self.most;
        for c in self.text.chars() {
            let needed = match c {
                '\n' | '\r' | '\t' => 2,
                c if is_unseen(c) => c.escape_unicode().len(),
                _ => 1,
            };
            if needed > room {
                let length = self.text.chars().count();
                return write!(f, "… ({length} characters)");
            }
            room -= needed;
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if is_unseen(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether a character is not for people: a control character (C0, DEL, C1), one that changes the
/// direction of what follows, one without width, or no character at all.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{13455}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
        || (c as u32 & 0xfffe) == 0xfffe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_can_see_stays() {
        for text in [
            "",
            "Ada Lovelace",
            "naïve café",
            "日本語のタイトル",
            "שלום",
            "a\\b \"c\"",
            "👩",
        ] {
            assert_eq!(shown(text).to_string(), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, expected) in [
            ("\x1b]0;pwned\x07", r"\u{1b}]0;pwned\u{7}"),
            ("a\u{9b}2Jb", r"a\u{9b}2Jb"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{202e}txt.exe", r"\u{202e}txt.exe"),
            ("\u{2066}a\u{2069}", r"\u{2066}a\u{2069}"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("\u{e0041}", r"\u{e0041}"),
        ] {
            assert_eq!(shown(text).to_string(), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_with_their_length() {
        let exact = "x".repeat(200);
        assert_eq!(shown(&exact).to_string(), exact);
        let cut = shown(&"é".repeat(201)).to_string();
        assert_eq!(cut, format!("{}… (201 characters)", "é".repeat(200)));
        let cut = shown(&"\x1b".repeat(1_000)).to_string();
        assert!(cut.chars().count() < 230, "{cut}");
        assert!(cut.ends_with("… (1000 characters)"), "{cut}");
    }

    proptest! {
        #[test]
        fn nothing_unseen_passes_and_the_length_is_bounded(
            text in prop_oneof![any::<String>(), "[\\x00-\\x20\\x7f-\\x9f\u{200b}-\u{202e}\u{2060}-\u{206f}a]{0,400}"],
        ) {
            let text = shown(&text).to_string();
            prop_assert!(!text.chars().any(is_unseen), "{:?}", text);
            prop_assert!(text.chars().count() <= 200 + "… (1000000 characters)".chars().count());
        }
    }
}
