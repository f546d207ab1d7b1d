//! The statements of each kind.

use authorstack_core::{Error, Result, migrate::Kind};

use crate::row::{book_columns, user_columns};

/// The statements of a kind.
pub(super) struct Statements {
    pub(super) direct: &'static str,
    pub(super) staging: &'static str,
    pub(super) stage: &'static str,
    pub(super) merge: &'static str,
    pub(super) page: &'static str,
    pub(super) some: &'static str,
}

const USERS: Statements = Statements {
    direct: concat!(
        "copy public.users (",
        user_columns!(),
        ") from stdin with (format binary)"
    ),
    staging: concat!(
        "create temp table authorstack_batch on commit drop as select ",
        user_columns!(),
        " from public.users with no data"
    ),
    stage: concat!(
        "copy pg_temp.authorstack_batch (",
        user_columns!(),
        ") from stdin with (format binary)"
    ),
    // JSON is compared as text: 1 and 1.0 are equal as jsonb and differ as records.
    merge: concat!(
        "with merged as (insert into public.users as held (",
        user_columns!(),
        ") select ",
        user_columns!(),
        " from pg_temp.authorstack_batch \
         on conflict (id) do update set auth_id = excluded.auth_id, \
           auth_provider = excluded.auth_provider, email = excluded.email, name = excluded.name, \
           subscription_tier = excluded.subscription_tier, credits = excluded.credits, \
           preferences = excluded.preferences, connected_platforms = excluded.connected_platforms, \
           created_at = excluded.created_at, updated_at = excluded.updated_at, \
           extra = excluded.extra \
         where (held.auth_id, held.auth_provider, held.email, held.name, held.subscription_tier, \
                held.credits, held.preferences::text, held.connected_platforms::text, \
                held.created_at, held.updated_at, held.extra::text) \
           is distinct from \
               (excluded.auth_id, excluded.auth_provider, excluded.email, excluded.name, \
                excluded.subscription_tier, excluded.credits, excluded.preferences::text, \
                excluded.connected_platforms::text, excluded.created_at, excluded.updated_at, \
                excluded.extra::text) \
         returning 1) select count(*) from merged"
    ),
    page: concat!(
        "select ",
        user_columns!(),
        " from public.users where id > $1 order by id limit $2"
    ),
    some: concat!(
        "select ",
        user_columns!(),
        " from public.users where id = any ($1) order by id"
    ),
};

const BOOKS: Statements = Statements {
    direct: concat!(
        "copy public.books (",
        book_columns!(),
        ") from stdin with (format binary)"
    ),
    staging: concat!(
        "create temp table authorstack_batch on commit drop as select ",
        book_columns!(),
        " from public.books with no data"
    ),
    stage: concat!(
        "copy pg_temp.authorstack_batch (",
        book_columns!(),
        ") from stdin with (format binary)"
    ),
    merge: concat!(
        "with merged as (insert into public.books as held (",
        book_columns!(),
        ") select ",
        book_columns!(),
        " from pg_temp.authorstack_batch \
         on conflict (id) do update set user_id = excluded.user_id, title = excluded.title, \
           subtitle = excluded.subtitle, author = excluded.author, \
           description = excluded.description, isbn = excluded.isbn, asin = excluded.asin, \
           cover_url = excluded.cover_url, genres = excluded.genres, \
           platforms = excluded.platforms, published_date = excluded.published_date, \
           status = excluded.status, metadata = excluded.metadata, \
           created_at = excluded.created_at, updated_at = excluded.updated_at, \
           extra = excluded.extra \
         where (held.user_id, held.title, held.subtitle, held.author, held.description, held.isbn, \
                held.asin, held.cover_url, held.genres, held.platforms, held.published_date, \
                held.status, held.metadata::text, held.created_at, held.updated_at, held.extra::text) \
           is distinct from \
               (excluded.user_id, excluded.title, excluded.subtitle, excluded.author, \
                excluded.description, excluded.isbn, excluded.asin, excluded.cover_url, \
                excluded.genres, excluded.platforms, excluded.published_date, excluded.status, \
                excluded.metadata::text, excluded.created_at, excluded.updated_at, \
                excluded.extra::text) \
         returning 1) select count(*) from merged"
    ),
    page: concat!(
        "select ",
        book_columns!(),
        " from public.books where id > $1 order by id limit $2"
    ),
    some: concat!(
        "select ",
        book_columns!(),
        " from public.books where id = any ($1) order by id"
    ),
};

pub(super) fn statements(kind: Kind) -> Result<&'static Statements> {
    match kind {
        Kind::Users => Ok(&USERS),
        Kind::Books => Ok(&BOOKS),
        other => Err(Error::internal(format!(
            "the Supabase target has no table for {other}"
        ))),
    }
}
