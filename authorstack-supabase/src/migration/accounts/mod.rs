//! Accounts and identities in a migration: rows of `auth.users` and `auth.identities`, which are
//! another role's. Batches are copied into a staging table and merged from there, in the transaction
//! of their checkpoint.

mod identities;
mod read;
mod users;

use authorstack_core::{
    Id, Result, User,
    migrate::{Applied, Digest, Key, Kind, MovedAccount, Problem, Problems, Record, SinkBatch},
};
use sqlx::{PgConnection, query};
use uuid::Uuid;

pub(super) use self::read::{fetch, scan};
use super::{
    SupabaseMigration,
    batch::roll_back,
    work::{Work, Worker},
};
use crate::account_metadata as metadata;

/// The condition for the rows of a kind.
pub(super) const fn which(kind: Kind) -> &'static str {
    match kind {
        Kind::Accounts => "where deleted_at is null",
        Kind::Identities => "where provider not in ('email', 'phone')",
        _ => "",
    }
}

/// What Supabase Auth cannot hold of a record, found from the record alone.
pub(super) fn screen(record: &Record) -> Problems {
    let found = match record {
        Record::Account(moved) => metadata::of_app(&marks(moved)).err().map(Problem::from),
        Record::Identity(identity) if matches!(identity.provider.as_str(), "email" | "phone") => {
            let problem = "is no other service: addresses and numbers are fields of the account";
            Some(Problem::new("provider", problem))
        }
        _ => None,
    };
    found.map_or_else(Problems::default, Problems::from)
}

fn marks(moved: &MovedAccount) -> metadata::Marks<'_> {
    let account = &moved.account;
    metadata::Marks {
        labels: &account.labels,
        has_mfa: account.has_mfa,
        old_id: Some(&account.id),
        password_lost: moved.password.lost_algorithm(),
        extra: &account.extra,
    }
}

/// The id of an account that no profile belongs to: it follows from the account's old id, in the form
/// of profiles, so that its profile can have it too.
fn derived_id(moved: &MovedAccount) -> Uuid {
    let account = &moved.account;
    let seconds = u32::try_from(account.created_at.timestamp()).unwrap_or_default();
    let digest = Digest::of_bytes(account.id.as_str().as_bytes()).0;
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&digest[..8]);
    Id::<User>::from_bytes(bytes).to_uuid()
}

/// What became of a batch: how many records were written, and those that are refused.
type Written = (u64, Vec<(usize, Problems)>);

/// Number of a record in its batch, in SQL.
fn place_of(index: usize) -> i32 {
    // A batch has far fewer records.
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn index_of(place: i32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Removes refused records from a staging table.
async fn unstage(
    work: &Work,
    connection: &mut PgConnection,
    statement: &'static str,
    refused: &[(usize, Problems)],
) -> Result<()> {
    let places: Vec<i32> = refused.iter().map(|(index, _)| place_of(*index)).collect();
    work.execute(connection, query(statement).bind(places))
        .await
}

impl SupabaseMigration {
    /// Writes the records of a batch.
    pub(super) async fn write_accounts(
        &self,
        kind: Kind,
        records: &[Record],
        worker: &mut Worker,
    ) -> Result<Written> {
        let mut refused = screened(records);
        let (written, more) = match kind {
            Kind::Identities => identities::write(&self.work, worker, records, &refused).await?,
            _ => users::write(&self.work, worker, records, &refused).await?,
        };
        refused.extend(more);
        Ok((written, refused))
    }

    /// The records that others of the project keep from being written.
    pub(super) async fn taken_accounts(
        &self,
        kind: Kind,
        records: &[Record],
        mut worker: Worker,
    ) -> Result<Vec<(usize, Problems)>> {
        // The accounts that identities belong to have not moved yet.
        if kind == Kind::Identities {
            self.work.commit(worker).await?;
            return Ok(Vec::new());
        }
        let refused = screened(records);
        let found = users::taken(&self.work, &mut worker, records, &refused).await?;
        // What was staged is not kept.
        roll_back(&mut worker.connection).await?;
        self.work.commit(worker).await?;
        Ok(found)
    }

    /// Writes and removes records whose ledger is in another store.
    pub(super) async fn apply_accounts(
        &self,
        batch: &SinkBatch<'_>,
        mut worker: Worker,
    ) -> Result<Applied> {
        let mut removed = 0;
        for key in batch.removals {
            removed += self.remove_account(&mut worker.connection, key).await?;
        }
        let (written, refused) = self
            .write_accounts(batch.kind, batch.upserts, &mut worker)
            .await?;
        self.work.commit(worker).await?;
        Ok(Applied {
            written,
            unchanged: (batch.upserts.len() - refused.len()) as u64 - written,
            removed,
            refused,
        })
    }

    async fn remove_account(&self, connection: &mut PgConnection, key: &Key) -> Result<u64> {
        let remove = match key {
            Key::Account(id) => query(
                "delete from auth.users where id = coalesce( \
                   (select id from authorstack.moved_accounts where old_id = $1), \
                   (select id from auth.users where id::text = $1)) returning 1",
            )
            .bind(id.as_str().to_owned()),
            Key::Identity(provider, subject) => query(
                "delete from auth.identities where provider = $1 and provider_id = $2 returning 1",
            )
            .bind(provider.as_str().to_owned())
            .bind(subject.clone()),
            _ => return Ok(0),
        };
        let row = self.work.fetch_optional(connection, remove).await?;
        Ok(u64::from(row.is_some()))
    }
}

fn screened(records: &[Record]) -> Vec<(usize, Problems)> {
    let found = records.iter().enumerate();
    let found = found.map(|(index, record)| (index, screen(record)));
    found.filter(|(_, problems)| !problems.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use authorstack_core::{AuthProvider, NewAccount, migrate::MovedPassword};

    use super::*;

    #[test]
    fn an_account_without_a_profile_always_gets_the_same_id() -> Result<()> {
        let of = |id: &str| -> Result<Uuid> {
            let mut new = NewAccount::anonymous();
            new.created_at = "2024-05-01T00:00:00Z".parse().ok();
            let account = new.into_account(id.parse()?, AuthProvider::APPWRITE);
            Ok(derived_id(&MovedAccount::new(
                account,
                MovedPassword::none(),
            )))
        };
        assert_eq!(of("66f2")?, of("66f2")?);
        assert_ne!(of("66f2")?, of("66f3")?);
        assert!(Id::<User>::from_uuid(of("66f2")?).is_ok());
        Ok(())
    }
}
