//! The documents: each record of the app as one of many clients may have stored it.

use std::collections::BTreeMap;

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use serde_json::{Map, Value, json};

use super::{
    maker::{Field, Maker, NOBODY, Part, as_text, decimal, doubtful, iso},
    oracle::{Candidate, Held, Means, Row, keep_aside, uuid},
};

/// A document.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) kind: Kind,
    id: Bson,
    fields: Vec<Field>,
    unknown: Vec<(&'static str, Bson, Value)>,
    pieces: Vec<Piece>,
}

/// A record within a document: a like, a comment, a price.
#[derive(Debug, Clone)]
struct Piece {
    kind: Kind,
    array: &'static str,
    stored: Bson,
    /// What follows the document's key in its own.
    key: String,
    order: Vec<u8>,
    row: Row,
    doubtful: Vec<String>,
    fatal: Vec<String>,
    refers: Vec<(&'static str, Kind, String)>,
    /// Whether it is the same as another one, and no record.
    again: bool,
}

/// The documents, by collection, and what the analytics refer to.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) items: Vec<Item>,
    pub(super) users: Vec<ObjectId>,
    pub(super) books: Vec<(ObjectId, ObjectId)>,
}

impl Item {
    fn of(maker: &mut Maker, kind: Kind) -> (Self, ObjectId) {
        let id = maker.id();
        let unknown = maker.unknown_fields();
        let item = Self {
            kind,
            id: id.into(),
            fields: Vec::new(),
            unknown,
            pieces: Vec::new(),
        };
        (item, id)
    }

    fn with(
        &mut self,
        name: &'static str,
        column: &'static str,
        (stored, means): (Option<Bson>, Means),
    ) {
        self.fields.push(Field {
            name,
            column,
            stored,
            means,
        });
    }

