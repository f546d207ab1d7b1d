//! Writes identities. The tokens of the other services are left behind: a source does not give them.

use authorstack_core::{
    Error, Extra, Identity, Result,
    migrate::{Problem, Problems, Record},
};
use authorstack_sql::get;
use sqlx::{query, raw_sql};

use super::{
    super::{
        copy::{Buffer, CopyError, copy_rows},
        work::{Work, Worker},
    },
    Written, index_of, place_of, unstage,
};
use crate::error::from_sqlx;

const STAGING: &str = "\
    create temp table authorstack_identities ( \
      place int not null, old_id text collate \"C\" not null, provider text not null, \
      subject text not null, data jsonb not null, created_at timestamptz not null, \
      last_used_at timestamptz, user_id uuid \
    ) on commit drop";

const COPY: &str = "\
    copy pg_temp.authorstack_identities (place, old_id, provider, subject, data, created_at, \
      last_used_at) from stdin with (format binary)";

const COLUMNS: i16 = 7;

/// The accounts by their old ids, or by their own ids if no migration made them.
const FIND: &str = "\
    update pg_temp.authorstack_identities as staged \
      set user_id = coalesce(moved.id, own.id) \
      from pg_temp.authorstack_identities as again \
        left join authorstack.moved_accounts as moved on moved.old_id = again.old_id \
        left join auth.users as own on moved.id is null and own.id::text = again.old_id \
      where again.place = staged.place";

const TAKEN: &str = "\
    select staged.place, null from pg_temp.authorstack_identities as staged where user_id is null \
    union all \
    select staged.place, coalesce(moved.old_id, held.user_id::text) \
      from pg_temp.authorstack_identities as staged \
      join auth.identities as held on held.provider_id = staged.subject \
        and held.provider = staged.provider and held.user_id <> staged.user_id \
      left join authorstack.moved_accounts as moved on moved.id = held.user_id \
    order by 1";

const UNSTAGE: &str = "delete from pg_temp.authorstack_identities where place = any ($1)";

/// What the server learned at a sign-in stays beside what moves.
const MERGE: &str = "\
    with merged as ( \
      insert into auth.identities as held (provider_id, user_id, identity_data, provider, created_at, \
        updated_at, last_sign_in_at) \
      select subject, user_id, data, provider, created_at, now(), last_used_at \
      from pg_temp.authorstack_identities order by provider, subject \
      on conflict (provider_id, provider) do update set \
        identity_data = held.identity_data || excluded.identity_data, \
        created_at = excluded.created_at, updated_at = excluded.updated_at, \
        last_sign_in_at = excluded.last_sign_in_at \
      where ((held.identity_data)::text, held.created_at, held.last_sign_in_at) is distinct from \
        ((held.identity_data || excluded.identity_data)::text, excluded.created_at, \
          excluded.last_sign_in_at) \
      returning 1) \
    select count(*) from merged";

/// The names of the providers in the host's metadata, where clients look for them. Whoever has an
/// identity is not anonymous.
const NAMES: &str = "\
    update auth.users as held set is_anonymous = false, \
        raw_app_meta_data = coalesce(held.raw_app_meta_data, '{}') \
        || jsonb_build_object('providers', named.names) \
      from (select account.id, jsonb_agg(distinct name order by name) as names \
        from (select distinct user_id from pg_temp.authorstack_identities) as staged \
        join auth.users as account on account.id = staged.user_id \
        cross join lateral ( \
          select jsonb_array_elements_text(case jsonb_typeof(account.raw_app_meta_data -> 'providers') \
            when 'array' then account.raw_app_meta_data -> 'providers' else '[]' end) as name \
          union select provider from auth.identities where user_id = account.id) as all_names \
        group by account.id) as named \
      where held.id = named.id and (held.is_anonymous \
        or held.raw_app_meta_data -> 'providers' is distinct from named.names)";

fn stage(buffer: &mut Buffer, (index, identity): (usize, &Identity)) -> Result<()> {
    let mut data: Extra = identity.extra.clone();
    data.insert("sub".to_owned(), identity.subject.as_str().into());
    if let Some(email) = &identity.email {
        data.insert("email".to_owned(), email.as_str().into());
    }
    buffer.row(COLUMNS);
    buffer.field(&place_of(index).to_be_bytes())?;
    buffer.text(identity.account_id.as_str())?;
    buffer.text(identity.provider.as_str())?;
    buffer.text(&identity.subject)?;
    buffer.json(&data)?;
    buffer.moment(identity.created_at)?;
    match identity.last_used_at {
        Some(used) => buffer.moment(used)?,
        None => buffer.none(),
    }
    Ok(())
}

/// Writes identities, all in the open transaction.
pub(super) async fn write(
    work: &Work,
    worker: &mut Worker,
    records: &[Record],
    refused: &[(usize, Problems)],
) -> Result<Written> {
    let drop = "drop table if exists pg_temp.authorstack_identities";
    for sql in [drop, STAGING] {
        let run = raw_sql(sql).execute(&mut worker.connection);
        run.await.map_err(from_sqlx)?;
    }
    let moved = records.iter().enumerate().filter_map(|(index, record)| {
        let is_refused = refused.iter().any(|(at, _)| *at == index);
        match record {
            Record::Identity(identity) if !is_refused => Some((index, identity.as_ref())),
            _ => None,
        }
    });
    let Worker { connection, buffer } = worker;
    match copy_rows(connection, COPY, moved, buffer, stage).await {
        Ok(_) => work.execute(connection, query(FIND)).await?,
        Err(CopyError::Encoding(error)) => return Err(error),
        Err(CopyError::Database(error)) => return Err(from_sqlx(error)),
    }
    let mut found: Vec<(usize, Problems)> = Vec::new();
    for row in work.fetch_all(connection, query(TAKEN)).await? {
        let (place, other): (i32, Option<String>) = (get(&row, 0)?, get(&row, 1)?);
        let problem = match other {
            None => Problem::new(
                "accountId",
                "is no account of the target; move it first, then run again",
            ),
            Some(other) => Problem::new(
                "subject",
                format!("is linked with account {other} already; remove one of the two links"),
            ),
        };
        found.push((index_of(place), problem.into()));
    }
    if !found.is_empty() {
        unstage(work, connection, UNSTAGE, &found).await?;
    }
    let row = work.fetch_optional(connection, query(MERGE)).await?;
    let row = row.ok_or_else(|| Error::internal("a merge of identities answered nothing"))?;
    let written: i64 = get(&row, 0)?;
    work.execute(connection, query(NAMES)).await?;
    Ok((written.unsigned_abs(), found))
}
