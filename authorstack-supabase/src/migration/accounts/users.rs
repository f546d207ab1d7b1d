//! Writes accounts.

use authorstack_core::{
    Email, Error, Phone, Result,
    migrate::{MovedAccount, Problem, Problems, Record},
    secrecy::ExposeSecret,
};
use authorstack_sql::get;
use sqlx::{query, raw_sql};

use super::{
    super::{
        batch::savepoint,
        copy::{Buffer, CopyError, copy_rows},
        work::{Work, Worker},
    },
    Written, derived_id, index_of, marks, place_of, unstage,
};
use crate::{account_metadata as metadata, error::from_sqlx};

/// The staging table. `id` is found in it, and so is whether the account is new.
const STAGING: &str = "\
    create temp table authorstack_accounts ( \
      place int not null, old_id text collate \"C\" not null, old_provider text not null, \
      id uuid not null, email text, email_verified boolean not null, phone text, \
      phone_verified boolean not null, hash text, owners jsonb not null, hosts jsonb not null, \
      is_anonymous boolean not null, is_blocked boolean not null, created_at timestamptz not null, \
      updated_at timestamptz not null, last_seen_at timestamptz, is_new boolean not null default true \
    ) on commit drop";

const COPY: &str = "\
    copy pg_temp.authorstack_accounts (place, old_id, old_provider, id, email, email_verified, phone, \
      phone_verified, hash, owners, hosts, is_anonymous, is_blocked, created_at, updated_at, \
      last_seen_at) from stdin with (format binary)";

const COLUMNS: i16 = 16;

/// An account that moved before keeps its id; any other one gets that of its profile.
const FIND: &str = "\
    update pg_temp.authorstack_accounts as staged \
      set id = coalesce(moved.id, profile.id, staged.id), is_new = moved.id is null \
      from pg_temp.authorstack_accounts as again \
        left join authorstack.moved_accounts as moved on moved.old_id = again.old_id \
        left join public.users as profile on profile.auth_id = again.old_id \
      where again.place = staged.place";

/// What other accounts have: those of the project, unless they give it up in this batch, and earlier
/// ones of the batch. Whoever has it already comes first.
const TAKEN: &str = "\
    with staged as ( \
      select staged.*, held.email as held_email, held.phone as held_phone, held.id as held_id \
        from pg_temp.authorstack_accounts as staged \
        left join auth.users as held on held.id = staged.id), \
    ranked as ( \
      select staged.*, \
        first_value(old_id) over by_email as email_first, \
        first_value(old_id) over by_phone as phone_first \
      from staged window \
        by_email as (partition by email order by (held_email is not distinct from email) desc, place), \
        by_phone as (partition by phone order by (held_phone is not distinct from phone) desc, place)) \
    select place, 'id', held_id::text from ranked where is_new and held_id is not null \
    union all \
    select place, 'email', email_first from ranked where email is not null and email_first <> old_id \
    union all \
    select place, 'phone', phone_first from ranked where phone is not null and phone_first <> old_id \
    union all \
    select staged.place, 'email', coalesce(moved.old_id, held.id::text) from staged \
      join auth.users as held on held.email = staged.email and held.is_sso_user = false \
        and held.id <> staged.id \
      left join authorstack.moved_accounts as moved on moved.id = held.id \
      where not exists (select from staged as other \
        where other.id = held.id and other.email is distinct from held.email) \
    union all \
    select staged.place, 'phone', coalesce(moved.old_id, held.id::text) from staged \
      join auth.users as held on held.phone = staged.phone and held.id <> staged.id \
      left join authorstack.moved_accounts as moved on moved.id = held.id \
      where not exists (select from staged as other \
        where other.id = held.id and other.phone is distinct from held.phone) \
    order by 1";

const UNSTAGE: &str = "delete from pg_temp.authorstack_accounts where place = any ($1)";

/// Accounts that exchange an address or a number have none for a moment.
const LEAVE: &str = "\
    update auth.users as held set \
        email = case when held.email is distinct from staged.email then null else held.email end, \
        phone = case when held.phone is distinct from staged.phone then null else held.phone end \
      from pg_temp.authorstack_accounts as staged \
      where held.id = staged.id and exists ( \
        select from pg_temp.authorstack_accounts as other where other.id <> held.id \
          and (other.email = held.email and held.email is distinct from staged.email \
            or other.phone = held.phone and held.phone is distinct from staged.phone))";

