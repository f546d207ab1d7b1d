//! The SQL with which the source's server converts its rows into Supabase's form, and finds those
//! that cannot move.

use authorstack_core::{
    Error, Id, Result,
    fields::{Field, Shape},
    limits,
    migrate::{Kind, Record},
};
use authorstack_sql::{IdForm, row_digest};
use uuid::Uuid;

use super::{
    columns::{self, Column, Reading, UUID, constant, deep, large_numbers, quoted},
    sums::{is_lossy, sums},
};

/// The transaction setting that holds the map, because COPY takes no parameters.
pub(super) const ID_MAP: &str = "authorstack.id_map";

/// The transaction setting that holds the absent records of a kind.
pub(super) fn absent_setting(kind: Kind) -> String {
    format!("authorstack.{}", absent_list(kind))
}

/// The name of that list in a statement.
fn absent_list(kind: Kind) -> String {
    format!("absent_{kind}")
}

/// The reason why a row cannot move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A UUID without an id.
    Id,
    /// A record that the target lacks.
    Absent(Kind),
    /// No value where one is required.
    Missing,
    /// A wrong value, and its problem.
    Value(&'static str),
}

/// What becomes of a row that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It cannot move.
    Refused,
    /// It moves without the value, which is set aside.
    Without,
    /// It moves with the value as converted, and the value itself is set aside.
    With,
}

/// A rule, and the field that breaks it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) field: &'static str,
    pub(super) trouble: Trouble,
    pub(super) then: Then,
    /// SQL over the converted row `c`: true if the rule is broken.
    pub(super) broken: String,
}

impl Rule {
    /// Whether a row that breaks it moves nevertheless, and a value is set aside.
    pub(super) fn sets_aside(&self) -> bool {
        self.then != Then::Refused
    }
}

/// What statements need not find out.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The kinds that lack records. A list in the transaction has their ids.
    pub(super) absent: Vec<Kind>,
    /// The columns whose values all have ids, as far as that was looked at.
    pub(super) with_ids: Vec<&'static str>,
}

/// How the rows of a kind are converted.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    pub(super) kind: Kind,
    ids: IdForm,
    has_map: bool,
    /// Whether nothing is set aside.
    pub(super) strict: bool,
    /// The columns that the table has, in its order.
    table: Vec<Column>,
    /// How the fields' columns are read, in the order of the fields.
    readings: Vec<(&'static str, &'static Field, Reading)>,
    pub(super) rules: Vec<Rule>,
}

const DATE: Trouble = Trouble::Value(
    "is outside the years 1 to 9999 that the target holds; correct it in the source or here",
);
const MOMENT: Trouble =
    Trouble::Value("is infinite or out of the range of dates; set a date or none");
const AMOUNT: Trouble = Trouble::Value("is not a number; correct it to an amount");
const NAME: Trouble = Trouble::Value(
    "is not a name of 1 to 50 characters without control characters or outer spaces; correct it",
);
const CURRENCY: Trouble =
    Trouble::Value("is not a currency code: three letters of ISO 4217, like USD");
const STATUS: Trouble = Trouble::Value("is not one of success, partial, failed");
const CONFIDENCE: Trouble = Trouble::Value("is not within 0 and 1; correct it, or set none");
const LARGE: Trouble =
    Trouble::Value("holds a number that is larger than any double; write it as a text");
const DEEP: Trouble = Trouble::Value("is nested more than 100 levels deep; flatten it");
pub(super) const LONG: Trouble = Trouble::Value("has more than 16000000 bytes; shorten it");
const TEXT: Trouble = Trouble::Value("is longer than the target holds; shorten it");
const BREAKDOWN: Trouble = Trouble::Value(
    "is no object of sums with revenue, units and page_reads by name; refresh the day's roll-up, \
     or leave it out",
);
pub(super) const LOSSY: Trouble = Trouble::Value(
    "has names that sums do not have, or amounts with more than 28 digits; refresh the day's \
     roll-up, or leave them out",
);

