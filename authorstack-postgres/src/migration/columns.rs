//! The columns that the source's tables have, and the SQL that reads each as the type that the
//! schema has. Other people's apps have changed types: what converts without loss is converted here.
//! No expression raises an error, whatever the data: what a value does not allow becomes null, and
//! a rule names it.

use authorstack_core::{
    Error, Result,
    fields::{Field, Shape},
    limits,
    migrate::Kind,
    resilience::with_deadline,
};
use authorstack_sql::{Pool, from_sqlx, get};
use sqlx::{PgConnection, query};

use crate::config::SERVER;

/// A column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type, as the server writes it.
    declared: String,
    held: Held,
    pub(super) not_null: bool,
    /// Whether it is a key by itself, and never null.
    pub(super) is_key: bool,
    /// Whether the table computes it.
    pub(super) generated: bool,
    /// The expression of its default.
    default: Option<String>,
}

/// What a type holds, as far as a conversion must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// `smallint`, `integer`, `bigint`: the bytes of a value.
    Integer(u8),
    /// With the digits before and behind the decimal point, if they are limited.
    Numeric(Option<(i32, i32)>),
    Float,
    Money,
    Text,
    Uuid,
    Json,
    Jsonb,
    Date,
    Timestamp,
    TimestampTz,
    Other,
}

