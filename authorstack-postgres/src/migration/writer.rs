//! Records as rows of this database.

use authorstack_core::{
    Id, Result,
    fields::{Field, Shape, Value},
    migrate::{Kind, Problem, Problems, Record},
};
use authorstack_sql::{ArrayWriter, WriteIds, each_value};
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use super::{
    columns::{Column, constant, quoted},
    conversion::{Conversion, folded},
    shared::Shared,
};

/// The ids in the form of the tables: the map's UUID if it has one, else the form from the
/// settings.
struct TableIds<'s>(&'s Shared);

impl WriteIds for TableIds<'_> {
    fn uuid(&self, id: Id<()>) -> Uuid {
        let mapped = self.0.map.uuid(id.cast());
        mapped.unwrap_or_else(|| self.0.ids.write(id))
    }

    /// The keys of sums by book are the ids' digits, as a roll-up writes them. For a book in the
    /// map, the key is its UUID.
    fn key(&self, field: &'static Field, key: String) -> String {
        if field.column != Some("book_breakdown") {
            return key;
        }
        let id: Option<Id<Record>> = key.parse().ok();
        let mapped = id.and_then(|id| self.0.map.uuid(id));
        mapped.map_or(key, |uuid| uuid.to_string())
    }
}

/// The problems of ids that would be read as other ids.
pub(super) fn check_ids(shared: &Shared, record: &Record) -> Problems {
    let mut problems = Problems::default();
    if !shared.has_map() {
        return problems;
    }
    each_value(record, |field, value| {
        let Some(Value::Id(id)) = value else { return };
        let id: Id<Record> = id.cast();
        let uuid = TableIds(shared).uuid(id.cast());
        if let Some(other) = shared.map.get(&uuid).filter(|other| *other != id) {
            let problem = format!(
                "{id} is the UUID {uuid} in this database, which id_map_file maps to {other}; map \
                 a UUID to {id}, too, or remove that line"
            );
            problems.push(Problem::new(field.name, problem));
        }
    });
    problems
}

/// Records as the rows `incoming` of a statement, with its arguments.
pub(super) struct Incoming {
    kind: Kind,
    names: Vec<&'static str>,
    /// The columns that the schema does not know, for values of `extra`.
    others: Vec<String>,
    /// SQL that returns the rows, with the types of the table.
    select: String,
    pub(super) arguments: PgArguments,
}

impl Incoming {
    pub(super) fn new<'r>(
        shared: &Shared,
        conversion: &Conversion,
        kind: Kind,
        records: impl Iterator<Item = &'r Record>,
    ) -> Result<Self> {
        let mut arrays = ArrayWriter::of_kind(kind, TableIds(shared));
        for record in records {
            arrays.push_record(record)?;
        }
        let names = arrays.names();
        let fields = kind.fields().iter();
        let values = fields.filter_map(|field| {
            let column = field.column?;
            Some(match field.shape {
                // The columns have no zone. They contain UTC.
                Shape::Moment => format!("timezone('UTC', i.{column}) as {column}"),
                Shape::Json | Shape::Sums => format!("i.{column}::jsonb as {column}"),
                _ => format!("i.{column}"),
            })
        });
        let others: Vec<&Column> = conversion
            .unknown()
            .filter(|column| kind.has_extra() && column.takes_extra())
            .collect();
        let keys: Vec<String> = others.iter().map(|column| constant(&column.name)).collect();
        let extra = kind.has_extra().then(|| {
            // What has a column of its own is there.
            let keys = keys.join(", ");
            format!("nullif(i.extra::jsonb - array[{keys}]::text[], '{{}}'::jsonb) as extra")
        });
        let placed = others.iter().map(|column| {
            format!(
                "{} as {}",
                column.value_in_extra(kind),
                quoted(&column.name)
            )
        });
        let values: Vec<String> = values.chain(extra).chain(placed).collect();
        let others = others.iter().map(|column| quoted(&column.name)).collect();
        let select = format!(
            "select {} from unnest({}) as i ({})",
            values.join(", "),
            arrays.parameters(1),
            names.join(", ")
        );
        let mut arguments = PgArguments::default();
        arrays.add_to(&mut arguments)?;
        Ok(Self {
            kind,
            names,
            others,
            select,
            arguments,
        })
    }

    /// Inserts the rows with their numbers.
    pub(super) fn insert(&self) -> String {
        format!(
            "insert into public.{} ({}) overriding system value {} order by i.id",
            self.kind,
            self.columns().collect::<Vec<_>>().join(", "),
            self.select
        )
    }

    /// All columns that are written.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        self.names.iter().copied().chain(others)
    }

    /// Updates the rows with these numbers. Their identity columns stay as they are.
    pub(super) fn update(&self) -> String {
        let identity = self.kind.description().identity;
        let set: Vec<String> = self
            .columns()
            .filter(|name| *name != "id" && !identity.contains(name))
            .map(|name| format!("{name} = incoming.{name}"))
            .collect();
        format!(
            "update public.{} as held set {} from ({}) as incoming where held.id = incoming.id",
            self.kind,
            set.join(", "),
            self.select
        )
    }

    /// The numbers of the rows for which the table has the same record under the same number.
    pub(super) fn same_records(&self) -> String {
        let of = |table: &str| columns_of(table, self.kind.description().identity);
        format!(
            "select held.id::bigint from public.{} as held join ({}) as incoming \
               on held.id = incoming.id \
             where row ({}) is not distinct from row ({})",
            self.kind,
            self.select,
            of("held"),
            of("incoming")
        )
    }

    /// The rows whose values in these columns another row has: their number and the number of the
    /// other row.
    pub(super) fn taken(&self, columns: &[&str]) -> String {
        format!(
            "select incoming.id::bigint, min(held.id)::bigint \
             from ({}) as incoming join public.{} as held on ({}) = ({}) \
             where held.id <> incoming.id group by 1",
            self.select,
            self.kind,
            columns_of("held", columns),
            columns_of("incoming", columns)
        )
    }
}

/// The columns, as two rows are compared by them: platforms are the same in any case.
fn columns_of(table: &str, columns: &[&str]) -> String {
    let columns = columns.iter().map(|column| match *column {
        "platform" => folded(&format!("{table}.{column}")),
        column => format!("{table}.{column}"),
    });
    columns.collect::<Vec<_>>().join(", ")
}