impl Conversion {
    /// How the rows of a table with these columns are converted.
    ///
    /// # Errors
    /// Configuration, naming each column that is missing or does not convert.
    pub(super) fn new(
        kind: Kind,
        ids: IdForm,
        has_map: bool,
        strict: bool,
        table: Vec<Column>,
    ) -> Result<Self> {
        let (mut readings, mut problems) = (Vec::new(), Vec::new());
        for field in kind.fields() {
            let Some(name) = field.column else { continue };
            let Some(column) = table.iter().find(|column| column.name == name) else {
                problems.push(format!("the table {kind} lacks {name}; add the column"));
                continue;
            };
            match columns::read(kind, field, column) {
                Ok(reading) => readings.push((name, field, reading)),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(columns::unfit(&problems));
        }
        let mut conversion = Self {
            kind,
            ids,
            has_map,
            strict,
            table,
            readings,
            rules: Vec::new(),
        };
        conversion.rules = conversion.rules();
        Ok(conversion)
    }

    /// A column of the table.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.table.iter().find(|column| column.name == name)
    }

    /// Whether the table gives each row a number of its own.
    pub(super) fn has_numbers(&self) -> bool {
        self.column("id").is_some_and(|column| column.is_key)
    }

    /// SQL for the id in a column whose text may have its digits; null for other types.
    fn digits(&self, name: &str) -> Option<String> {
        self.column(name).and_then(columns::digits)
    }

    /// The id in a `uuid` column; null if it contains none.
    fn id(&self, column: &str, map: &str) -> String {
        let (holds, embedded) = (self.ids.holds(column), self.ids.embedded(column));
        let read = format!("case when {holds} then {embedded} end");
        if self.has_map {
            format!("coalesce({map}.id, {read})")
        } else {
            read
        }
    }

    /// As [`Self::id`], but without the check: a rule makes it, so it runs only once.
    fn id_column(&self, column: &str, map: &str) -> String {
        if self.has_map {
            self.id(column, map)
        } else {
            self.ids.embedded(column)
        }
    }

    /// Whether `c.name` of a row is a UUID without an id. `c.raw_name` is the row's own value.
    fn is_no_id(&self, name: &str) -> String {
        if self.has_map {
            format!("c.raw_{name} is not null and c.{name} is null")
        } else {
            format!("not ({})", self.ids.holds(&format!("c.raw_{name}")))
        }
    }

    fn join(&self, column: &str, map: &str) -> String {
        if self.has_map {
            format!(" left join id_map as {map} on {map}.legacy = {column}")
        } else {
            String::new()
        }
    }

    /// The converted columns, in the order of the table's columns, and the `from` clause for them.
    fn columns(&self) -> (Vec<String>, String) {
        let (mut columns, mut joins) = (Vec::new(), String::new());
        for (column, field, reading) in &self.readings {
            let column = *column;
            let (own, stored) = (format!("t.{column}"), &reading.value);
            // What cannot be read stays null, and breaks a rule.
            let or = |default: &str| {
                if reading.problem.is_some() {
                    format!("case when {own} is null then {default} else {stored} end")
                } else {
                    format!("coalesce({stored}, {default})")
                }
            };
            columns.push(match (column, field.shape) {
                (_, Shape::Id) => {
                    let map = format!("map_of_{column}");
                    joins.push_str(&self.join(stored, &map));
                    match self.digits(column) {
                        Some(digits) => format!("coalesce({digits}, {})", self.id(stored, &map)),
                        None => self.id_column(stored, &map),
                    }
                }
                ("currency", _) => format!(
                    "case when {stored} is null or {stored} = 'USD' then 'USD' \
                     else upper(btrim({stored})) end"
                ),
                // Core reads platforms in small letters.
                ("platform", _) => folded(stored),
                ("status", _) => format!("lower(btrim({stored}))"),
                ("page_reads" | "total_page_reads" | "records_synced", _) => or("0"),
                (_, Shape::Sums) => {
                    let (value, wrong) = if column == "book_breakdown" {
                        (self.by_book("r.json"), WRONG_BOOK.to_owned())
                    } else {
                        ("r.json".to_owned(), wrong_name("e.key", "e.key"))
                    };
                    format!(
                        "case when {own} is null then '{{}}'::jsonb else (select {} \
                          from (select {value} as json from (select {stored} as json offset 0) as r \
                                offset 0) as b) end",
                        sums("b.json", &wrong)
                    )
                }
                // An interval costs less than a zone's name. "Always valid" means no date.
                ("valid_until", _) => {
                    format!("timezone(interval '0', nullif({stored}, 'infinity'))")
                }
                (_, Shape::Moment) => format!("timezone(interval '0', {stored})"),
                _ => stored.clone(),
            });
        }
        if self.kind.has_extra() {
            columns.push(self.extra());
        }
        (columns, joins)
    }

