use std::collections::HashMap;

use authorstack_core::{Error, Id, Result, migrate::Record};
use authorstack_sql::IdForm;
use uuid::Uuid;

/// The setting that names the file.
const SETTING: &str = "id_map_file";

/// A map from UUIDs that an old app created to ids. Each line of the text has a UUID, a comma and
/// an id. The map takes precedence over the form of the ids.
///
/// ```
/// use authorstack_postgres::IdMap;
///
/// let text = "uuid,id\n0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11,6b0379ca3f6979be1a457c2c\n";
/// let map = IdMap::parse(text)?;
/// assert_eq!(map.len(), 1);
/// assert!(IdMap::parse("0b5ad0ab,6b0379ca3f6979be1a457c2c").is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct IdMap {
    ids: HashMap<Uuid, Id<Record>>,
    /// The opposite direction. If several UUIDs have the same id, this holds the first.
    uuids: HashMap<Id<Record>, Uuid>,
}

impl IdMap {
    /// Reads the text of a map. Empty lines, lines that begin with `#`, and a first line of names
    /// are skipped. An id is written as its 24 hex digits, or as AuthorStack's UUID for them. As
    /// spreadsheets write it, either may be in quotes, a semicolon or a tab may stand for the
    /// comma, and the text may begin with a byte-order mark.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut ids = HashMap::new();
        let mut is_first = true;
        // Editors begin a file with a byte-order mark.
        let text = text.trim_start_matches('\u{feff}');
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if std::mem::take(&mut is_first) && is_header(line) {
                continue;
            }
            let wrong = |problem: &str| {
                let reason = format!("line {}: {problem}", index + 1);
                Error::configuration(SETTING, reason)
            };
            let (uuid, id) = line
                .split_once([',', ';', '\t'])
                .ok_or_else(|| wrong("has no comma between a UUID and an id"))?;
            let uuid: Uuid = bare(uuid)
                .parse()
                .map_err(|_| wrong("does not begin with a UUID"))?;
            let id = read_id(bare(id))
                .ok_or_else(|| wrong("does not end with an id of 24 hex digits"))?;
            if ids.insert(uuid, id).is_some_and(|before| before != id) {
                return Err(wrong("maps a UUID that an earlier line maps to another id"));
            }
        }
        let mut uuids: HashMap<Id<Record>, Uuid> = HashMap::new();
        for (uuid, id) in &ids {
            let first = uuids.entry(*id).or_insert(*uuid);
            *first = (*first).min(*uuid);
        }
        Ok(Self { ids, uuids })
    }

    /// How many UUIDs it contains.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn get(&self, uuid: &Uuid) -> Option<Id<Record>> {
        self.ids.get(uuid).copied()
    }

    /// The UUID for an id, if the map has one.
    pub(super) fn uuid(&self, id: Id<Record>) -> Option<Uuid> {
        self.uuids.get(&id).copied()
    }

    /// The map as JSON for the server, ordered by UUID.
    pub(super) fn to_json(&self) -> String {
        let mut pairs: Vec<_> = self.ids.iter().collect();
        pairs.sort_unstable();
        let pairs = pairs
            .into_iter()
            .map(|(uuid, id)| format!("\"{uuid}\":\"{}\"", id.to_uuid()));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }
}

/// A field without the spaces and quotes around it.
fn bare(field: &str) -> &str {
    let field = field.trim();
    let quoted = |quote: char| field.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(field).trim()
}

/// Whether a line has the names of two columns: words without digits, of which one tells of ids.
fn is_header(line: &str) -> bool {
    let tells = line.to_lowercase().contains("id");
    let mut fields = line.split([',', ';', '\t']).map(bare);
    let is_name = |field: &str| {
        field.starts_with(char::is_alphabetic) && !field.contains(|c: char| c.is_ascii_digit())
    };
    tells && fields.clone().count() == 2 && fields.all(is_name)
}

fn read_id(text: &str) -> Option<Id<Record>> {
    match Uuid::try_parse(text) {
        Ok(uuid) => IdForm::Embedded.read(uuid).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use authorstack_core::ErrorKind;

    use super::*;

    const UUID: &str = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";
    const ID: &str = "6b0379ca3f6979be1a457c2c";

    #[test]
    fn ids_are_read_in_both_forms() {
        let text =
            format!("uuid,id\n\n# why\n{UUID} , {ID}\n{UUID},6b0379ca-3f69-879b-8e1a-457c2c000000");
        let map = IdMap::parse(&text).unwrap();
        assert_eq!(map.len(), 1);
        let id = map.get(&UUID.parse().unwrap()).unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(map.uuid(id), Some(UUID.parse().unwrap()));
        let json =
            "{\"0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11\":\"6b0379ca-3f69-879b-8e1a-457c2c000000\"}";
        assert_eq!(map.to_json(), json);
    }

    #[test]
    fn what_a_spreadsheet_saves_is_read() {
        for text in [
            format!("\u{feff}uuid,id\r\n{UUID},{ID}\r\n"),
            format!("\u{feff}# why\r\n\"Old id\";\"New id\"\r\n\"{UUID}\";\"{ID}\"\r\n"),
            format!("'{UUID}'\t' {ID} '"),
        ] {
            let map = IdMap::parse(&text).unwrap();
            assert_eq!(map.len(), 1, "{text:?}");
            let id = map.get(&UUID.parse().unwrap()).unwrap();
            assert_eq!(id.to_string(), ID, "{text:?}");
        }
        // A pair is never taken for names.
        let error = IdMap::parse(&format!("x,{ID}")).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn of_several_uuids_of_an_id_the_first_stands_for_it() {
        let text = format!("{UUID},{ID}\n00000000-6d5c-4d6f-9c3c-5d8a1c1b7d11,{ID}");
        let map = IdMap::parse(&text).unwrap();
        let uuid = map.uuid(ID.parse().unwrap()).unwrap();
        assert!(uuid.to_string().starts_with("00000000"), "{uuid}");
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, problem) in [
            ("nothing", "no comma"),
            ("x,6b0379ca3f6979be1a457c2c", "begin with a UUID"),
            ("0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11,6b03", "24 hex digits"),
            (
                "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11,0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11",
                "24 hex digits",
            ),
            (
                "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11,6b0379ca3f6979be1a457c2d",
                "another id",
            ),
        ] {
            let error = IdMap::parse(&format!("{UUID},{ID}\n{line}\n")).unwrap_err();
            let is_setting = matches!(error.kind(), ErrorKind::Configuration { .. });
            let shown = error.to_string();
            assert!(
                is_setting && shown.contains("line 2") && shown.contains(problem),
                "{shown}"
            );
        }
    }
}
