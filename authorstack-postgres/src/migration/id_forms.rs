//! The forms of the ids that a database holds, to find out which one it uses.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{Kind, Record, Snapshot},
    resilience::with_deadline,
};
use authorstack_sql::{IdForm, get};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection, query};
use uuid::Uuid;

use super::{
    PostgresMigration,
    columns::{self, Column},
    shared::{Shared, failed},
};

/// How many ids of a form are looked up among the known records.
const LOOKED_UP: usize = 1_000;
/// How many of them at once.
const AT_ONCE: usize = 200;
/// The setting that says which form it is.
const SETTING: &str = "postgres_ids";

/// The ids that the analytics hold, by their forms.
/// [`PostgresMigration::id_forms`](crate::PostgresMigration::id_forms) finds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdForms {
    /// The forms of the ids of each kind that the analytics refer to.
    pub kinds: Vec<KindIds>,
}

/// The ids of one kind. Each distinct id counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindIds {
    /// The kind that they refer to.
    pub kind: Kind,
    /// How many there are.
    pub ids: u64,
    /// How many the map has.
    pub mapped: u64,
    /// How many are neither in the map nor of any form.
    pub others: u64,
    /// Those of each form. One in about 250 fits two forms by chance.
    pub forms: [FormIds; 3],
}

/// The ids of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormIds {
    /// The form.
    pub form: IdForm,
    /// How many ids fit it.
    pub ids: u64,
    /// How many of these fit no other form.
    pub only: u64,
    /// How many were looked up among the known records.
    pub looked_up: u64,
    /// How many of these are known.
    pub known: u64,
}

impl IdForms {
    /// The form that the database uses: the only one that fits, or the only one whose ids are
    /// known. A database without ids uses AuthorStack's form.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration) for `postgres_ids`,
    /// with the counts, if the forms are mixed or none fits.
    pub fn decide(&self) -> Result<IdForm> {
        let unmapped: u64 = self.kinds.iter().map(|kind| kind.ids - kind.mapped).sum();
        if unmapped == 0 {
            return Ok(IdForm::Embedded);
        }
        let fits: Vec<FormIds> = FORMS.map(|form| self.of(form)).to_vec();
        let certain: Vec<&FormIds> = fits.iter().filter(|fit| fit.only > 0).collect();
        let some: Vec<&FormIds> = fits.iter().filter(|fit| fit.ids > 0).collect();
        let candidates = if certain.is_empty() { some } else { certain };
        let known: Vec<&&FormIds> = candidates.iter().filter(|fit| fit.known > 0).collect();
        match (candidates.as_slice(), known.as_slice()) {
            ([only], _) => Ok(only.form),
            (_, [known]) => Ok(known.form),
            ([], _) => Err(self.undecided("are of no known form")),
            _ => Err(self.undecided("are of several forms")),
        }
    }

    fn of(&self, form: IdForm) -> FormIds {
        let fits = self.kinds.iter().flat_map(|kind| &kind.forms);
        let fits = fits.filter(|fit| fit.form == form);
        fits.fold(FormIds::none(form), |sum, fit| FormIds {
            form,
            ids: sum.ids + fit.ids,
            only: sum.only + fit.only,
            looked_up: sum.looked_up + fit.looked_up,
            known: sum.known + fit.known,
        })
    }

    fn undecided(&self, problem: &str) -> Error {
        let counts: Vec<String> = self.kinds.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = FORMS.iter().map(|form| form.name()).collect();
        Error::configuration(
            SETTING,
            format!(
                "the ids of the analytics {problem}: {}; say which form is right: {}. Ids of other \
                 forms are rejected then, unless the file that id_map_file names has them",
                counts.join("; "),
                names.join(", ")
            ),
        )
    }
}

impl fmt::Display for KindIds {
    /// For example `users: 3 ids, 3 padded with zeros behind (all known)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.ids == 1 { "" } else { "s" };
        write!(f, "{}: {} id{plural}", self.kind, self.ids)?;
        if self.mapped > 0 {
            write!(f, ", {} in the map", self.mapped)?;
        }
        for fit in &self.forms {
            let FormIds { form, ids, .. } = fit;
            // What fits another form by chance is not worth a word.
            if *ids == 0 || (fit.only == 0 && self.forms.iter().any(|other| other.only > 0)) {
                continue;
            }
            write!(f, ", {ids} {} ({}", form.description(), form.name())?;
            match (fit.looked_up, fit.known) {
                (0, _) => f.write_str(")")?,
                (looked_up, known) if known == looked_up && looked_up == *ids => {
                    f.write_str(", all known)")?;
                }
                (_, 0) => f.write_str(", none known)")?,
                (looked_up, known) => write!(f, ", {known} of {looked_up} looked up are known)")?,
            }
        }
        match self.others {
            0 => Ok(()),
            others => write!(f, ", {others} of no form"),
        }
    }
}