    /// The columns that the schema does not know, as one object; null if there are none. A column
    /// `extra` of the schema's own form is merged into it.
    fn extra(&self) -> String {
        let (mut own, mut parts) = (None, Vec::new());
        for column in self.unknown() {
            let Some(value) = column.extra() else {
                own = Some(
                    "case when t.extra is null then '{}' \
                       when jsonb_typeof(t.extra) = 'object' then t.extra \
                       else jsonb_build_object('extra', t.extra) end"
                        .to_owned(),
                );
                continue;
            };
            parts.push(format!(
                "case when t.{name} is null then '{{}}' \
                   else jsonb_build_object({key}, {value}) end",
                name = quoted(&column.name),
                key = constant(&column.name),
            ));
        }
        // Columns of the old app win.
        let parts: Vec<String> = own.into_iter().chain(parts).collect();
        if parts.is_empty() {
            return "null::jsonb".to_owned();
        }
        format!("nullif({}, '{{}}'::jsonb)", parts.join(" || "))
    }

    /// The columns of the table that the schema does not know, and `extra`.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &Column> {
        self.table.iter().filter(|column| {
            let mut fields = self.readings.iter();
            !fields.any(|(name, _, _)| *name == column.name)
        })
    }

    /// The fields that have columns.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &'static Field)> {
        let fields = self.kind.fields().iter();
        fields.filter_map(|field| Some((field.column?, field)))
    }

    /// The sums by book, with the ids' digits as keys. A key without an id stays, and breaks a
    /// rule.
    fn by_book(&self, sums: &str) -> String {
        let id = self.id("u.uuid", "key_map");
        let digits = IdForm::Embedded.digits("k.id");
        let join = self.join("u.uuid", "key_map");
        format!(
            "case when jsonb_typeof({sums}) <> 'object' or not exists (select \
                from jsonb_object_keys({sums}) as name where name !~ '^[0-9a-f]{{24}}$') \
              then {sums} \
              else (select jsonb_object_agg(coalesce({digits}, lower(k.key)), k.value) from \
                (select u.key, u.value, {id} as id from \
                  (select e.key, e.value, case when e.key ~* '{UUID}' then e.key::uuid end as uuid \
                   from jsonb_each({sums}) as e) as u{join}) as k) end"
        )
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (column, field, reading) in &self.readings {
            let (column, field) = (*column, *field);
            let value = format!("c.{column}");
            if self.is_missing(column, field) {
                let broken = format!("c.own_{column} is null");
                rules.push(rule(column, Trouble::Missing, &broken));
            }
            if let Some(problem) = reading.problem
                && !matches!(field.shape, Shape::Id | Shape::Sums)
            {
                let broken = format!("c.own_{column} is not null and {value} is null");
                // "Always valid" means no date.
                let broken = if column == "valid_until" {
                    format!("c.own_{column} is not null and c.raw_{column} is null")
                } else {
                    broken
                };
                rules.push(rule(column, Trouble::Value(problem), &broken));
            }
            let mut more = |trouble, broken: &str| rules.push(rule(column, trouble, broken));
            match (column, field.shape) {
                (_, Shape::Id) => {
                    if self.digits(column).is_some() {
                        let broken = format!("c.own_{column} is not null and {value} is null");
                        more(Trouble::Id, &broken);
                    } else {
                        more(Trouble::Id, &self.is_no_id(column));
                    }
                    if let Some(kind) = self.must_exist(column) {
                        let absent = format!(
                            "exists (select from {} as absent where absent.id = {value})",
                            absent_list(kind)
                        );
                        more(Trouble::Absent(kind), &absent);
                    }
                }
                ("platform", _) => more(NAME, &wrong_name("c.raw_platform", &value)),
                ("insight_type", _) => more(NAME, &wrong_name(&value, &value)),
                ("currency", _) => {
                    more(
                        CURRENCY,
                        "c.raw_currency <> 'USD' and c.currency !~ '^[A-Z]{3}$'",
                    );
                }
                ("status", _) => more(STATUS, "c.status not in ('success', 'partial', 'failed')"),
                ("confidence", _) => more(CONFIDENCE, "c.confidence not between 0 and 1"),
                (_, Shape::Day) => {
                    more(
                        DATE,
                        &format!("{value} not between '0001-01-01' and '9999-12-31'"),
                    );
                }
                (_, Shape::Decimal) => more(AMOUNT, &format!("{value} = 'NaN'")),
                ("valid_until", _) => {
                    let broken = wrong_moment(column);
                    more(
                        MOMENT,
                        &format!("c.raw_valid_until <> 'infinity' and ({broken})"),
                    );
                }
                (_, Shape::Moment) => more(MOMENT, &wrong_moment(column)),
                (_, Shape::Json) => {
                    more(LARGE, &large_numbers(&value));
                    more(DEEP, &deep(&value));
                    more(
                        LONG,
                        &format!("octet_length({value}::text) > {}", field.most),
                    );
                }
                (_, Shape::Text) => {
                    more(TEXT, &format!("octet_length({value}) > {}", field.most));
                }
                (_, Shape::Sums) => {
                    more(BREAKDOWN, &format!("{value} is null"));
                    let raw = format!("c.raw_{column}");
                    more(
                        LOSSY,
                        &format!(
                            "case when {raw} is null or {value} is null or {raw} = {value} \
                               then false else {} end",
                            is_lossy(&raw)
                        ),
                    );
                    if column == "book_breakdown" {
                        more(
                            Trouble::Value("names a book twice, in two forms; add the two up"),
                            &format!(
                                "case when {raw} is not null and {value} is not null then \
                                   (select count(*) from jsonb_object_keys({raw})) \
                                   <> (select count(*) from jsonb_object_keys({value})) end"
                            ),
                        );
                    }
                }
                _ => {}
            }
        }
        self.choose_what_is_set_aside(&mut rules);
        rules
    }

    /// The kind of the record that must exist for an id.
    fn must_exist(&self, column: &str) -> Option<Kind> {
        let mut references = self.kind.description().refers_to.iter();
        let reference = references.find(|reference| reference.column == column);
        reference.map(|reference| reference.kind)
    }

    /// The rules to apply.
    fn asked(&self, known: &Known) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| match rule.trouble {
            Trouble::Absent(kind) => known.absent.contains(&kind),
            Trouble::Id => {
                !(known.with_ids.contains(&rule.field) && self.moves_as_it_is(rule.field))
            }
            Trouble::Missing | Trouble::Value(_) => true,
        })
    }

    fn lists(&self, known: &Known) -> String {
        let mut tables = Vec::new();
        if self.has_map {
            tables.push(format!(
                "id_map as materialized (select key::uuid as legacy, value::uuid as id \
                 from jsonb_each_text(current_setting('{ID_MAP}')::jsonb))"
            ));
        }
        for &kind in &known.absent {
            tables.push(format!(
                "{} as materialized (select id \
                 from unnest(current_setting('{}')::uuid[]) as listed (id))",
                absent_list(kind),
                absent_setting(kind)
            ));
        }
        if tables.is_empty() {
            String::new()
        } else {
            format!("with {} ", tables.join(", "))
        }
    }

    /// Whether a row may lack a value that is required.
    fn is_missing(&self, name: &str, field: &Field) -> bool {
        field.required && self.column(name).is_none_or(|column| !column.not_null)
    }

    /// The values, as read and as they are, that the rules need.
    fn raw(&self) -> Vec<String> {
        let mut raw = Vec::new();
        for (name, field, reading) in &self.readings {
            if matches!(field.shape, Shape::Id | Shape::Moment | Shape::Sums)
                || matches!(*name, "platform" | "currency")
            {
                raw.push(format!("{} as raw_{name}", reading.value));
            }
            if reading.problem.is_some() || self.is_missing(name, field) {
                raw.push(format!("t.{name} as own_{name}"));
            }
        }
        raw
    }

    /// `select what from` the converted rows for which a condition over `t` is true.
    pub(super) fn select(&self, known: &Known, what: &str, condition: &str) -> String {
        let (columns, joins) = self.columns();
        let columns = columns.into_iter().zip(self.kind.column_names());
        let columns = columns.map(|(column, name)| format!("{column} as {name}"));
        let raw = self.raw();
        let columns: Vec<String> = columns.chain(raw).collect();
        // `offset 0` makes the server convert the breakdowns only once.
        let has_sums = self.fields().any(|(_, field)| field.shape == Shape::Sums);
        let fence = if has_sums { " offset 0" } else { "" };
        let mut from = format!(
            "(select {}, t as original from public.{} as t{joins} where {condition}{fence}) as c",
            columns.join(", "),
            self.kind
        );
        let aside = self.set_aside_columns();
        if !aside.is_empty() {
            let aside = aside
                .iter()
                .map(|column| format!("({}) is true as aside_{column}", self.is_set_aside(column)));
            let aside: Vec<String> = aside.collect();
            // Rules about JSON cost much, and each is asked for several times.
            let has_json = |column: &&str| {
                let mut fields = self.fields();
                fields.any(|(name, field)| name == *column && field.shape == Shape::Json)
            };
            let costly = has_sums || self.set_aside_columns().iter().any(has_json);
            let fence = if costly { " offset 0" } else { "" };
            from = format!("(select c.*, {} from {from}{fence}) as c", aside.join(", "));
        }
        format!("{}select {what} from {from}", self.lists(known))
    }

    pub(super) fn sound(&self, known: &Known) -> String {
        let broken: Vec<String> = self
            .asked(known)
            .filter(|rule| !rule.sets_aside())
            .map(|rule| format!("({})", rule.broken))
            .collect();
        format!("({}) is not true", broken.join(" or "))
    }

    /// Whether each rule is broken: an array in the order of `rules`.
    fn flags(&self, known: &Known) -> String {
        let flags: Vec<String> = self
            .rules
            .iter()
            .map(|rule| {
                let asked = self.asked(known).any(|asked| std::ptr::eq(asked, rule));
                if asked {
                    format!("({}) is true", rule.broken)
                } else {
                    "false".to_owned()
                }
            })
            .collect();
        format!("array[{}]", flags.join(", "))
    }

    /// The rows of a range that can move, in the binary form of COPY.
    pub(super) fn copy(&self, known: &Known, after: i64, until: i64) -> String {
        let columns = self.arriving().join(", ");
        let range = format!("t.id > {after} and t.id <= {until}");
        format!(
            "copy ({} where {}) to stdout (format binary)",
            self.select(known, &columns, &range),
            self.sound(known)
        )
    }

    /// The digest of those rows. The first two parameters are the range.
    pub(super) fn digest(&self, known: &Known) -> String {
        let digest = row_digest(self.kind);
        let columns = self.arriving().join(", ");
        let select = self.select(known, &columns, "t.id > $1 and t.id <= $2");
        format!(
            "select {digest} from ({select} where {}) as c",
            self.sound(known)
        )
    }

    /// The rows that can move and have the unique values of an earlier row that can: their numbers, in
    /// order, and that row's. `None` for a kind without unique values.
    pub(super) fn collisions(&self, known: &Known) -> Option<String> {
        let unique = self.kind.description().unique.first()?;
        let columns: Vec<String> = unique
            .columns
            .iter()
            .map(|name| format!("c.{name}"))
            .collect();
        let what = format!(
            "c.id::bigint as id, first_value(c.id::bigint) over (partition by {} order by c.id) as first",
            columns.join(", ")
        );
        let select = self.select(known, &what, "t.id is not null");
        Some(format!(
            "select c.id, c.first from ({select} where {}) as c where c.id <> c.first order by c.id",
            self.sound(known)
        ))
    }

    /// The absent records that a row refers to, from the rules that it breaks. `references` are the ids
    /// that it refers to, in the order of the kind's references.
    pub(super) fn absent(
        &self,
        flags: &[bool],
        references: &[Option<Uuid>],
    ) -> Vec<(Kind, Id<Record>)> {
        let broken = self.rules.iter().zip(flags).filter(|(_, broken)| **broken);
        let absent = broken.filter_map(|(rule, _)| match rule.trouble {
            Trouble::Absent(of) => {
                let mut places = self.kind.description().refers_to.iter();
                let place = places.position(|reference| reference.column == rule.field)?;
                let uuid = (*references.get(place)?)?;
                Some((of, Id::from_uuid(uuid).ok()?))
            }
            _ => None,
        });
        absent.collect()
    }

    /// The rows of a range that cannot move: number, the ids that they refer to in the order of the
    /// kind's references, flags, the row as JSON.
    pub(super) fn refused(&self, known: &Known) -> String {
        let references = self.kind.description().refers_to.iter();
        let references: Vec<String> = references
            .map(|reference| format!("c.{}", reference.column))
            .collect();
        let what = format!(
            "c.id, array[{}]::uuid[], {}, {}",
            references.join(", "),
            self.flags(known),
            self.original()
        );
        let select = self.select(known, &what, "t.id > $1 and t.id <= $2");
        format!(
            "{select} where ({}) is not true order by 1",
            self.sound(known)
        )
    }

    /// Rows as records: their columns, flags, the row as JSON.
    pub(super) fn records(&self, condition: &str, limit: &str) -> String {
        let what = self.record_columns();
        format!(
            "{} order by c.id {limit}",
            self.select(&Known::default(), &what, condition)
        )
    }

    pub(super) fn record_columns(&self) -> String {
        let listed = self.arriving().join(", ");
        format!(
            "{listed}, {}, {}",
            self.flags(&Known::default()),
            self.original()
        )
    }

    /// SQL for the row as JSON text. Where there is no content, it has none either: for JSON, null
    /// is a value. Types that the server cannot always make into JSON are texts there.
    fn original(&self) -> String {
        let mut original = "to_jsonb(c.original)".to_owned();
        if self.table.iter().any(Column::is_json) {
            // One value that the server cannot make into JSON would fail the whole row.
            let columns = self.table.iter().map(|column| {
                let value = format!("(c.original).{}", quoted(&column.name));
                let value = if column.is_json() {
                    columns::json_or_text(&value)
                } else {
                    value
                };
                format!("jsonb_build_object({}, {value})", constant(&column.name))
            });
            let columns: Vec<String> = columns.collect();
            original = format!("({})", columns.join(" || "));
        }
        let mut readings = self.readings.iter();
        if readings.any(|(name, field, _)| *name == "content" && self.is_missing(name, field)) {
            original = format!(
                "case when c.own_content is null then {original} - 'content' else {original} end"
            );
        }
        format!("({original})::text")
    }

    /// Whether a column's ids are those of the target. What has no id there is refused there.
    fn moves_as_it_is(&self, column: &str) -> bool {
        !self.has_map && self.ids == IdForm::Embedded && self.digits(column).is_none()
    }

    /// For each column of ids that refer to no record: SQL for whether all of them have the form. It
    /// looks at each id once, which costs less than to check each row.
    pub(super) fn with_ids(&self) -> impl Iterator<Item = (&'static str, String)> {
        let fields = self.fields().filter(|(column, field)| {
            field.shape == Shape::Id
                && self.must_exist(column).is_none()
                && self.moves_as_it_is(column)
        });
        fields.map(|(column, _)| {
            // `offset 0` keeps the server from checking each row. `exists` would leave its other
            // cores idle.
            let sql = format!(
                "select count(*) = 0 from \
                   (select distinct {column} as id from public.{} offset 0) as ids \
                 where not ({})",
                self.kind,
                self.ids.holds("ids.id")
            );
            (column, sql)
        })
    }

    /// The ids of records of a kind that rows refer to, each once, and null for values without an id.
    pub(super) fn references(&self, to: Kind) -> Result<String> {
        let id = self.id("t.uuid", "map");
        let join = self.join("t.uuid", "map");
        let references = self.kind.description().refers_to.iter();
        let columns: Vec<String> = references
            .filter(|reference| reference.kind == to)
            .map(|reference| {
                let column = reference.column;
                let mut readings = self.readings.iter();
                let reading = readings.find(|(name, _, _)| *name == column);
                let value = reading.map_or("null", |(_, _, reading)| &reading.value);
                let digits = self.digits(column);
                let digits = digits.as_deref().unwrap_or("null::uuid");
                format!(
                    "select distinct {value} as uuid, {digits} as digits from public.{} as t \
                     where t.{column} is not null",
                    self.kind
                )
            })
            .collect();
        if columns.is_empty() {
            let problem = format!("no row of {} refers to {to}", self.kind);
            return Err(Error::internal(problem));
        }
        Ok(format!(
            "{}select distinct coalesce(t.digits, {id}) from ({}) as t{join}",
            self.lists(&Known::default()),
            columns.join(" union ")
        ))
    }
}

