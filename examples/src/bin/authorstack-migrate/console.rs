//! The one place where text for people leaves the tool.
//!
//! Ids, names of fields, answers of servers and names of files may hold anything, escape sequences
//! of a terminal included. Every line passes through here, which escapes and shortens it. A value
//! within a line goes through [`shown`] first, so that it leaves room for the rest of the line.
//! Colours are added after that, and only where a terminal has them.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal, Write},
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use authorstack_core::{is_unseen, shown};

/// The most characters of a line.
const LINE: usize = 4_000;
/// Lines are never wrapped to less, however small the window is.
const NARROWEST: usize = 40;

/// What a line means to its reader. It has a colour where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// The title of a section.
    Title,
    /// All is well.
    Good,
    /// Something is to be looked at.
    Warning,
    /// Nothing can go on.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Title => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tone: Tone,
    indent: &'static str,
    text: String,
}

/// A report for people, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page(Vec<Line>);

impl Page {
    /// Adds a line.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.toned(Tone::Plain, text);
    }

    /// Adds a line that has a meaning of its own.
    pub(crate) fn toned(&mut self, tone: Tone, text: impl Display) {
        self.add(tone, "", text);
    }

    fn add(&mut self, tone: Tone, indent: &'static str, text: impl Display) {
        let text = legible(text);
        self.0.push(Line { tone, indent, text });
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
                self.toned(Tone::Title, format_args!("{title}:"));
            }
            self.add(Tone::Plain, "  ", line);
        }
        match lines.count() {
            0 => {}
            more => self.add(Tone::Plain, "  ", format_args!("and {more} more")),
        }
    }

    /// The page for a terminal. What does not fit its width goes on below, indented further than
    /// any line of the tool begins.
    fn written(&self, width: Option<usize>, coloured: bool) -> String {
        let mut page = String::new();
        for Line { tone, indent, text } in &self.0 {
            let style = if coloured { tone.style() } else { Style::new() };
            let below = "      ";
            let lines = match width {
                Some(width) => textwrap::wrap(
                    text,
                    textwrap::Options::new(width.max(NARROWEST))
                        .initial_indent(indent)
                        .subsequent_indent(below),
                ),
                None => vec![format!("{indent}{text}").into()],
            };
            for line in lines {
                // Writing into a text cannot fail.
                let _ = writeln!(page, "{style}{line}{style:#}");
            }
        }
        page
    }

    /// Prints the page on stdout: within the width of a terminal, and with its colours.
    pub(crate) fn print(&self) -> io::Result<()> {
        let stdout = io::stdout();
        let width = if stdout.is_terminal() {
            terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
        } else {
            None
        };
        let coloured = has_colours(&stdout);
        let text = self.written(width, coloured);
        stdout.lock().write_all(text.as_bytes())
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(None, false))
    }
}

/// Whether a stream has colours: a terminal that knows them has, unless `NO_COLOR` is set;
/// `CLICOLOR_FORCE` gives them to any stream.
fn has_colours(stream: &impl anstream::stream::RawStream) -> bool {
    match AutoStream::choice(stream) {
        ColorChoice::Never => false,
        ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => true,
    }
}

fn legible(line: impl Display) -> String {
    shown(&line.to_string()).up_to(LINE).to_string()
}

/// Prints a line on stderr.
pub(crate) fn say(line: impl Display) {
    toned(Tone::Plain, line);
}

/// Prints a line that has a meaning of its own on stderr.
pub(crate) fn toned(tone: Tone, line: impl Display) {
    let style = if has_colours(&io::stderr()) {
        tone.style()
    } else {
        Style::new()
    };
    eprintln!("{style}{}{style:#}", legible(line));
}

/// A text of several lines.
pub(crate) fn legible_lines(text: &str) -> String {
    text.lines().map(|line| legible(line) + "\n").collect()
}

/// Whether an argument can be printed as it is.
pub(crate) fn is_legible(argument: &str) -> bool {
    argument.chars().count() <= LINE && !argument.chars().any(is_unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_to_a_width_and_has_colours_only_if_asked() {
        let mut page = Page::default();
        page.toned(Tone::Bad, "No run can start");
        let long = format!("{} {}", "word ".repeat(40), "x".repeat(300));
        page.section("Notes", [long.as_str(), "\u{1b}[2J"]);
        let plain = page.written(Some(60), false);
        for line in plain.lines() {
            assert!(textwrap::core::display_width(line) <= 60, "{line}");
        }
        assert!(plain.contains("\n  word word") && plain.contains("\n      word word"));
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        assert!(plain.contains(r"\u{1b}[2J"), "{plain}");
        let coloured = page.written(None, true);
        assert!(
            coloured.starts_with("\u{1b}[1m\u{1b}[31mNo run"),
            "{coloured:?}"
        );
        // The only sequences are those of the tool's own styles.
        assert!(!coloured.contains("\u{1b}[2J"), "{coloured:?}");
        assert_eq!(page.to_string().lines().count(), 4);
    }
}