const FORMS: [IdForm; 3] = [IdForm::Embedded, IdForm::PaddedLeft, IdForm::PaddedRight];

impl FormIds {
    const fn none(form: IdForm) -> Self {
        Self {
            form,
            ids: 0,
            only: 0,
            looked_up: 0,
            known: 0,
        }
    }
}

impl PostgresMigration {
    /// Looks at the distinct ids in the rows of these kinds, and counts each form. A part of them
    /// is looked up among the known records, if there are any.
    ///
    /// ```no_run
    /// use authorstack_core::migrate::Kind;
    /// use authorstack_postgres::{IdMap, PostgresConfig, PostgresStore};
    ///
    /// # async fn run() -> authorstack_core::Result<()> {
    /// let url = std::env::var("AUTHORSTACK_POSTGRES_URL").unwrap_or_default();
    /// let store = PostgresStore::connect(PostgresConfig::new(url)).await?;
    /// let map = IdMap::default();
    /// let found = store.migration(map.clone()).id_forms(Kind::ANALYTICS, None).await?;
    /// let source = store.with_ids(found.decide()?).migration(map);
    /// # let _ = source;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Timeout or Unavailable of a store.
    pub async fn id_forms(&self, kinds: &[Kind], known: Option<&dyn Snapshot>) -> Result<IdForms> {
        let shared = &self.shared;
        let mut found: BTreeMap<Kind, HashSet<Option<Uuid>>> = BTreeMap::new();
        let mut odd: BTreeMap<Kind, HashSet<String>> = BTreeMap::new();
        let mut connection = shared.begin().await?;
        for &kind in Kind::ANALYTICS.iter().filter(|kind| kinds.contains(kind)) {
            if !is_readable(shared, &mut connection, kind).await? {
                // The check says what is wrong.
                continue;
            }
            let table = columns::of_table(&shared.pool, &mut connection, kind).await?;
            for reference in kind.description().refers_to {
                let Some(column) = table.iter().find(|column| column.name == reference.column)
                else {
                    continue;
                };
                let ids = found.entry(reference.kind).or_default();
                let odd = odd.entry(reference.kind).or_default();
                add_ids(shared, &mut connection, kind, column, ids, odd).await?;
            }
        }
        shared.end(connection).await?;
        let mut forms = IdForms::default();
        for (kind, ids) in found {
            let odd = odd.get(&kind).map_or(0, HashSet::len) as u64;
            let ids = ids.into_iter().flatten();
            forms.kinds.push(self.of_kind(kind, ids, odd, known).await?);
        }
        Ok(forms)
    }

