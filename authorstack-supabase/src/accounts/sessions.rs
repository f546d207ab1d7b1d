use async_trait::async_trait;
use authorstack_core::{AuthId, Error, Result, Session, SessionId, SessionRepository};
use authorstack_sql::get;
use sqlx::{postgres::PgRow, query};
use uuid::Uuid;

use super::{store::SupabaseAccounts, write};
use crate::account_rows::{auth_id, uuid_of};

#[derive(Debug)]
pub(super) struct SupabaseSessions(pub(super) SupabaseAccounts);

fn session(row: &PgRow) -> Result<Session> {
    Ok(Session {
        id: get::<Uuid>(row, 0)?.to_string().parse()?,
        account_id: auth_id(get(row, 1)?)?,
        created_at: get(row, 2)?,
        last_used_at: get(row, 3)?,
        expires_at: get(row, 4)?,
        ip: get(row, 5)?,
        client: get(row, 6)?,
    })
}

#[async_trait]
impl SessionRepository for SupabaseSessions {
    async fn list(&self, account_id: &AuthId) -> Result<Vec<Session>> {
        let Ok(id) = uuid_of(account_id) else {
            return Ok(Vec::new());
        };
        // `refreshed_at` has no zone; the server writes UTC.
        let select = "select id, user_id, \
             date_trunc('milliseconds', coalesce(created_at, updated_at, now())), \
             date_trunc('milliseconds', coalesce(refreshed_at at time zone 'UTC', updated_at)), \
             date_trunc('milliseconds', not_after), host(ip), user_agent \
             from auth.sessions where user_id = $1 and (not_after is null or not_after > now()) \
             order by created_at desc, id desc";
        let rows = self.0.rows(query(select).bind(id)).await?;
        rows.iter().map(session).collect()
    }

    async fn revoke(&self, account_id: &AuthId, id: &SessionId) -> Result<()> {
        let account = uuid_of(account_id)?;
        let id: Uuid = id.as_str().parse().map_err(|_| Error::not_found())?;
        // The refresh tokens go with it.
        let delete = "delete from auth.sessions where id = $1 and user_id = $2 returning id";
        let row = self.0.row(query(delete).bind(id).bind(account)).await?;
        row.map(drop).ok_or_else(Error::not_found)
    }

    async fn revoke_all(&self, account_id: &AuthId) -> Result<()> {
        write::end_sessions(&self.0, uuid_of(account_id)?).await
    }
}