impl Held {
    /// From the name, the kind and the modifier of a type of the server.
    fn of(name: &str, kind: &str, category: &str, modifier: i32) -> Self {
        match name {
            "int2" => Self::Integer(2),
            "int4" => Self::Integer(4),
            "int8" => Self::Integer(8),
            "numeric" if modifier < 4 => Self::Numeric(None),
            "numeric" => {
                let precision = ((modifier - 4) >> 16) & 0xffff;
                // Eleven bits with a sign.
                let scale = (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400;
                Self::Numeric(Some((precision - scale, scale)))
            }
            "float4" | "float8" => Self::Float,
            "money" => Self::Money,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            // Texts of any length, and names from a list.
            _ if category == "S" || kind == "e" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The columns of a kind's table, in their order; none if there is no such table.
pub(super) async fn of_table(
    pool: &Pool,
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<Column>> {
    let look = query(
        "select a.attname::text, format_type(a.atttypid, a.atttypmod), b.typname::text, \
           b.typtype::text, b.typcategory::text, b.modifier, a.attnotnull, \
           a.attgenerated <> '' or a.attidentity <> '', pg_get_expr(d.adbin, d.adrelid), \
           a.attnotnull and exists (select from pg_index as i where i.indrelid = a.attrelid \
             and i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1 \
             and i.indkey[0] = a.attnum) \
         from pg_attribute as a \
         left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum cross join lateral ( \
           with recursive base (oid, modifier) as ( \
             select a.atttypid, a.atttypmod union all \
             select t.typbasetype, t.typtypmod from base join pg_type as t using (oid) \
             where t.typtype = 'd') \
           select case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname \
               else '' end as typname, t.typtype, t.typcategory, base.modifier \
           from base join pg_type as t using (oid) where t.typtype <> 'd') as b \
         where a.attrelid = to_regclass('public.' || $1) and a.attnum > 0 and not a.attisdropped \
         order by a.attnum",
    )
    .bind(kind.as_str());
    let limit = pool.timeouts().load;
    let look = pool.statement(look);
    let rows = with_deadline(limit, async {
        look.fetch_all(connection)
            .await
            .map_err(|error| from_sqlx(error, &SERVER))
    });
    let rows = rows.await?;
    let columns = rows.iter().map(|row| {
        let (name, kind, category): (String, String, String) =
            (get(row, 2)?, get(row, 3)?, get(row, 4)?);
        Ok(Column {
            name: get(row, 0)?,
            declared: get(row, 1)?,
            held: Held::of(&name, &kind, &category, get(row, 5)?),
            not_null: get(row, 6)?,
            generated: get(row, 7)?,
            default: get(row, 8)?,
            is_key: get(row, 9)?,
        })
    });
    columns.collect()
}

impl Column {
    /// Whether values of `extra` can be written into it.
    pub(super) fn takes_extra(&self) -> bool {
        !self.generated && self.extra().is_some()
    }

    /// The value for this column in the object `i.extra`. Where a column needs a value and there is
    /// none, it gets its default.
    pub(super) fn value_in_extra(&self, kind: Kind) -> String {
        let (name, key) = (quoted(&self.name), constant(&self.name));
        let value = format!(
            "(jsonb_populate_record(null::public.{kind}, \
                jsonb_build_object({key}, i.extra::jsonb -> {key}))).{name}"
        );
        match &self.default {
            Some(default) if self.not_null => format!("coalesce({value}, {default})"),
            _ => value,
        }
    }

    /// Whether the server compares its values as UUIDs.
    pub(super) fn is_uuid(&self) -> bool {
        self.held == Held::Uuid
    }

    /// Whether the server may fail to make a value into `jsonb`.
    pub(super) fn is_json(&self) -> bool {
        self.held == Held::Json
    }

    /// The value of a column that the schema does not know, as `jsonb`; `None` for the schema's own
    /// column `extra`.
    pub(super) fn extra(&self) -> Option<String> {
        let is_own = self.held == Held::Jsonb && self.name == "extra";
        (!is_own).then(|| self.as_json(&format!("t.{}", quoted(&self.name))))
    }

    /// A value of the column as `jsonb`. A number with more digits than a double has is a text, and
    /// so is JSON that readers refuse.
    pub(super) fn as_json(&self, value: &str) -> String {
        let readable = |json: &str| {
            format!(
                "(select case when j is null or {} or {} then to_jsonb({value}::text) else j end \
                  from (select {json} as j) as read)",
                large_numbers("j"),
                deep("j")
            )
        };
        match self.held {
            Held::Jsonb => readable(value),
            Held::Json => readable(&json(value, "true")),
            Held::Numeric(_) => format!(
                "case when {value} = trunc({value}) and abs({value}) < 9223372036854775807 \
                     then to_jsonb(trunc({value})) \
                   when abs({value}) between 1e-300 and 1e300 then \
                     case when {value}::float8::text::numeric = {value} \
                       then to_jsonb({value}::float8) else to_jsonb({value}::text) end \
                   else to_jsonb({value}::text) end"
            ),
            _ => format!("to_jsonb({value})"),
        }
    }
}

/// How a column is read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The value in the schema's type.
    pub(super) value: String,
    /// What is wrong with a value for which `value` is null.
    pub(super) problem: Option<&'static str>,
}

impl Reading {
    fn sure(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            problem: None,
        }
    }

    fn checked(value: String, problem: &'static str) -> Self {
        Self {
            value,
            problem: Some(problem),
        }
    }
}

const WHOLE: &str = "is not a whole number that an integer holds, from -2147483648 to 2147483647; \
                     correct it";
const AMOUNT: &str = "is not an amount of at most 8 digits before the decimal point and 2 behind \
                      it, and is not rounded here; correct it";
const SHARE: &str = "has more than 2 digits behind the decimal point, or is not a number from 0 to \
                     1, and is not rounded here; correct it";
const DAY: &str = "is not one day, such as 2024-07-01; correct it";
const MOMENT: &str =
    "is not a date and time, such as 2024-07-01T12:00:00Z; correct it, or set none";
const JSON: &str = "is not JSON that jsonb holds without loss; correct it";
const NO_ID: &str = "is not an id of 24 digits, and not a UUID with one; correct it";

/// The name of a column in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text constant in a statement.
pub(super) fn constant(text: &str) -> String {
    // The transaction has standard strings, in which only a quote is special.
    format!("'{}'", text.replace('\'', "''"))
}

/// Reads a column as the type of a field.
///
/// # Errors
/// The table, the column, its type and the type that it needs, in one line.
pub(super) fn read(kind: Kind, field: &Field, column: &Column) -> Result<Reading, String> {
    let t = format!("t.{}", column.name);
    let reading = match field.shape {
        _ if column.name == "id" => match column.held {
            Held::Integer(8) => Some(Reading::sure(t)),
            Held::Integer(_) => Some(Reading::sure(format!("{t}::bigint"))),
            _ => None,
        },
        Shape::Id => match column.held {
            Held::Uuid => Some(Reading::sure(t)),
            Held::Text => Some(Reading::checked(text_id(&t), NO_ID)),
            _ => None,
        },
        Shape::Text | Shape::TextOrEmpty => match column.held {
            Held::Text | Held::Json | Held::Jsonb | Held::Uuid => {
                Some(Reading::sure(format!("{t}::text")))
            }
            _ => None,
        },
        Shape::Whole(..) => whole(&t, column.held),
        Shape::Decimal if column.name == "confidence" => decimal(&t, column.held, 1, SHARE),
        Shape::Decimal => decimal(&t, column.held, 8, AMOUNT),
        Shape::Day => day(&t, column.held),
        Shape::Moment => moment(&t, column.held),
        Shape::Json | Shape::Sums => match column.held {
            Held::Jsonb => Some(Reading::sure(t)),
            Held::Json => Some(Reading::checked(json(&t, "true"), JSON)),
            Held::Text => Some(Reading::checked(json(&t, &is_json(&t)), JSON)),
            _ => None,
        },
        // The analytics have no others.
        Shape::Bool | Shape::Float | Shape::Texts | Shape::Part | Shape::Parts => {
            Some(Reading::sure(t))
        }
    };
    reading.ok_or_else(|| {
        format!(
            "the column {} of {kind} has the type {}, which does not convert without loss; it \
             needs {}: change its type, or name a view with that type {kind}",
            column.name,
            column.declared,
            needed(field, &column.name)
        )
    })
}

fn needed(field: &Field, name: &str) -> &'static str {
    match field.shape {
        _ if name == "id" => "integer or bigint",
        Shape::Id => "uuid",
        Shape::Whole(..) => "integer",
        Shape::Decimal if name == "confidence" => "numeric(3,2)",
        Shape::Decimal => "numeric(10,2)",
        Shape::Day => "date",
        Shape::Moment => "timestamp",
        Shape::Json | Shape::Sums | Shape::Part | Shape::Parts => "jsonb",
        Shape::Text | Shape::TextOrEmpty | Shape::Texts => "text",
        Shape::Bool => "boolean",
        Shape::Float => "double precision",
    }
}

/// A UUID in a text. The digits of an id are the UUID in AuthorStack's own form.
fn text_id(t: &str) -> String {
    let text = format!("lower(btrim({t}::text))");
    format!("case when {text} ~ '{UUID}' then {text}::uuid end")
}

/// The digits of an id in a text, as a UUID in AuthorStack's own form.
pub(super) fn digits(column: &Column) -> Option<String> {
    if column.held != Held::Text {
        return None;
    }
    let text = format!("lower(btrim(t.{}::text))", column.name);
    let part = |from: u8, length: u8| format!("substr({text}, {from}, {length})");
    Some(format!(
        "case when {text} ~ '^[0-9a-f]{{24}}$' then ({} || {} || '8' || {} || '8' || {} || {} || \
           '000000')::uuid end",
        part(1, 8),
        part(9, 4),
        part(13, 3),
        part(16, 3),
        part(19, 6)
    ))
}

pub(super) const UUID: &str = "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$";

/// A number in a text. The limits keep the conversion itself from failing.
const NUMBER: &str =
    r"^ *[-+]?([0-9]{1,100}(\.[0-9]{0,100})?|\.[0-9]{1,100})([eE][-+]?[0-9]{1,2})? *$";

/// Any number as a `numeric` with all its digits; null for what is none.
fn number(t: &str, held: Held) -> Option<String> {
    match held {
        Held::Integer(_) | Held::Money => Some(format!("{t}::numeric")),
        Held::Numeric(_) => Some(t.to_owned()),
        // The server writes the shortest text that is this float.
        Held::Float => Some(format!(
            "case when {t} between -1e18 and 1e18 then {t}::text::numeric end"
        )),
        Held::Text => Some(format!(
            "case when {t}::text ~ '{NUMBER}' then {t}::text::numeric end"
        )),
        Held::Uuid
        | Held::Json
        | Held::Jsonb
        | Held::Date
        | Held::Timestamp
        | Held::TimestampTz
        | Held::Other => None,
    }
}

fn whole(t: &str, held: Held) -> Option<Reading> {
    let within = |number: &str| {
        format!("case when {number} between -2147483648 and 2147483647 then {number}::integer end")
    };
    match held {
        Held::Integer(4) => Some(Reading::sure(t)),
        Held::Integer(2) => Some(Reading::sure(format!("{t}::integer"))),
        Held::Integer(_) => Some(Reading::checked(within(t), WHOLE)),
        // A share of a cent, or of a thing, is none.
        Held::Money => None,
        _ => {
            let number = number(t, held)?;
            let value = format!(
                "(select case when n = trunc(n) then {} end from (select {number} as n) as read)",
                within("n")
            );
            Some(Reading::checked(value, WHOLE))
        }
    }
}

/// A number with two digits behind the decimal point, and at most so many before it. `NaN` of the
/// own type is left to a rule of its own.
fn decimal(t: &str, held: Held, before: i32, problem: &'static str) -> Option<Reading> {
    if let Held::Numeric(Some((most, scale))) = held
        && most <= before
        && scale == 2
    {
        return Some(Reading::sure(t));
    }
    let number = number(t, held)?;
    let limit = 10_i64.pow(before.unsigned_abs());
    let value = format!(
        "(select case when n = round(n, 2) and abs(n) < {limit} then round(n, 2) end \
          from (select {number} as n) as read)"
    );
    Some(Reading::checked(value, problem))
}

/// The day of a moment, if it is the first moment of a day.
fn midnight(moment: &str) -> String {
    format!(
        "(select case when m = date_trunc('day', m) then m::date end \
          from (select {moment} as m) as read)"
    )
}

const DATE: &str = r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";

/// Whether a text that begins like a date has a day of its month.
fn is_day(text: &str) -> String {
    format!(
        "to_char((substr({text}, 1, 8) || '01')::date + (substr({text}, 9, 2)::integer - 1), \
           'YYYY-MM-DD') = substr({text}, 1, 10)"
    )
}

fn day(t: &str, held: Held) -> Option<Reading> {
    match held {
        Held::Date => Some(Reading::sure(t)),
        Held::Timestamp => Some(Reading::checked(midnight(t), DAY)),
        Held::TimestampTz => {
            let moment = format!("timezone(interval '0', {t})");
            Some(Reading::checked(midnight(&moment), DAY))
        }
        Held::Text => {
            let text = format!("btrim({t}::text)");
            let value = format!(
                "case when {text} ~ '^{DATE}([T ]00:00(:00(\\.0+)?)?)?(Z|[+]00:?00)?$' then \
                   case when {} then substr({text}, 1, 10)::date end end",
                is_day(&text)
            );
            Some(Reading::checked(value, DAY))
        }
        _ => None,
    }
}

/// A moment as a `timestamp` in UTC.
fn moment(t: &str, held: Held) -> Option<Reading> {
    match held {
        Held::Timestamp => Some(Reading::sure(t)),
        Held::TimestampTz => Some(Reading::sure(format!("timezone(interval '0', {t})"))),
        Held::Date => Some(Reading::checked(
            format!("case when {t} < '200000-01-01' or {t} = 'infinity' then {t}::timestamp end"),
            MOMENT,
        )),
        Held::Text => {
            const TIME: &str = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6}0*)?)?";
            const ZONE: &str = r" ?(Z|z|[-+](0[0-9]|1[0-4])(:?[0-5][0-9])?)";
            let text = format!("btrim({t}::text)");
            let value = format!(
                "case when {text} ~ '^{DATE}({TIME}({ZONE})?)?$' then case when {} then \
                   timezone(interval '0', (case when {text} ~ '[0-9]{{2}}:[0-9]{{2}}.*{ZONE}$' \
                     then {text} else {text} || ' +00' end)::timestamptz) end end",
                is_day(&text)
            );
            Some(Reading::checked(value, MOMENT))
        }
        _ => None,
    }
}