/// Profiles follow. Their own dates stay: nothing of the profile itself changes.
const FOLLOW: &str = "\
    with noted as (update authorstack.moved_accounts as held \
      set profile_provider = profile.auth_provider \
      from public.users as profile, pg_temp.authorstack_accounts as staged \
      where profile.auth_id = staged.old_id and held.old_id = staged.old_id) \
    update public.users as profile set auth_id = staged.id::text, auth_provider = 'supabase' \
      from pg_temp.authorstack_accounts as staged where profile.auth_id = staged.old_id";

/// Brings the accounts up to date, and returns how many were written. Where the server reads texts,
/// they are empty, never null: it could not sign the account in otherwise. What it writes into the
/// metadata itself stays (`$1`: the claims, `$2`: the names of ours). A password that was set in
/// place of a lost one stays, too. Whoever has an identity is not anonymous. A hundred years are a ban for good: the server cannot read
/// infinity.
const MERGE: &str = "\
    with merged as ( \
      insert into auth.users as held (instance_id, id, aud, role, email, encrypted_password, \
        email_confirmed_at, phone, phone_confirmed_at, confirmation_token, recovery_token, \
        email_change_token_new, email_change, raw_user_meta_data, raw_app_meta_data, created_at, \
        updated_at, last_sign_in_at, is_anonymous, banned_until) \
      select '00000000-0000-0000-0000-000000000000', id, 'authenticated', 'authenticated', email, hash, \
        case when email_verified then created_at end, phone, \
        case when phone_verified then created_at end, '', '', '', '', owners, \
        hosts || jsonb_strip_nulls(jsonb_build_object( \
          'provider', case when email is not null then 'email' when phone is not null then 'phone' end, \
          'providers', array_remove(array[case when email is not null then 'email' end, \
            case when phone is not null then 'phone' end], null))), \
        created_at, updated_at, last_seen_at, is_anonymous, \
        case when is_blocked then now() + interval '876000 hours' end \
      from pg_temp.authorstack_accounts order by id \
      on conflict (id) do update set \
        email = excluded.email, phone = excluded.phone, \
        encrypted_password = case \
          when excluded.raw_app_meta_data ? 'password_lost' \
            and held.raw_app_meta_data ? 'password_lost' then held.encrypted_password \
          else excluded.encrypted_password end, \
        email_confirmed_at = case when excluded.email_confirmed_at is null then null \
          else coalesce(held.email_confirmed_at, excluded.email_confirmed_at) end, \
        phone_confirmed_at = case when excluded.phone_confirmed_at is null then null \
          else coalesce(held.phone_confirmed_at, excluded.phone_confirmed_at) end, \
        raw_user_meta_data = coalesce((select jsonb_object_agg(key, value) \
            from jsonb_each(case jsonb_typeof(held.raw_user_meta_data) when 'object' \
              then held.raw_user_meta_data else '{}' end) \
            where key = any ($1) and key <> 'name'), '{}') || excluded.raw_user_meta_data, \
        raw_app_meta_data = coalesce(held.raw_app_meta_data, '{}') - $2 \
          || (excluded.raw_app_meta_data - array['provider', 'providers']), \
        created_at = excluded.created_at, updated_at = excluded.updated_at, \
        last_sign_in_at = excluded.last_sign_in_at, \
        is_anonymous = excluded.is_anonymous and not exists ( \
            select from auth.identities as link where link.user_id = held.id \
              and link.provider not in ('email', 'phone')), \
        banned_until = case when excluded.banned_until is null then null \
          when held.banned_until > now() then held.banned_until else excluded.banned_until end \
      where (held.email, held.phone, held.created_at, held.updated_at, held.last_sign_in_at, \
          held.is_anonymous, held.email_confirmed_at is null, held.phone_confirmed_at is null, \
          coalesce(held.banned_until > now(), false), \
          case when excluded.raw_app_meta_data ? 'password_lost' \
            and held.raw_app_meta_data ? 'password_lost' then '' \
            else coalesce(held.encrypted_password, '') end, \
          (held.raw_app_meta_data)::text, (held.raw_user_meta_data)::text) \
        is distinct from (excluded.email, excluded.phone, excluded.created_at, excluded.updated_at, \
          excluded.last_sign_in_at, excluded.is_anonymous and not exists ( \
            select from auth.identities as link where link.user_id = held.id \
              and link.provider not in ('email', 'phone')), excluded.email_confirmed_at is null, \
          excluded.phone_confirmed_at is null, excluded.banned_until is not null, \
          case when excluded.raw_app_meta_data ? 'password_lost' \
            and held.raw_app_meta_data ? 'password_lost' then '' \
            else coalesce(excluded.encrypted_password, '') end, \
          (coalesce(held.raw_app_meta_data, '{}') - $2 \
            || (excluded.raw_app_meta_data - array['provider', 'providers']))::text, \
          (coalesce((select jsonb_object_agg(key, value) \
            from jsonb_each(case jsonb_typeof(held.raw_user_meta_data) when 'object' \
              then held.raw_user_meta_data else '{}' end) \
            where key = any ($1) and key <> 'name'), '{}') || excluded.raw_user_meta_data)::text) \
      returning 1) \
    select count(*) from merged";

