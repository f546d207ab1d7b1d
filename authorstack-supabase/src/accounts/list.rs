use async_trait::async_trait;
use authorstack_core::{
    Account, AccountPatch, AccountRepository, AuthId, Credential, Email, Error, ErrorKind,
    ExportedAccount, NewAccount, Password, Result,
};
use futures::{StreamExt, stream, stream::BoxStream};
use sqlx::{AssertSqlSafe, postgres::PgRow, query};
use uuid::Uuid;

use super::{store::SupabaseAccounts, write};
use crate::account_rows::{COLUMNS, MOVED, account, exported, uuid_of};

/// Rows that a stream reads at once.
const PAGE: i64 = 500;

#[derive(Debug)]
pub(super) struct SupabaseAccountList(pub(super) SupabaseAccounts);

impl SupabaseAccountList {
    async fn get_row(&self, id: Uuid) -> Result<Account> {
        let select = format!(
            "select {COLUMNS} from auth.users as u where u.id = $1 and u.deleted_at is null"
        );
        let row = self.0.row(query(AssertSqlSafe(select)).bind(id)).await?;
        account(&row.ok_or_else(Error::not_found)?)
    }

    /// Creates an account whose password the server hashes.
    async fn create_with(&self, new: &NewAccount, password: &Password) -> Result<Account> {
        if let Some(id) = &new.id {
            write::uuid_of_new(id)?;
        }
        let id = match self.0.inner().admin.create(new, password).await {
            Ok(id) => uuid_of(&id)?,
            // The server answers an id that is taken, and a race, as a mistake of its own.
            Err(error) if matches!(error.kind(), ErrorKind::Internal { .. }) => {
                return Err(self.taken(new).await?.unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        if new.created_at.is_some() || new.last_seen_at.is_some() {
            let set = "update auth.users set created_at = coalesce($2, created_at), \
                       last_sign_in_at = coalesce($3, last_sign_in_at) where id = $1 returning 1";
            let set = query(set).bind(id).bind(new.created_at);
            self.0.row(set.bind(new.last_seen_at)).await?;
        }
        self.get_row(id).await
    }

    /// Which of the unique values of an account another one has.
    async fn taken(&self, new: &NewAccount) -> Result<Option<Error>> {
        let look = "select coalesce(bool_or(id = $1), false), coalesce(bool_or(email = $2), false), \
                    coalesce(bool_or(phone = $3), false) from auth.users \
                    where id = $1 or email = $2 and not is_sso_user or phone = $3";
        let id = new.id.as_ref().map(uuid_of).transpose()?;
        let look = query(look)
            .bind(id)
            .bind(new.email.as_ref().map(Email::as_str))
            .bind(new.phone.as_ref().map(|phone| phone.digits().to_owned()));
        let Some(row) = self.0.row(look).await? else {
            return Ok(None);
        };
        for (index, field) in ["id", "email", "phone"].into_iter().enumerate() {
            if authorstack_sql::get(&row, index)? {
                return Ok(Some(Error::already_exists(field)));
            }
        }
        Ok(None)
    }

    async fn ban(&self, id: &AuthId, until: &str) -> Result<Account> {
        // An account that is blocked already keeps its ban, and its moment.
        let update = format!(
            "with changed as (update auth.users as u set banned_until = {until}, updated_at = {MOVED} \
               where u.id = $1 and u.deleted_at is null \
                 and coalesce(u.banned_until > now(), false) is distinct from \
                     coalesce({until} > now(), false) \
               returning {COLUMNS}) \
             select * from changed \
             union all \
             select {COLUMNS} from auth.users as u \
             where u.id = $1 and u.deleted_at is null and not exists (select from changed)"
        );
        let update = query(AssertSqlSafe(update)).bind(uuid_of(id)?);
        let row = self.0.row(update).await?;
        account(&row.ok_or_else(Error::not_found)?)
    }

    /// Walks through the accounts by their ids.
    fn walk<T: Send + 'static>(
        &self,
        select: String,
        read: fn(&PgRow) -> Result<T>,
    ) -> BoxStream<'static, Result<T>> {
        let start = Some((self.0.clone(), Uuid::nil()));
        let pages = stream::unfold(start, move |state| {
            let select = select.clone();
            async move {
                let (store, after) = state?;
                let page = query(AssertSqlSafe(select)).bind(after).bind(PAGE);
                let rows = match store.rows(page).await {
                    Ok(rows) => rows,
                    Err(error) => return Some((vec![Err(error)], None)),
                };
                let last = rows.last().map(|row| authorstack_sql::get::<Uuid>(row, 0));
                let next = match last {
                    None => return None,
                    Some(Ok(last)) => Some((store, last)),
                    Some(Err(error)) => return Some((vec![Err(error)], None)),
                };
                Some((rows.iter().map(read).collect(), next))
            }
        });
        pages.flat_map(stream::iter).boxed()
    }
}

#[async_trait]
impl AccountRepository for SupabaseAccountList {
    async fn create(&self, new: NewAccount) -> Result<Account> {
        match &new.credential {
            Credential::Password(password) if !new.is_anonymous => {
                self.create_with(&new, password).await
            }
            Credential::Password(_) => Err(Error::invalid(
                "credential",
                "is a password, and an anonymous account has none",
            )),
            Credential::Hash(hash) => {
                let hash = hash.for_supabase()?;
                write::create(&self.0, &new, Some(&hash)).await
            }
            Credential::None => write::create(&self.0, &new, None).await,
        }
    }

