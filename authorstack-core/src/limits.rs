//! How large the fields of records may be, on every backend. The checks of the SDK and the checks of
//! the database refuse what is larger; nothing is cut off.
//!
//! Sizes are in bytes of UTF-8; those of names are in characters. JSON counts as PostgreSQL writes it, with a space after each comma
//! and each colon of objects.
//!
//! | what | limit |
//! |---|---|
//! | names, titles, subtitles, authors, genres of competitors, categories, addresses, other texts | [`TEXT`] |
//! | a book's and a task's description, the content of posts and comments, a sync log's message | [`LONG_TEXT`] |
//! | lists: genres, platforms, tasks, attachments, connected platforms | [`ENTRIES`] |
//! | each text of a list | [`ENTRY`] |
//! | a part or a list of parts as JSON: preferences, connected platforms, metadata, tasks, attachments | [`JSON`] |
//! | unknown fields (`extra`), an insight's content, a forecast's factors | [`DOCUMENT`] |
//! | levels of any JSON, and each of its numbers | [`LEVELS`], the largest double |
//! | platforms, providers, kinds of attachments and insights | 50 characters |
//! | ids of tasks and comments | 200 bytes |
//! | e-mail addresses, ids of accounts | 255 bytes |
//! | prices | 15 significant digits |
//! | moments | the years -4712 to 261999 ([`FIRST_YEAR`], [`LAST_YEAR`]) |
//! | days | the years 1 to 9999 ([`Days::ALL`](crate::Days::ALL)) |
//!
//! The breakdowns of a roll-up have one entry for each book and platform that sold. Likes, comments
//! and prices are records of their own: there may be any number of them.

/// The longest text that is no [`LONG_TEXT`]: 4,000 bytes, at least 1,000 characters.
pub const TEXT: usize = 4_000;
/// The longest description, content or message: 100,000 bytes.
pub const LONG_TEXT: usize = 100_000;
/// The most entries of a list: 1,000.
pub const ENTRIES: usize = 1_000;
/// The longest text in a list: 1,000 bytes.
pub const ENTRY: usize = 1_000;
/// The largest part, or list of parts, as JSON: 1,000,000 bytes.
pub const JSON: usize = 1_000_000;
/// The largest JSON that only the host writes: 16,000,000 bytes.
pub const DOCUMENT: usize = 16_000_000;
/// The most levels of JSON, 100: the value itself is the first one, and what is in a list or an
/// object is one level below it.
pub const LEVELS: usize = 100;
/// The first year of moments (4713 BC).
pub const FIRST_YEAR: i32 = -4_712;
/// The last year of moments.
pub const LAST_YEAR: i32 = 261_999;