/// The ways of signing in by address and by number.
const GONE: &str = "\
    delete from auth.identities as way using pg_temp.authorstack_accounts as staged \
      where way.user_id = staged.id and not staged.is_new \
        and (way.provider = 'email' and staged.email is null \
          or way.provider = 'phone' and staged.phone is null)";

const WAYS: &str = "\
    insert into auth.identities as held (provider_id, user_id, identity_data, provider, created_at, \
        updated_at) \
      select staged.id::text, staged.id, jsonb_strip_nulls(jsonb_build_object('sub', staged.id, \
          'email', case way when 'email' then staged.email end, \
          'phone', case way when 'phone' then staged.phone end, \
          'email_verified', way = 'email' and staged.email_verified, \
          'phone_verified', way = 'phone' and staged.phone_verified)), \
        way, staged.created_at, staged.updated_at \
      from pg_temp.authorstack_accounts as staged, unnest(array['email', 'phone']) as way \
      where case way when 'email' then staged.email else staged.phone end is not null \
      on conflict (provider_id, provider) do update \
        set identity_data = held.identity_data || excluded.identity_data, \
          updated_at = excluded.updated_at \
        where held.identity_data is distinct from held.identity_data || excluded.identity_data";

const NOTE: &str = "\
    insert into authorstack.moved_accounts as held (old_id, old_provider, id) \
      select old_id, old_provider, id from pg_temp.authorstack_accounts \
      on conflict (old_id) do update set old_provider = excluded.old_provider, id = excluded.id \
        where (held.old_provider, held.id) is distinct from (excluded.old_provider, excluded.id)";

/// A row of the staging table.
fn stage(buffer: &mut Buffer, (index, moved): (usize, &MovedAccount)) -> Result<()> {
    let account = &moved.account;
    let hash = match moved.password.hash() {
        Some(hash) => Some(hash.for_supabase()?),
        None => None,
    };
    buffer.row(COLUMNS);
    buffer.field(&place_of(index).to_be_bytes())?;
    buffer.text(account.id.as_str())?;
    buffer.text(account.provider.as_str())?;
    buffer.uuid(derived_id(moved))?;
    text_or_none(buffer, account.email.as_ref().map(Email::as_str))?;
    buffer.field(&[u8::from(account.email_verified)])?;
    text_or_none(buffer, account.phone.as_ref().map(Phone::digits))?;
    buffer.field(&[u8::from(account.phone_verified)])?;
    text_or_none(buffer, hash.as_ref().map(ExposeSecret::expose_secret))?;
    buffer.json(&metadata::of_user(&account.name, &account.prefs))?;
    buffer.json(&metadata::of_app(&marks(moved))?)?;
    buffer.field(&[u8::from(account.is_anonymous)])?;
    buffer.field(&[u8::from(account.is_blocked)])?;
    buffer.moment(account.created_at)?;
    buffer.moment(account.updated_at)?;
    match account.last_seen_at {
        Some(seen) => buffer.moment(seen)?,
        None => buffer.none(),
    }
    Ok(())
}