    async fn get(&self, id: &AuthId) -> Result<Account> {
        self.get_row(uuid_of(id)?).await
    }

    async fn get_by_email(&self, email: &Email) -> Result<Account> {
        // Of an address, single sign-on may have accounts of its own; those come last.
        let select = format!(
            "select {COLUMNS} from auth.users as u where u.email = $1 and u.deleted_at is null \
             order by u.is_sso_user, u.id limit 1"
        );
        let select = query(AssertSqlSafe(select)).bind(email.as_str());
        let row = self.0.row(select).await?;
        account(&row.ok_or_else(Error::not_found)?)
    }

    fn stream(&self) -> BoxStream<'static, Result<Account>> {
        let select = format!(
            "select {COLUMNS} from auth.users as u where u.id > $1 and u.deleted_at is null \
             order by u.id limit $2"
        );
        self.walk(select, account)
    }

    fn export(&self) -> BoxStream<'static, Result<ExportedAccount>> {
        let select = format!(
            "select {COLUMNS}, u.encrypted_password from auth.users as u \
             where u.id > $1 and u.deleted_at is null order by u.id limit $2"
        );
        self.walk(select, exported)
    }

    async fn update(&self, id: &AuthId, patch: AccountPatch) -> Result<Account> {
        write::update(&self.0, uuid_of(id)?, &patch).await
    }

    async fn set_credential(&self, id: &AuthId, credential: Credential) -> Result<()> {
        let id = uuid_of(id)?;
        match credential {
            Credential::Password(password) => {
                self.0.inner().admin.set_password(id, &password).await?;
                // The server ends the sessions itself; this makes sure of it.
                write::end_sessions(&self.0, id).await
            }
            Credential::Hash(hash) => {
                let hash = hash.for_supabase()?;
                write::set_hash(&self.0, id, Some(&hash)).await
            }
            Credential::None => write::set_hash(&self.0, id, None).await,
        }
    }

    async fn block(&self, id: &AuthId) -> Result<Account> {
        // A hundred years, as the vendor's own dashboard does it: its server cannot read infinity.
        self.ban(id, "now() + interval '876000 hours'").await
    }

    async fn unblock(&self, id: &AuthId) -> Result<Account> {
        self.ban(id, "null::timestamptz").await
    }

    async fn delete(&self, id: &AuthId) -> Result<()> {
        let id = uuid_of(id)?;
        // Settings have no foreign key where the project had no schema auth when it was set up.
        let delete = "with settings as (delete from public.user_preferences where user_id = $1) \
                      delete from auth.users where id = $1 returning id";
        let row = self.0.row(query(delete).bind(id)).await?;
        row.map(drop).ok_or_else(Error::not_found)
    }
}
