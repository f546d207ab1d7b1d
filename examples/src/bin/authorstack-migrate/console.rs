//! The one place where text for people leaves the tool.
//!
//! Ids, names of fields, answers of servers and names of files may hold anything, escape sequences
//! of a terminal included. Every line passes through here, which escapes and shortens it. A value
//! within a line goes through [`shown`] first, so that it leaves room for the rest of the line.

use std::fmt::{self, Display};

use authorstack_core::{is_unseen, shown};

/// The most characters of a line.
const LINE: usize = 4_000;

/// A report for people, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page(String);

impl Page {
    /// Adds a line.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.0.push_str(&legible(text));
        self.0.push('\n');
    }

    /// Adds a title with its lines below, if there are any.
    pub(crate) fn section<L: Display>(
        &mut self,
        title: impl Display,
        lines: impl IntoIterator<Item = L>,
    ) {
        /// The most lines of a section.
        const MOST: usize = 100;
        let mut lines = lines.into_iter();
        for (index, line) in lines.by_ref().take(MOST).enumerate() {
            if index == 0 {
                self.line(format_args!("{title}:"));
            }
            self.line(format_args!("  {line}"));
        }
        match lines.count() {
            0 => {}
            more => self.line(format_args!("  and {more} more")),
        }
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn legible(line: impl Display) -> String {
    shown(&line.to_string()).up_to(LINE).to_string()
}

/// Prints a line on stderr.
pub(crate) fn say(line: impl Display) {
    eprintln!("{}", legible(line));
}

/// A text of several lines.
pub(crate) fn legible_lines(text: &str) -> String {
    text.lines().map(|line| legible(line) + "\n").collect()
}

/// Whether an argument can be printed as it is.
pub(crate) fn is_legible(argument: &str) -> bool {
    argument.chars().count() <= LINE && !argument.chars().any(is_unseen)
}