fn text_or_none(buffer: &mut Buffer, text: Option<&str>) -> Result<()> {
    match text {
        Some(text) => buffer.text(text)?,
        None => buffer.none(),
    }
    Ok(())
}

/// Stages the accounts, and finds their ids.
async fn stage_all(
    work: &Work,
    worker: &mut Worker,
    records: &[Record],
    refused: &[(usize, Problems)],
) -> Result<()> {
    let drop = "drop table if exists pg_temp.authorstack_accounts";
    for sql in [drop, STAGING] {
        let run = raw_sql(sql).execute(&mut worker.connection);
        run.await.map_err(from_sqlx)?;
    }
    let moved = records.iter().enumerate().filter_map(|(index, record)| {
        let is_refused = refused.iter().any(|(at, _)| *at == index);
        match record {
            Record::Account(moved) if !is_refused => Some((index, moved.as_ref())),
            _ => None,
        }
    });
    let Worker { connection, buffer } = worker;
    match copy_rows(connection, COPY, moved, buffer, stage).await {
        Ok(_) => work.execute(connection, query(FIND)).await,
        Err(CopyError::Encoding(error)) => Err(error),
        Err(CopyError::Database(error)) => Err(from_sqlx(error)),
    }
}

/// The staged accounts that others keep from being written.
async fn find_taken(work: &Work, worker: &mut Worker) -> Result<Vec<(usize, Problems)>> {
    let mut found: Vec<(usize, Problems)> = Vec::new();
    for row in work.fetch_all(&mut worker.connection, query(TAKEN)).await? {
        let (place, field, other): (i32, &str, String) =
            (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        let problem = match field {
            "id" => Problem::new(
                "id",
                format!(
                    "would become {other}, which is that of an account that no run made; delete that \
                     one, then run again"
                ),
            ),
            "email" => Problem::new(
                "email",
                format!(
                    "is that of account {other} already; change one of the two, then run again"
                ),
            ),
            _ => Problem::new(
                "phone",
                format!(
                    "is that of account {other} already; change one of the two, then run again"
                ),
            ),
        };
        let index = index_of(place);
        match found.last_mut() {
            Some((last, problems)) if *last == index => {
                if !problems.0.iter().any(|known| known.field == problem.field) {
                    problems.push(problem);
                }
            }
            _ => found.push((index, problem.into())),
        }
    }
    Ok(found)
}

/// The accounts that others of the project keep from being written. Leaves a savepoint.
pub(super) async fn taken(
    work: &Work,
    worker: &mut Worker,
    records: &[Record],
    refused: &[(usize, Problems)],
) -> Result<Vec<(usize, Problems)>> {
    savepoint(&mut worker.connection).await?;
    stage_all(work, worker, records, refused).await?;
    find_taken(work, worker).await
}

/// Writes accounts, all in the open transaction.
pub(super) async fn write(
    work: &Work,
    worker: &mut Worker,
    records: &[Record],
    refused: &[(usize, Problems)],
) -> Result<Written> {
    stage_all(work, worker, records, refused).await?;
    let mut all = Vec::new();
    // One that is refused may have left its value to another: so they are looked for again.
    loop {
        let found = find_taken(work, worker).await?;
        if found.is_empty() {
            break;
        }
        unstage(work, &mut worker.connection, UNSTAGE, &found).await?;
        all.extend(found);
    }
    let connection = &mut worker.connection;
    work.execute(connection, query(LEAVE)).await?;
    let ours = ["labels", "has_mfa", "old_id", "password_lost"];
    let merge = query(MERGE).bind(metadata::CLAIMS).bind(&ours[..]);
    let row = work.fetch_optional(connection, merge).await?;
    let row = row.ok_or_else(|| Error::internal("a merge of accounts answered nothing"))?;
    let written: i64 = get(&row, 0)?;
    for sql in [GONE, WAYS, NOTE, FOLLOW] {
        work.execute(connection, query(sql)).await?;
    }
    Ok((written.unsigned_abs(), all))
}