fn rule(field: &'static str, trouble: Trouble, broken: &str) -> Rule {
    Rule {
        field,
        trouble,
        then: Then::Refused,
        broken: broken.to_owned(),
    }
}

/// True for an entry `e` of sums by book that is not named by an id's digits.
const WRONG_BOOK: &str = "e.key !~ '^[0-9a-f]{24}$'";

/// The platforms that most rows have. To find one of them costs the server a fifth of what it takes
/// to convert a name.
const PLATFORMS: &str = "('kdp', 'gumroad', 'apple_books')";

/// A platform in small letters, without blanks around it. Only ASCII letters are changed, as in
/// core.
pub(super) fn folded(name: &str) -> String {
    format!(
        "case when {name}::text collate \"C\" in {PLATFORMS} then {name}::text \
           else lower(btrim({name}::text, U&' \\0009\\000A\\000D') collate \"C\") end"
    )
}

/// SQL that is true for moments outside core's limits.
fn wrong_moment(column: &str) -> String {
    let end = limits::LAST_YEAR + 1;
    format!("c.raw_{column} < '4713-01-01 00:00:00 BC' or c.raw_{column} >= '{end}-01-01 00:00:00'")
}

/// SQL that is true if core refuses a name: it must have 1 to 50 characters, none of them control
/// characters, and no outer spaces. `raw` is the name before its conversion.
fn wrong_name(raw: &str, name: &str) -> String {
    const SPACE: &str = r"[\s\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";
    format!(
        "{raw} collate \"C\" not in {PLATFORMS} \
         and (char_length({name}) not between 1 and 50 \
           or {name} ~ '^{SPACE}|{SPACE}$|[\\u0001-\\u001f\\u007f-\\u009f]')"
    )
}