    pub(super) fn field(&mut self, name: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.name == name)
    }

    /// Whether nothing about it is doubtful.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |means: &Means| means.doubtful.is_empty() && means.fatal.is_empty();
        matches!(self.id, Bson::ObjectId(_)) && self.fields.iter().all(|field| sound(&field.means))
    }

    /// The document as it is stored.
    pub(super) fn document(&self) -> Document {
        let mut document = doc! {"_id": self.id.clone()};
        for field in &self.fields {
            if let Some(stored) = &field.stored {
                document.insert(field.name, stored.clone());
            }
        }
        for (name, stored, _) in &self.unknown {
            document.insert(*name, stored.clone());
        }
        let mut arrays: BTreeMap<&str, Vec<Bson>> = BTreeMap::new();
        for piece in &self.pieces {
            arrays
                .entry(piece.array)
                .or_default()
                .push(piece.stored.clone());
        }
        for (array, pieces) in arrays {
            document.insert(array, pieces);
        }
        document
    }

    /// The records that it holds.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let (key, id) = match &self.id {
            Bson::ObjectId(id) => (id.to_hex(), Some(*id)),
            other => (other.clone().into_canonical_extjson().to_string(), None),
        };
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut candidates = Vec::new();
        for piece in &self.pieces {
            let place = places.entry(piece.array).or_default();
            let positional = format!("{key}.{}.{place}", piece.array);
            *place += 1;
            if piece.again {
                continue;
            }
            let mut candidate = Candidate {
                kind: piece.kind,
                key: format!("{key}.{}", piece.key),
                unread_key: positional,
                order: [key.as_bytes(), b".", &piece.order].concat(),
                row: piece.row.clone(),
                doubtful: piece.doubtful.clone(),
                fatal: piece.fatal.clone(),
                refers: Vec::new(),
                unique: Vec::new(),
                held: None,
            };
            let (field, column) = match piece.kind {
                Kind::CompetitorPrices => ("competitorId", "competitor_id"),
                _ => ("postId", "post_id"),
            };
            if let Some(id) = id {
                let id = uuid(&id.to_hex());
                candidate.row.insert(column.to_owned(), id.clone().into());
                candidate.refers.push((field, self.kind, id));
            } else {
                candidate.fatal.push(field.to_owned());
            }
            candidate.refers.extend(piece.refers.iter().cloned());
            candidates.push(candidate);
        }
        candidates.push(self.candidate(key, id));
        candidates
    }

    fn candidate(&self, key: String, id: Option<ObjectId>) -> Candidate {
        let mut row = Row::new();
        let mut extra: Map<String, Value> = Map::new();
        let (mut doubtful, mut fatal) = (Vec::new(), Vec::new());
        if let Some(id) = id {
            row.insert("id".to_owned(), uuid(&id.to_hex()).into());
        } else {
            fatal.push("_id".to_owned());
        }
        for Field {
            name,
            column,
            means,
            ..
        } in &self.fields
        {
            row.insert((*column).to_owned(), means.value.clone());
            if let Some(original) = &means.aside {
                keep_aside(&mut extra, name, original.clone());
            }
            doubtful.extend(means.doubtful.iter().cloned());
            fatal.extend(means.fatal.iter().cloned());
        }
        for (name, _, value) in &self.unknown {
            extra.insert((*name).to_owned(), value.clone());
        }
        row.insert("extra".to_owned(), extra.into());
        let mut candidate = Candidate {
            kind: self.kind,
            unread_key: key.clone(),
            order: key.clone().into_bytes(),
            key,
            row,
            doubtful,
            fatal,
            refers: Vec::new(),
            unique: Vec::new(),
            held: None,
        };
        defaults(&mut candidate.row, id);
        self.rules(&mut candidate);
        candidate
    }

    /// What depends on other records, and on several fields.
    fn rules(&self, candidate: &mut Candidate) {
        let text = |column: &str| {
            let value = candidate.row.get(column).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let number = |column: &str| {
            let value = candidate.row.get(column).and_then(Value::as_i64);
            value.unwrap_or_default()
        };
        let refers: &[(&'static str, &str, Kind)] = match self.kind {
            Kind::Books | Kind::Competitors => &[("userId", "user_id", Kind::Users)],
            Kind::Checklists | Kind::MarketplaceBoosts => &[
                ("bookId", "book_id", Kind::Books),
                ("userId", "user_id", Kind::Users),
            ],
            Kind::Follows => &[
                ("followerId", "follower_id", Kind::Users),
                ("authorId", "author_id", Kind::Users),
            ],
            Kind::CommunityPosts => &[("authorId", "author_id", Kind::Users)],
            _ => &[],
        };
        let refers: Vec<_> = refers
            .iter()
            .map(|(field, column, kind)| (*field, *kind, text(column)))
            .collect();
        match self.kind {
            Kind::Users => {
                candidate.unique = vec![("authId", text("auth_id")), ("email", text("email"))];
            }
            Kind::Competitors => {
                let pair = format!("{} {}", text("user_id"), text("asin"));
                candidate.unique = vec![("asin", pair)];
            }
            Kind::Follows => {
                let (follower, author) = (text("follower_id"), text("author_id"));
                if candidate.fatal.is_empty() && follower == author {
                    candidate.fatal.push("authorId".to_owned());
                }
                candidate.unique = vec![("authorId", format!("{follower} {author}"))];
            }
            Kind::MarketplaceBoosts => {
                let held = Held {
                    position: number("position"),
                    from: number("started_at"),
                    until: number("expires_at"),
                };
                if candidate.fatal.is_empty() && held.until < held.from {
                    candidate.fatal.push("expiresAt".to_owned());
                }
                let active = candidate.row.get("active") == Some(&Value::Bool(true));
                candidate.held = active.then_some(held);
            }
            _ => {}
        }
        candidate.refers = refers;
    }
}

impl Maker {
    fn unknown_fields(&mut self) -> Vec<(&'static str, Bson, Value)> {
        let mut fields: Vec<(&'static str, Bson, Value)> = Vec::new();
        while self.dirty() && fields.len() < 5 {
            let field = self.unknown();
            if fields.iter().all(|(name, ..)| *name != field.0) {
                fields.push(field);
            }
        }
        fields
    }

    /// Gives a document an `_id` that is none of ours.
    fn maybe_alien(&mut self, item: &mut Item) {
        if self.fatal() && self.chance(30) {
            let number = i64::from(self.number());
            item.id = match self.below(3) {
                0 => Bson::Int64(number),
                1 => format!("old-{number}").into(),
                _ => doc! {"place": number, "shelf": 1}.into(),
            };
        }
    }

    /// A reference to one of these.
    fn reference(&mut self, path: &str, to: &[ObjectId]) -> (Option<Bson>, Means) {
        if self.fatal() {
            let stored = match self.below(4) {
                0 => self.none(),
                1 => Some("6b0379ca".into()),
                2 => Some(Bson::Int32(5)),
                _ => Some(NOBODY.into()),
            };
            let means = match stored {
                Some(Bson::ObjectId(_)) => Means::is(uuid(&NOBODY.to_hex())),
                _ => Means::fatal(path),
            };
            return (stored, means);
        }
        let id = self.pick(to);
        let stored = if self.dirty() {
            match self.below(2) {
                0 => id.to_hex().into(),
                _ => Bson::from(format!(" {} ", id.to_hex().to_uppercase())),
            }
        } else {
            id.into()
        };
        (Some(stored), Means::is(uuid(&id.to_hex())))
    }

    /// A list of parts that a record can do without.
    fn parts(&mut self, name: &str, parts: Vec<Part>) -> (Option<Bson>, Means) {
        if self.dirty() && self.chance(30) {
            return match self.below(2) {
                0 => (self.none(), Means::is(json!([]))),
                _ => doubtful(name, json!([]), Bson::Int32(3), json!(3)),
            };
        }
        let single = parts.len() == 1 && parts[0].doubtful.is_empty() && self.dirty();
        let mut means = Means::is(json!([]));
        let (mut stored, mut values, mut fatal) = (Vec::new(), Vec::new(), false);
        for (place, part) in parts.into_iter().enumerate() {
            let at = |path: &String| {
                if single {
                    format!("{name}.{path}")
                } else {
                    format!("{name}.{place}.{path}")
                }
            };
            fatal |= !part.fatal.is_empty();
            means.doubtful.extend(part.doubtful.iter().map(at));
            means.doubtful.extend(part.fatal.iter().map(at));
            stored.push(Bson::Document(part.stored));
            values.push(Value::Object(part.value));
        }
        let stored = match stored.pop() {
            Some(one) if single => one,
            last => Bson::Array(stored.into_iter().chain(last).collect()),
        };
        if fatal {
            means.aside = Some(as_extra(&stored));
        } else {
            means.value = values.into();
        }
        (Some(stored), means)
    }

    fn user(&mut self, known: &[(String, String)]) -> (Item, String, String) {
        let (mut item, _) = Item::of(self, Kind::Users);
        let number = self.number();
        let mut account = format!("account-{number}");
        let mut email = format!("author.{number}@example.org");
        if self.fatal() && !known.is_empty() {
            let (other_account, other_email) = self.pick(known);
            match self.below(2) {
                0 => account = other_account,
                _ => email = other_email,
            }
        }
        let auth_id = if self.fatal() {
            (self.none(), Means::fatal("authId"))
        } else {
            (Some(account.clone().into()), Means::is(account.clone()))
        };
        item.with("authId", "auth_id", auth_id);
        let provider = if self.dirty() {
            (self.none(), Means::is("appwrite"))
        } else {
            (Some("appwrite".into()), Means::is("appwrite"))
        };
        item.with("authProvider", "auth_provider", provider);
        let stored = if self.dirty() {
            email.to_uppercase()
        } else {
            email.clone()
        };
        let address = if self.fatal() {
            (Some("none".into()), Means::fatal("email"))
        } else {
            (Some(stored.into()), Means::is(email.clone()))
        };
        item.with("email", "email", address);
        let name = self.text("name", json!(""), 2);
        item.with("name", "name", name);
        let tiers = ["free", "starter", "professional", "enterprise"];
        let tier = self.name("subscriptionTier", json!("free"), &tiers, "platinum");
        item.with("subscriptionTier", "subscription_tier", tier);
        let credits = self.vital_count("credits", 5_000, Some(0));
        item.with("credits", "credits", credits);
        let preferences = self.preferences();
        item.with("preferences", "preferences", preferences);
        let parts = (0..self.below(3)).map(|_| self.connected()).collect();
        let connected = self.parts("connectedPlatforms", parts);
        item.with("connectedPlatforms", "connected_platforms", connected);
        self.moments(&mut item, true);
        self.maybe_alien(&mut item);
        (item, account, email)
    }

    /// When a record was made and changed.
    fn moments(&mut self, item: &mut Item, updated: bool) {
        let created = self.moment("createdAt");
        item.with("createdAt", "created_at", created);
        if updated {
            let updated = self.moment("updatedAt");
            item.with("updatedAt", "updated_at", updated);
        }
    }

    fn object(&mut self, name: &str, part: Part) -> (Option<Bson>, Means) {
        if self.dirty() && self.chance(30) {
            return match self.below(2) {
                0 => (self.none(), Means::is(json!({}))),
                _ => doubtful(name, json!({}), "none".into(), json!("none")),
            };
        }
        let mut means = Means::is(Value::Object(part.value));
        means.doubtful = part.doubtful;
        (Some(part.stored.into()), means)
    }

    fn preferences(&mut self) -> (Option<Bson>, Means) {
        let mut part = Part::default();
        let news = self.truth("preferences.emailNotifications", Value::Null);
        part.with("emailNotifications", news);
        let themes = ["light", "dark", "system"];
        let theme = self.name("preferences.theme", Value::Null, &themes, "solarized");
        part.with("theme", theme);
        let zone = self.text("preferences.timezone", Value::Null, 1);
        part.with("timezone", zone);
        let currency = if self.dirty() {
            match self.below(3) {
                0 => (Some("eur".into()), Means::is("EUR")),
                1 => doubtful(
                    "preferences.currency",
                    Value::Null,
                    "Euro".into(),
                    json!("Euro"),
                ),
                _ => (self.none(), Means::is(Value::Null)),
            }
        } else {
            (Some("USD".into()), Means::is("USD"))
        };
        part.with("currency", currency);
        if self.dirty() {
            part.unknown(("fontSize", Bson::Int32(12), json!(12)));
        }
        self.object("preferences", part)
    }

    fn connected(&mut self) -> Part {
        let mut part = Part::default();
        let platform = if self.fatal() {
            (self.none(), Means::fatal("platform"))
        } else if self.dirty() {
            (Some(" KDP ".into()), Means::is("kdp"))
        } else {
            (Some("gumroad".into()), Means::is("gumroad"))
        };
        part.with("platform", platform);
        let at = as_text(self.moment("connectedAt"));
        part.with("connectedAt", at);
        let last = as_text(self.moment("lastSync"));
        part.with("lastSync", last);
        if self.dirty() {
            let id = self.id();
            part.unknown(("_id", id.into(), json!({"$oid": id.to_hex()})));
        }
        part
    }

    fn book(&mut self, users: &[ObjectId]) -> (Item, ObjectId) {
        let (mut item, id) = Item::of(self, Kind::Books);
        let user = self.reference("userId", users);
        item.with("userId", "user_id", user);
        let title = self.required_text("title", 3);
        item.with("title", "title", title);
        for (name, column, words) in [
            ("subtitle", "subtitle", 4),
            ("author", "author", 2),
            ("description", "description", 20),
        ] {
            let text = self.text(name, Value::Null, words);
            item.with(name, column, text);
        }
        let isbn = self.code(
            "isbn",
            ("9783161484100", "9783161484100"),
            ("978-3-16-148410-0", "9783161484100"),
            "978-3-16-148410-1",
        );
        item.with("isbn", "isbn", isbn);
        let asin = self.code(
            "asin",
            ("B08N5WRWNW", "B08N5WRWNW"),
            ("b08n5wrwnw", "B08N5WRWNW"),
            "B08",
        );
        item.with("asin", "asin", asin);
        let cover = if self.dirty() {
            match self.below(3) {
                0 => (self.none(), Means::is(Value::Null)),
                1 => (Some("/covers/1.png".into()), Means::is("/covers/1.png")),
                _ => {
                    let script = "javascript:alert(1)";
                    doubtful("coverUrl", Value::Null, script.into(), json!(script))
                }
            }
        } else {
            let url = format!("https://covers.example.org/{id}.jpg");
            (Some(url.clone().into()), Means::is(url))
        };
        item.with("coverUrl", "cover_url", cover);
        let genres = self.texts("genres", &["Mystery", "Romance", "Fantasy"], false);
        item.with("genres", "genres", genres);
        let platforms = self.texts("platforms", &["kdp", "gumroad", "kobo"], true);
        item.with("platforms", "platforms", platforms);
        let published = self.moment("publishedDate");
        item.with("publishedDate", "published_date", published);
        let statuses = ["draft", "published", "archived"];
        let status = self.name("status", json!("draft"), &statuses, "preorder");
        item.with("status", "status", status);
        let metadata = self.metadata();
        item.with("metadata", "metadata", metadata);
        self.moments(&mut item, true);
        self.maybe_alien(&mut item);
        (item, id)
    }

    /// A code in its own spelling, in another one, or a wrong one.
    fn code(
        &mut self,
        path: &str,
        own: (&str, &str),
        other: (&str, &str),
        wrong: &str,
    ) -> (Option<Bson>, Means) {
        if !self.dirty() {
            return (Some(own.0.into()), Means::is(own.1));
        }
        match self.below(4) {
            0 => (self.none(), Means::is(Value::Null)),
            1 => (Some("".into()), Means::is(Value::Null)),
            2 => (Some(other.0.into()), Means::is(other.1)),
            _ => doubtful(path, Value::Null, wrong.into(), json!(wrong)),
        }
    }

    fn texts(&mut self, path: &str, from: &[&str], folded: bool) -> (Option<Bson>, Means) {
        let count = self.below(3);
        let texts: Vec<String> = (0..count).map(|_| self.pick(from).to_owned()).collect();
        if !self.dirty() {
            return (Some(texts.clone().into()), Means::is(texts));
        }
        match self.below(4) {
            0 => (self.none(), Means::is(json!([]))),
            1 => (Some(from[0].into()), Means::is(json!([from[0]]))),
            2 if folded => {
                let stored = vec![format!(" {} ", from[0].to_uppercase())];
                (Some(stored.into()), Means::is(json!([from[0]])))
            }
            _ => {
                let stored = Bson::Array(vec![from[0].into(), Bson::Int32(7)]);
                let mut means = Means::set_aside(format!("{path}.1"), json!([from[0], 7]));
                means.value = json!([]);
                (Some(stored), means)
            }
        }
    }

    fn metadata(&mut self) -> (Option<Bson>, Means) {
        let mut part = Part::default();
        let pages = self.count("metadata.pageCount", 900);
        part.with("pageCount", pages);
        let words = self.count("metadata.wordCount", 200_000);
        part.with("wordCount", words);
        let series = self.text("metadata.series", Value::Null, 2);
        part.with("series", series);
        let place = if self.dirty() {
            match self.below(3) {
                0 => (Some(1.5.into()), Means::is(1.5)),
                1 => (Some("2.5".into()), Means::is(2.5)),
                _ => (Some(decimal("3")), Means::is(3.0)),
            }
        } else {
            (Some(Bson::Int32(4)), Means::is(4.0))
        };
        part.with("seriesPosition", place);
        if self.dirty() {
            let trim = doc! {"size": "5x8"};
            part.unknown(("trim", trim.into(), json!({"size": "5x8"})));
        }
        self.object("metadata", part)
    }

    fn checklist(&mut self, users: &[ObjectId], books: &[ObjectId]) -> Item {
        let (mut item, _) = Item::of(self, Kind::Checklists);
        let book = self.reference("bookId", books);
        item.with("bookId", "book_id", book);
        let user = self.reference("userId", users);
        item.with("userId", "user_id", user);
        let template = self.text("templateId", Value::Null, 1);
        item.with("templateId", "template_id", template);
        let name = self.required_text("name", 2);
        item.with("name", "name", name);
        let tasks = (0..self.below(4)).map(|place| self.task(place)).collect();
        let tasks = self.parts("tasks", tasks);
        item.with("tasks", "tasks", tasks);
        self.moments(&mut item, true);
        self.maybe_alien(&mut item);
        item
    }

    fn task(&mut self, place: u32) -> Part {
        let mut part = Part::default();
        let id = format!("task-{place}");
        let id = if self.fatal() {
            (self.none(), Means::fatal("id"))
        } else {
            (Some(id.clone().into()), Means::is(id))
        };
        part.with("id", id);
        let title = self.required_text("title", 2);
        part.with("title", title);
        let description = self.text("description", Value::Null, 5);
        part.with("description", description);
        let completed = self.truth("completed", json!(false));
        part.with("completed", completed);
        let due = as_text(self.moment("dueDate"));
        part.with("dueDate", due);
        if self.dirty() {
            part.unknown(("effort", Bson::Int64(3), json!(3)));
        }
        part
    }

    fn follow(&mut self, users: &[ObjectId], pair: Option<&Item>) -> Item {
        let (mut item, _) = Item::of(self, Kind::Follows);
        if let Some(pair) = pair {
            item.fields.clone_from(&pair.fields);
            return item;
        }
        let follower = self.reference("followerId", users);
        item.with("followerId", "follower_id", follower);
        let author = self.reference("authorId", users);
        item.with("authorId", "author_id", author);
        self.moments(&mut item, false);
        item
    }

    fn post(&mut self, users: &[ObjectId]) -> Item {
        let (mut item, id) = Item::of(self, Kind::CommunityPosts);
        let author = self.reference("authorId", users);
        item.with("authorId", "author_id", author);
        let content = self.text("content", json!(""), 10);
        item.with("content", "content", content);
        let files = (0..self.below(3)).map(|_| self.attachment()).collect();
        let files = self.parts("attachments", files);
        item.with("attachments", "attachments", files);
        let seen = ["public", "followers"];
        let (stored, mut means) = self.name("visibility", json!("followers"), &seen, "friends");
        // Who may read a post is no matter of doubt.
        means.fatal.append(&mut means.doubtful);
        let visibility = (stored, means);
        item.with("visibility", "visibility", visibility);
        self.moments(&mut item, true);
        self.maybe_alien(&mut item);
        self.likes(&mut item, users);
        self.comments(&mut item, users, id);
        item
    }

    fn attachment(&mut self) -> Part {
        let mut part = Part::default();
        part.with("type", (Some("image".into()), Means::is("image")));
        let url = if self.fatal() {
            let script = "javascript:alert(1)";
            (Some(script.into()), Means::fatal("url"))
        } else {
            let url = "https://example.org/a.png";
            (Some(url.into()), Means::is(url))
        };
        part.with("url", url);
        if self.dirty() {
            part.unknown(("seconds", 12.5.into(), json!(12.5)));
        }
        part
    }

    fn likes(&mut self, post: &mut Item, users: &[ObjectId]) {
        let mut seen: Vec<ObjectId> = Vec::new();
        for _ in 0..self.below(5) {
            let (stored, means) = self.reference("likes", users);
            let Some(stored) = stored else { continue };
            let user = means.value.as_str().unwrap_or_default().to_owned();
            let mut piece = Piece::new(Kind::PostLikes, "likes", stored, means);
            if piece.fatal.is_empty() {
                let id = match users.iter().find(|id| uuid(&id.to_hex()) == user) {
                    Some(id) => *id,
                    None => NOBODY,
                };
                piece.again = seen.contains(&id);
                seen.push(id);
                piece.key = id.to_hex();
                piece.order = id.to_hex().into_bytes();
                piece.row.insert("user_id".to_owned(), user.clone().into());
                piece.refers.push(("likes", Kind::Users, user));
            }
            post.pieces.push(piece);
        }
    }

    fn comments(&mut self, post: &mut Item, users: &[ObjectId], of: ObjectId) {
        let mut ids: Vec<String> = Vec::new();
        let made = post.fields.iter().find(|field| field.name == "createdAt");
        let made = made.and_then(|field| field.means.value.as_i64());
        let made = made.unwrap_or(of.timestamp().timestamp_millis() * 1_000);
        for number in 0..self.below(4) {
            let mut part = Part::default();
            let id = format!("c-{number}~ö");
            let twice = self.fatal() && !ids.is_empty();
            let id = if twice { ids[0].clone() } else { id };
            part.with("id", (Some(id.clone().into()), Means::is(id.clone())));
            let (stored, author) = self.reference("comments.authorId", users);
            part.with("authorId", (stored, author.clone()));
            let content = self.text("comments.content", json!(""), 4);
            part.with("content", content);
            let (stored, created) = self.moment("comments.createdAt");
            part.with("createdAt", (stored, created));
            if self.dirty() {
                part.unknown(("edited", true.into(), json!(true)));
            }
            let mut piece = Piece::of_part(Kind::PostComments, "comments", part);
            piece.rename(&[("authorId", "author_id"), ("createdAt", "created_at")]);
            piece.row.entry("content").or_insert_with(|| json!(""));
            piece.row.entry("created_at").or_insert_with(|| made.into());
            if twice && piece.fatal.is_empty() {
                piece.fatal.push("comments.id".to_owned());
            } else if piece.fatal.is_empty() && piece.doubtful.is_empty() {
                ids.push(id.clone());
            }
            piece.key.clone_from(&id);
            piece.order = format!("{id}.{number}").into_bytes();
            let author = author.value.as_str().unwrap_or_default().to_owned();
            piece
                .refers
                .push(("comments.authorId", Kind::Users, author));
            post.pieces.push(piece);
        }
    }

    fn boost(&mut self, users: &[ObjectId], books: &[ObjectId]) -> Item {
        let (mut item, _) = Item::of(self, Kind::MarketplaceBoosts);
        let book = self.reference("bookId", books);
        item.with("bookId", "book_id", book);
        let user = self.reference("userId", users);
        item.with("userId", "user_id", user);
        let days = self.vital_count("duration", 30, None);
        item.with("duration", "duration", days);
        let position = self.vital_count("position", 3, None);
        item.with("position", "position", position);
        let credits = self.vital_count("credits_spent", 500, Some(0));
        item.with("credits_spent", "credits_spent", credits);
        let active = if self.fatal() {
            (Some("perhaps".into()), Means::fatal("active"))
        } else if self.dirty() {
            (self.none(), Means::is(false))
        } else {
            (Some(true.into()), Means::is(true))
        };
        item.with("active", "active", active);
        let start = self.millis();
        let started = if self.fatal() {
            (Some("soon".into()), Means::fatal("startedAt"))
        } else if self.dirty() {
            (self.none(), Means::is(Value::Null))
        } else {
            at(start)
        };
        item.with("startedAt", "started_at", started);
        let expires = if self.dirty() {
            (self.none(), Means::is(Value::Null))
        } else {
            at(start + 86_400_000 * i64::from(self.below(300)))
        };
        item.with("expiresAt", "expires_at", expires);
        self.maybe_alien(&mut item);
        item
    }

    fn competitor(&mut self, users: &[ObjectId]) -> Item {
        let (mut item, _) = Item::of(self, Kind::Competitors);
        let user = self.reference("userId", users);
        item.with("userId", "user_id", user);
        let number = self.below(6);
        let asin = if self.fatal() {
            match self.below(2) {
                0 => (Some("".into()), Means::fatal("asin")),
                _ => (Some("B08".into()), Means::fatal("asin")),
            }
        } else {
            (
                Some(format!("b{number:09}").into()),
                Means::is(format!("B{number:09}")),
            )
        };
        item.with("asin", "asin", asin);
        for (name, words) in [("title", 3), ("author", 2), ("genre", 1)] {
            let text = self.text(name, Value::Null, words);
            item.with(name, name, text);
        }
        let price = self.price("currentPrice", false);
        item.with("currentPrice", "current_price", price);
        let checked = self.moment("lastChecked");
        item.with("lastChecked", "last_checked", checked);
        self.moments(&mut item, false);
        self.maybe_alien(&mut item);
        let mut seen: Vec<i64> = Vec::new();
        for _ in 0..self.below(4) {
            let at = 1_600_000_000_000 + i64::from(self.below(4));
            let mut part = Part::default();
            let price = self.price("priceHistory.price", true);
            part.with("price", price);
            let date = if self.fatal() {
                (self.none(), Means::fatal("priceHistory.date"))
            } else {
                (
                    Some(DateTime::from_millis(at).into()),
                    Means::is(at * 1_000),
                )
            };
            let dated = date.1.fatal.is_empty();
            part.with("date", date);
            if seen.contains(&at) && dated && part.fatal.is_empty() {
                part.stored.insert("source", "again");
                part.fatal.push("priceHistory.date".to_owned());
            } else if dated && part.fatal.is_empty() {
                seen.push(at);
            }
            let mut piece = Piece::of_part(Kind::CompetitorPrices, "priceHistory", part);
            piece.key = at.to_string();
            piece.order = format!("{at:020}").into_bytes();
            item.pieces.push(piece);
        }
        item
    }

    fn price(&mut self, path: &str, required: bool) -> (Option<Bson>, Means) {
        let cents = self.between(99, 2_000);
        let text = format!("{}.{:02}", cents / 100, cents % 100);
        let amount: f64 = text.parse().unwrap_or_default();
        let means = Means::is(plain(&text));
        if required && self.fatal() {
            return (Some(f64::NAN.into()), Means::fatal(path));
        }
        if !self.dirty() {
            return (Some(amount.into()), means);
        }
        match self.below(5) {
            0 => (Some(text.into()), means),
            1 => (Some(decimal(&format!("{text}0"))), means),
            2 => (Some(4.989_999_999_999_999.into()), Means::is("4.99")),
            3 if !required => doubtful(path, Value::Null, (-0.01).into(), json!(-0.01)),
            4 if !required => (self.none(), Means::is(Value::Null)),
            _ => (Some(Bson::Int32(5)), Means::is("5")),
        }
    }

    /// All documents.
    pub(super) fn documents(&mut self) -> Documents {
        let mut made = Documents::default();
        let mut known: Vec<(String, String)> = Vec::new();
        for _ in 0..4 + self.below(4) {
            let (item, account, email) = self.user(&known);
            known.push((account, email));
            if let Bson::ObjectId(id) = item.id {
                made.users.push(id);
            }
            made.items.push(item);
        }
        if made.users.is_empty() {
            made.users.push(NOBODY);
        }
        let users = made.users.clone();
        let mut books = Vec::new();
        for _ in 0..5 + self.below(5) {
            let (item, id) = self.book(&users);
            if matches!(item.id, Bson::ObjectId(_)) {
                books.push(id);
                made.books.push((id, id));
            }
            made.items.push(item);
        }
        if books.is_empty() {
            books.push(NOBODY);
        }
        for _ in 0..2 + self.below(4) {
            made.items.push(self.checklist(&users, &books));
            made.items.push(self.post(&users));
            made.items.push(self.boost(&users, &books));
            made.items.push(self.competitor(&users));
            let follow = self.follow(&users, None);
            if self.fatal() {
                made.items.push(self.follow(&users, Some(&follow)));
            }
            made.items.push(follow);
        }
        made
    }
}

fn at(millis: i64) -> (Option<Bson>, Means) {
    let stored = DateTime::from_millis(millis);
    (Some(stored.into()), Means::is(millis * 1_000))
}

/// What a missing moment means.
fn defaults(row: &mut Row, id: Option<ObjectId>) {
    let made = id.map_or(0, |id| id.timestamp().timestamp_millis() * 1_000);
    let mut or = |column: &str, value: i64| {
        let place = row.get_mut(column).filter(|value| value.is_null());
        if let Some(place) = place {
            *place = value.into();
        }
        row.get(column).and_then(Value::as_i64)
    };
    let created = or("created_at", made);
    or("updated_at", created.unwrap_or(made));
    if let Some(started) = or("started_at", made) {
        const DAY: i64 = 86_400_000_000;
        let days = row.get("duration").and_then(Value::as_i64).unwrap_or(0);
        if let Some(end) = row.get_mut("expires_at").filter(|end| end.is_null()) {
            *end = (started + days * DAY).into();
        }
    }
}

/// A value in the form of `extra`: relaxed Extended JSON, but texts that PostgreSQL cannot hold.
fn as_extra(value: &Bson) -> Value {
    /// The last millisecond of the year 9999.
    const LAST: i64 = 253_402_300_799_999;
    match value {
        Bson::String(text) if text == "one\0two" => json!({"$base64": "b25lAHR3bw=="}),
        Bson::Array(items) => items.iter().map(as_extra).collect(),
        Bson::Document(fields) => {
            let fields = fields.iter();
            Value::Object(
                fields
                    .map(|(name, value)| (name.clone(), as_extra(value)))
                    .collect(),
            )
        }
        Bson::DateTime(at) => match at.timestamp_millis() {
            millis @ 0..=LAST => json!({"$date": iso(millis)}),
            millis => json!({"$date": {"$numberLong": millis.to_string()}}),
        },
        other => other.clone().into_relaxed_extjson(),
    }
}

/// A decimal without zeros at its end.
pub(super) fn plain(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

impl Piece {
    fn new(kind: Kind, array: &'static str, stored: Bson, means: Means) -> Self {
        Self {
            kind,
            array,
            stored,
            key: String::new(),
            order: Vec::new(),
            row: Row::new(),
            doubtful: means.doubtful,
            fatal: means.fatal,
            refers: Vec::new(),
            again: false,
        }
    }

    /// A piece with columns, and an `extra` for what is no column.
    fn of_part(kind: Kind, array: &'static str, part: Part) -> Self {
        let means = Means {
            doubtful: part.doubtful,
            fatal: part.fatal,
            ..Means::is(Value::Null)
        };
        let mut piece = Self::new(kind, array, part.stored.into(), means);
        let mut extra = Map::new();
        for (name, value) in part.value {
            match name.as_str() {
                "id" | "authorId" | "content" | "createdAt" | "price" | "date" => {
                    piece.row.insert(name, value);
                }
                _ => {
                    extra.insert(name, value);
                }
            }
        }
        piece.row.insert("extra".to_owned(), extra.into());
        piece
    }

    fn rename(&mut self, names: &[(&str, &str)]) {
        for (name, column) in names {
            if let Some(value) = self.row.remove(*name) {
                self.row.insert((*column).to_owned(), value);
            }
        }
    }
}
