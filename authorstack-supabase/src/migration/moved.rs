//! What was taken from where: a run can then follow what changes in its source, and a prune removes
//! what is gone there.

use std::{collections::HashSet, fmt::Write as _};

use authorstack_core::{
    Result,
    migrate::{Key, Kind, RowHolder, RowRange},
};
use authorstack_sql::get;
use sqlx::{AssertSqlSafe, PgConnection, query};
use uuid::Uuid;

use super::{
    SupabaseMigration, deferred,
    place::{Place, key_columns},
    statements::{is_moved, statements},
    work::{Durability, Work, digest, signed},
};

/// The form in which the ledger keeps the key of a record: its id, or a digest.
fn kept(place: &Place) -> Uuid {
    match place {
        Place::Id(id) => *id,
        other => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest(&other.to_string())[..16]);
            Uuid::from_bytes(bytes)
        }
    }
}

impl Work {
    /// Notes a range that was copied into an empty table. Its numbers are looked up at the end of the
    /// pass, when the table has its key again.
    pub(super) async fn note_range(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        range: RowRange,
        (origin, rows): (&str, u64),
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let insert = query(
            "insert into authorstack.moved (kind, origin, first, last, copied) \
             values ($1, $2, $3, $4, $5)",
        )
        .bind(kind.as_str())
        .bind(origin.to_owned())
        .bind(range.after)
        .bind(range.until)
        .bind(signed(rows));
        self.execute(connection, insert).await
    }

    /// Looks up the numbers of the ranges that were copied. If other rows came in between, which of
    /// them were copied is not known, and the range is forgotten.
    pub(super) async fn look_up_ranges(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
    ) -> Result<()> {
        if !kind.is_numbered() {
            return Ok(());
        }
        let (table, last) = (deferred::table(kind), i64::MAX);
        // Without a gap, the ends say it all.
        let dense = format!(
            "update authorstack.moved as moved set first = found.low, last = found.high, \
               copied = null, numbers = int8multirange(int8range(found.low, found.high, '[]')) \
             from (select notes.id, notes.copied, \
                 (select min(rows.id) from {table} as rows \
                    where rows.id > notes.first and rows.id <= notes.last) as low, \
                 (select max(rows.id) from {table} as rows \
                    where rows.id > notes.first and rows.id <= notes.last) as high \
               from authorstack.moved as notes \
               where notes.kind = $1 and notes.copied is not null) as found \
             where moved.id = found.id and found.high < {last} \
               and found.high::numeric - found.low + 1 = found.copied"
        );
        let others = format!(
            "update authorstack.moved as moved set first = found.low, last = found.high, \
               copied = null, numbers = found.numbers \
             from (select notes.id, min(rows.id) as low, max(rows.id) as high, \
                 range_agg(int8range(rows.id, rows.id, '[]')) as numbers \
               from authorstack.moved as notes join {table} as rows \
                 on rows.id > notes.first and rows.id <= notes.last and rows.id < {last} \
               where notes.kind = $1 and notes.copied is not null \
               group by notes.id, notes.copied, notes.last \
               having count(*) = notes.copied \
                 or (notes.last = {last} and count(*) + 1 = notes.copied)) as found \
             where moved.id = found.id"
        );
        let unknown =
            "delete from authorstack.moved where kind = $1 and copied is not null".to_owned();
        for statement in [dense, others, unknown] {
            let statement = query(AssertSqlSafe(statement)).bind(kind.as_str());
            self.execute(connection, statement).await?;
        }
        Ok(())
    }

    /// Notes rows, in the order of their numbers.
    pub(super) async fn note_numbers(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        origin: &str,
        numbers: &[i64],
    ) -> Result<()> {
        let insert = format!(
            "insert into authorstack.moved (kind, origin, first, last, numbers) \
             select $1, $2, min(id), max(id), range_agg(int8range(id, id, '[]')) \
             from unnest($3::bigint[]) as rows (id) where id < {} having count(*) > 0",
            i64::MAX
        );
        let insert = query(AssertSqlSafe(insert))
            .bind(kind.as_str())
            .bind(origin.to_owned())
            .bind(numbers.to_vec());
        self.execute(connection, insert).await
    }

    /// Notes records without numbers.
    pub(super) async fn note_places(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        origin: &str,
        places: &[Place],
    ) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let keys: Vec<Uuid> = places.iter().map(kept).collect();
        let insert =
            query("insert into authorstack.moved (kind, origin, keys) values ($1, $2, $3)")
                .bind(kind.as_str())
                .bind(origin.to_owned())
                .bind(keys);
        self.execute(connection, insert).await
    }

    /// Which of these rows were taken from an origin.
    pub(super) async fn moved_numbers(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        origin: &str,
        numbers: &[i64],
    ) -> Result<HashSet<i64>> {
        if numbers.is_empty() {
            return Ok(HashSet::new());
        }
        let select = format!(
            "select number from unnest($1::bigint[]) as asked (number) where {}",
            is_moved(kind, "asked.number", "$2")
        );
        let select = query(AssertSqlSafe(select))
            .bind(numbers.to_vec())
            .bind(origin.to_owned());
        let rows = self.fetch_all(connection, select).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    /// Which of these records were taken from an origin.
    async fn moved_places(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        origin: &str,
        places: &[Place],
    ) -> Result<Vec<Place>> {
        let numbers: Vec<i64> = places
            .iter()
            .filter_map(|place| match place {
                Place::Row(number) => Some(*number),
                _ => None,
            })
            .collect();
        let numbers = self
            .moved_numbers(&mut *connection, kind, origin, &numbers)
            .await?;
        let others: Vec<&Place> = places
            .iter()
            .filter(|place| !matches!(place, Place::Row(_)))
            .collect();
        let mut found: Vec<Place> = numbers.into_iter().map(Place::Row).collect();
        if others.is_empty() {
            return Ok(found);
        }
        let keys: Vec<Uuid> = others.iter().map(|place| kept(place)).collect();
        let select = query(
            "select distinct asked.at from unnest($1::uuid[]) with ordinality as asked (key, at) \
             join (select unnest(keys) as key from authorstack.moved \
                   where kind = $2 and origin = $3 and first is null) as moved \
               on moved.key = asked.key",
        )
        .bind(keys)
        .bind(kind.as_str())
        .bind(origin.to_owned());
        for row in self.fetch_all(connection, select).await? {
            let at: i64 = get(&row, 0)?;
            let place = usize::try_from(at - 1).ok().and_then(|at| others.get(at));
            found.extend(place.map(|place| (*place).clone()));
        }
        Ok(found)
    }
}