/// What `json` is without its strings.
fn without_strings(json: &str, instead: &str) -> String {
    format!(r#"regexp_replace({json}, '"([^"\\]|\\.)*"', {instead}, 'g')"#)
}

/// JSON in a text or in `json`, as `jsonb`, which refuses some characters and numbers, and keeps
/// only one of two values of one name.
fn json(t: &str, is_json: &str) -> String {
    let text = format!("{t}::text");
    let escapes = format!(
        r"regexp_replace(regexp_replace({text}, '\\\\', '', 'g'), '\\u[dD][89abAB][0-9a-fA-F]{{2}}\\u[dD][c-fC-F][0-9a-fA-F]{{2}}', '', 'g')"
    );
    let bare = without_strings(&text, "''");
    let names = |text: &str| {
        let bare = without_strings(text, "''");
        format!("length(regexp_replace({bare}, '[^:]', '', 'g'))")
    };
    format!(
        r"case when {is_json} then case when {escapes} !~ '\\u(0000|[dD][89a-fA-F])' and {bare} !~ '[eE][-+]?[0-9]{{4}}' then case when {} = {} then {text}::jsonb end end end",
        names(&text),
        names(&format!("{text}::jsonb::text")),
    )
}

/// A value of the type `json`, as `jsonb`: as a text, if that cannot hold it.
pub(super) fn json_or_text(value: &str) -> String {
    format!("coalesce({}, to_jsonb({value}::text))", json(value, "true"))
}

/// Whether a text is JSON. Servers before version 16 cannot be asked, so brackets are taken away
/// from the inside out.
fn is_json(t: &str) -> String {
    let text = format!("{t}::text");
    // Two characters that JSON does not have stand for a name or text, and for another value.
    let strings = format!(
        r#"regexp_replace({text}, '"([^"\\\u0001-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{{4}})*"', chr(1), 'g')"#
    );
    let scalars = format!(
        r"regexp_replace({strings}, '-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null', chr(2), 'g')"
    );
    let bare = format!(r"regexp_replace({scalars}, '[ \t\n\r]+', '', 'g')");
    format!(
        r"({text} !~ '[\u0001\u0002]' and (with recursive peeled (n, x) as (select 0, {bare} union all select n + 1, regexp_replace(regexp_replace(x, '\[([\u0001\u0002](,[\u0001\u0002])*)?\]', chr(2), 'g'), '\{{(\u0001:[\u0001\u0002](,\u0001:[\u0001\u0002])*)?\}}', chr(2), 'g') from peeled where n < 400 and length(x) > 1) select coalesce(bool_or(x in (chr(1), chr(2))), false) from peeled))"
    )
}

/// The error about columns that do not convert.
pub(super) fn unfit(problems: &[String]) -> Error {
    Error::configuration(crate::config::SERVER.setting, problems.join("; "))
}

/// SQL that is true for JSON with numbers too large for a double.
pub(super) fn large_numbers(json: &str) -> String {
    format!(
        "jsonb_path_exists({json}, '$.** ? (@.type() == \"number\" \
           && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')"
    )
}

/// SQL that is true for JSON that is nested deeper than core's limit.
pub(super) fn deep(json: &str) -> String {
    let levels = limits::LEVELS;
    format!("jsonb_path_exists({json}, 'strict $.**{{{levels}}}')")
}
