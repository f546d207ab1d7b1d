//! What a Rust file says about other files, read from its text: the paths that it writes, and the
//! names that it takes from elsewhere. Macros are not expanded, and tests are left out.

use std::collections::{BTreeMap, BTreeSet};

/// A path from the crate's root, such as `["layers", "Named"]`.
pub(super) type ModulePath = Vec<String>;

/// A piece of source text; comments and spaces are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    /// A text or a character.
    Literal,
    Mark(char),
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The paths that it depends on. A re-export is not among them.
    pub(super) paths: BTreeSet<ModulePath>,
    /// Names that `use` takes from elsewhere, and what they stand for.
    pub(super) names: BTreeMap<String, ModulePath>,
    /// Modules from which `use …::*` takes every name.
    pub(super) globs: Vec<ModulePath>,
    /// Names that are defined here.
    pub(super) defined: BTreeSet<String>,
}

/// Reads a file that is the module `module`.
pub(super) fn read(text: &str, module: &[String]) -> Source {
    let mut reader = Reader {
        tokens: tokens(text),
        at: 0,
        module: module.to_vec(),
        source: Source::default(),
    };
    reader.read();
    reader.source
}

/// Whether a path gives its last name to the file, by `use` or `pub use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    No,
    Private,
    Public,
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    /// The module that the current token is in, inline modules included.
    module: ModulePath,
    source: Source,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let mut depth = 0;
        let mut inline = Vec::new();
        while let Some(token) = self.token(0) {
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => {
                    depth -= 1;
                    if inline.pop_if(|outer| *outer == depth).is_some() {
                        self.module.pop();
                    }
                }
                Token::Mark('#') if self.is_test() => {
                    self.skip_item();
                    continue;
                }
                Token::Word("mod") if self.token(2) == Some(Token::Mark('{')) => {
                    self.module.extend(self.word(1).map(str::to_owned));
                    inline.push(depth);
                }
                Token::Word("use") if self.word(1).is_some() => {
                    let taken = match self.before() {
                        Some(Token::Word("pub") | Token::Mark(')')) => Taken::Public,
                        _ => Taken::Private,
                    };
                    self.at += 1;
                    self.tree(&mut Vec::new(), taken);
                    continue;
                }
                // A macro's `$crate` is a path of the macro's user.
                Token::Word("crate" | "super" | "self")
                    if self.colons(1) && !matches!(self.before(), Some(Token::Mark(':' | '$'))) =>
                {
                    self.tree(&mut Vec::new(), Taken::No);
                    continue;
                }
                Token::Word(
                    "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union",
                ) => self.source.defined.extend(self.word(1).map(str::to_owned)),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn before(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at.checked_sub(1)?).copied()
    }

    fn token(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn word(&self, ahead: usize) -> Option<&'a str> {
        match self.token(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn colons(&self, ahead: usize) -> bool {
        let colon = Some(Token::Mark(':'));
        self.token(ahead) == colon && self.token(ahead + 1) == colon
    }

    /// Whether `#[cfg(test)]` begins here.
    fn is_test(&self) -> bool {
        let (cfg, test) = (Token::Word("cfg"), Token::Word("test"));
        let rest = &self.tokens[self.at + 1..];
        rest.starts_with(&[Token::Mark('['), cfg, Token::Mark('('), test])
    }

    /// Goes on after the item that begins here.
    fn skip_item(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.token(0) {
            self.at += 1;
            match token {
                Token::Mark('{' | '(' | '[') => depth += 1,
                Token::Mark('}' | ')' | ']') => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(token, Token::Mark(';' | '}')) {
                return;
            }
        }
    }

    /// Reads a path, or what a `use` has behind `prefix`: a path, or several in braces.
    fn tree(&mut self, prefix: &mut Vec<&'a str>, taken: Taken) {
        let length = prefix.len();
        let mut open = true;
        while open && let Some(word) = self.word(0) {
            prefix.push(word);
            open = self.colons(1);
            self.at += if open { 3 } else { 1 };
        }
        match self.token(0) {
            Some(Token::Mark('{')) if open => {
                while let Some(Token::Mark('{' | ',')) = self.token(0) {
                    self.at += 1;
                    // The last comma has nothing behind it.
                    if self.token(0) != Some(Token::Mark('}')) {
                        self.tree(prefix, taken);
                    }
                }
                self.at += 1;
            }
            Some(Token::Mark('*')) if open => {
                self.at += 1;
                let path = self.note(prefix, taken);
                self.source.globs.push(path);
            }
            _ => {
                if prefix.last() == Some(&"self") && prefix.len() > 1 {
                    prefix.pop();
                }
                let mut name = prefix.last().copied();
                if self.word(0) == Some("as") {
                    name = self.word(1);
                    self.at += 2;
                }
                let path = self.note(prefix, taken);
                if let (Some(name), Taken::Private | Taken::Public) = (name, taken) {
                    self.source.names.insert(name.to_owned(), path);
                }
            }
        }
        prefix.truncate(length);
    }

    /// The path from the crate's root; noted, unless it is a re-export or may be another crate's.
    fn note(&mut self, path: &[&str], taken: Taken) -> ModulePath {
        let mut absolute = self.module.clone();
        for word in path {
            match *word {
                "crate" => absolute.clear(),
                "super" => drop(absolute.pop()),
                "self" => {}
                word => absolute.push(word.to_owned()),
            }
        }
        let local = matches!(path.first(), Some(&("crate" | "super" | "self")));
        if local && taken != Taken::Public {
            self.source.paths.insert(absolute.clone());
        }
        absolute
    }
}

/// Cuts a source text into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = literal(rest) {
            tokens.push(Token::Literal);
            length
        } else if is_word(first) {
            let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Mark(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_word(next: char) -> bool {
    next.is_alphanumeric() || next == '_'
}

/// The length of the text or character that begins here, if one does.
fn literal(rest: &str) -> Option<usize> {
    let prefix = rest.find(|next| !matches!(next, 'b' | 'c' | 'r'))?;
    let body = &rest[prefix..];
    if rest[..prefix].ends_with('r') {
        let hashes = body.find(|next| next != '#')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = body[hashes..].strip_prefix('"')?;
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + length);
    }
    let quote = body
        .chars()
        .next()
        .filter(|next| matches!(next, '"' | '\''))?;
    let mut escaped = false;
    for (at, next) in body.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            next if next == quote => return Some(prefix + at + 1),
            // A lifetime: a character is one character, or an escape.
            _ if quote == '\'' && at > 1 && !body[1..].starts_with('\\') => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &Source) -> Vec<String> {
        source.paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn trees_of_use_are_read() {
        let text = "use crate::{a::{self, B}, c::*, d as e};\nuse std::fmt;\npub use super::x::Y;";
        let source = read(text, &["m".to_owned(), "n".to_owned()]);
        assert_eq!(paths(&source), ["a", "a::B", "c", "d"]);
        assert_eq!(source.names["e"], ["d"]);
        assert_eq!(source.names["a"], ["a"]);
        assert_eq!(source.names["Y"], ["m", "x", "Y"]);
        assert_eq!(source.globs, [["c"]]);
    }

    #[test]
    fn paths_in_code_are_read_and_others_are_not() {
        let text = r##"
            /* crate::no */ // crate::no
            pub(crate) fn f<'a>(text: &'a str) -> impl Sized + use<'a> {
                let _ = (b'\'', '"', "\"crate::no", r#"" crate::no"#, '\u{e9}', $crate::no);
                crate::yes::<u8>(super::also::Type)
            }
        "##;
        let source = read(text, &["m".to_owned()]);
        assert_eq!(paths(&source), ["also::Type", "yes"]);
        assert!(source.defined.contains("f"));
    }
}