impl SupabaseMigration {
    pub(super) async fn moved_keys(
        &self,
        kind: Kind,
        origin: &str,
        keys: &[Key],
    ) -> Result<Vec<Key>> {
        let places: Vec<Place> = keys.iter().filter_map(Place::of).collect();
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let moved = self
            .work
            .moved_places(&mut worker.connection, kind, origin, &places);
        let moved = moved.await?;
        self.work.commit(worker).await?;
        Ok(moved.iter().filter_map(Place::key).collect())
    }

    /// Removes records that were taken from an origin, unless others refer to them.
    pub(super) async fn prune_keys(
        &self,
        kind: Kind,
        origin: &str,
        keys: &[Key],
    ) -> Result<Vec<Key>> {
        let places: Vec<Place> = keys.iter().filter_map(Place::of).collect();
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let moved = self.work.moved_places(connection, kind, origin, &places);
        let moved = moved.await?;
        // What is being added to them is seen then, and waits from now on.
        let hold = Place::bind_all(query(AssertSqlSafe(hold(kind))), kind, &moved);
        self.work.execute(connection, hold).await?;
        let delete = delete_unreferenced(kind);
        let delete = Place::bind_all(query(AssertSqlSafe(delete)), kind, &moved);
        let mut removed = Vec::new();
        for row in self.work.fetch_all(connection, delete).await? {
            removed.extend(Place::read(kind, &row, [0, 1])?.key());
        }
        self.work.commit(worker).await?;
        self.forget();
        Ok(removed)
    }

    /// Removes rows that were taken from an origin and still have their places. Returns how many of
    /// them were taken from there; a writer of another range may have changed some since.
    pub(super) async fn remove_moved(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        origin: &str,
        holders: &[RowHolder],
    ) -> Result<u64> {
        let rows = statements(kind)?.rows.as_ref();
        let Some(give_way) = rows.and_then(|rows| rows.give_way.as_deref()) else {
            return Ok(0);
        };
        let asked: Vec<i64> = holders.iter().map(|holder| holder.number).collect();
        let moved = self.work.moved_numbers(connection, kind, origin, &asked);
        let moved = moved.await?;
        let holders = holders.iter();
        let holders = holders.filter(|holder| moved.contains(&holder.number));
        let (numbers, places): (Vec<i64>, Vec<String>) = holders
            .map(|holder| (holder.number, holder.place.clone()))
            .unzip();
        let give_way = query(give_way).bind(numbers).bind(places);
        self.work.execute(connection, give_way).await?;
        Ok(moved.len() as u64)
    }
}

/// The columns of the key, and SQL for whether a row has one of the keys that are the parameters.
fn these(kind: Kind) -> (String, String) {
    let columns = key_columns(kind);
    let key = columns.iter().map(|(name, _)| format!("held.{name}"));
    let key = key.collect::<Vec<_>>().join(", ");
    let arrays = columns.iter().enumerate();
    let arrays = arrays.map(|(at, (_, of))| format!("${}::{of}[]", at + 1));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let these = format!("({key}) in (select * from unnest({arrays}))");
    (key, these)
}

/// SQL that locks records, so that nothing new can refer to them.
fn hold(kind: Kind) -> String {
    let (_, these) = these(kind);
    let table = deferred::table(kind);
    format!("select from {table} as held where {these} for update")
}

/// SQL that deletes those of some records that no other record refers to, and returns their keys.
fn delete_unreferenced(kind: Kind) -> String {
    let (key, these) = these(kind);
    let table = deferred::table(kind);
    let mut delete = format!("delete from {table} as held where {these}");
    for other in Kind::DATA {
        for reference in other.description().refers_to {
            if reference.kind == kind {
                let (table, column) = (deferred::table(*other), reference.column);
                let _ = write!(
                    delete,
                    " and not exists (select from {table} as other where other.{column} = held.id)"
                );
            }
        }
    }
    format!("{delete} returning {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_with_books_or_sales_is_kept() {
        let delete = delete_unreferenced(Kind::Users);
        for other in ["books", "sales_data", "post_likes"] {
            let clause = format!("from public.{other} as other where other.user_id = held.id");
            assert!(delete.contains(&clause), "{delete}");
        }
        assert!(!delete_unreferenced(Kind::PostLikes).contains("other"));
    }

    #[test]
    fn keys_without_an_id_are_kept_as_digests() {
        let (post, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(kept(&Place::Id(post)), post);
        assert_ne!(
            kept(&Place::Like(post, user)),
            kept(&Place::Like(user, post))
        );
    }
}