    async fn of_kind(
        &self,
        kind: Kind,
        ids: impl Iterator<Item = Uuid>,
        odd: u64,
        known: Option<&dyn Snapshot>,
    ) -> Result<KindIds> {
        let mut counted = KindIds {
            kind,
            ids: odd,
            mapped: 0,
            others: odd,
            forms: FORMS.map(FormIds::none),
        };
        let mut samples: [Vec<Id<Record>>; 3] = Default::default();
        for uuid in ids {
            counted.ids += 1;
            if self.shared.map.get(&uuid).is_some() {
                counted.mapped += 1;
                continue;
            }
            let read = FORMS.map(|form| form.read::<Record>(uuid).ok());
            let fitting = read.iter().flatten().count();
            counted.others += u64::from(fitting == 0);
            for ((fit, sample), id) in counted.forms.iter_mut().zip(&mut samples).zip(read) {
                let Some(id) = id else { continue };
                fit.ids += 1;
                fit.only += u64::from(fitting == 1);
                if sample.len() < LOOKED_UP {
                    sample.push(id);
                }
            }
        }
        let Some(known) = known else {
            return Ok(counted);
        };
        for (fit, sample) in counted.forms.iter_mut().zip(samples) {
            for some in sample.chunks(AT_ONCE) {
                let keys: Vec<String> = some.iter().map(ToString::to_string).collect();
                match known.fetch(kind, &keys).await {
                    Ok(there) => {
                        fit.looked_up += some.len() as u64;
                        fit.known += there.len() as u64;
                    }
                    // A store that has no such table yet knows none.
                    Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(counted)
    }
}

/// Whether a kind has a table whose rows can be read.
async fn is_readable(shared: &Shared, connection: &mut PgConnection, kind: Kind) -> Result<bool> {
    let look = query(
        "select coalesce(has_table_privilege(t, 'select') and not row_security_active(t), false) \
         from (select to_regclass('public.' || $1)::oid) as looked (t)",
    );
    let look = look.bind(kind.as_str());
    let rows = shared.fetch_in(connection, look).await?;
    rows.first().map_or(Ok(false), |row| get(row, 0))
}

/// Adds the distinct ids of a column: those that are UUIDs, and the texts that are not.
async fn add_ids(
    shared: &Shared,
    connection: &mut PgConnection,
    kind: Kind,
    column: &Column,
    ids: &mut HashSet<Option<Uuid>>,
    odd: &mut HashSet<String>,
) -> Result<()> {
    /// The most texts that are kept.
    const MOST: usize = 100_000;
    let limit = shared.pool.timeouts().load;
    let name = &column.name;
    // UUIDs are compared faster than texts. Some types, such as JSON, can be compared only as texts.
    let compared = if column.is_uuid() {
        name.clone()
    } else {
        format!("{name}::text")
    };
    let sql = format!(
        "select id::text from (select distinct {compared} as id from public.{kind} \
         where {name} is not null) as ids"
    );
    let select = shared.pool.statement(query(AssertSqlSafe(sql)));
    let mut rows = select.fetch(connection);
    while let Some(row) =
        with_deadline(limit, async { rows.try_next().await.map_err(failed) }).await?
    {
        let text: String = get(&row, 0)?;
        match text.parse() {
            Ok(uuid) => {
                ids.insert(Some(uuid));
            }
            Err(_) if odd.len() < MOST => {
                odd.insert(text);
            }
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(counts: [(u64, u64, u64); 3], others: u64) -> IdForms {
        let mut forms = FORMS.map(FormIds::none);
        for (fit, (ids, only, known)) in forms.iter_mut().zip(counts) {
            (fit.ids, fit.only, fit.looked_up, fit.known) = (ids, only, ids, known);
        }
        let ids = counts.iter().map(|(_, only, _)| only).sum::<u64>() + others;
        IdForms {
            kinds: vec![KindIds {
                kind: Kind::Users,
                ids,
                mapped: 0,
                others,
                forms,
            }],
        }
    }

    #[test]
    fn the_only_form_that_fits_or_is_known_is_the_right_one() {
        let none = (0, 0, 0);
        assert_eq!(IdForms::default().decide().unwrap(), IdForm::Embedded);
        let chance = forms([(4, 0, 0), none, (1_000, 996, 1_000)], 0);
        assert_eq!(chance.decide().unwrap(), IdForm::PaddedRight);
        let junk = forms([(9, 9, 0), (3, 3, 3), none], 5);
        assert_eq!(junk.decide().unwrap(), IdForm::PaddedLeft);
        let said = junk.kinds[0].to_string();
        assert_eq!(
            said,
            "users: 17 ids, 9 in AuthorStack's form (embedded, none known), 3 padded with zeros in \
             front (padded-left, all known), 5 of no form"
        );
    }

    #[test]
    fn mixed_forms_and_no_form_ask_for_a_decision() {
        let none = (0, 0, 0);
        for (found, says) in [
            (forms([(9, 9, 2), (3, 3, 1), none], 0), "several forms"),
            (forms([(9, 9, 0), (3, 3, 0), none], 0), "several forms"),
            (forms([none, none, none], 7), "no known form"),
        ] {
            let error = found.decide().unwrap_err();
            let shown = error.to_string();
            let is_setting = matches!(error.kind(), ErrorKind::Configuration { setting, .. }
                if setting == SETTING);
            assert!(is_setting && shown.contains(says), "{shown}");
            assert!(
                shown.contains("padded-left") && shown.contains("users: "),
                "{shown}"
            );
        }
    }
}
