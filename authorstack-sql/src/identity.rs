//! Which database a connection leads to, and what it holds beside the schema.

/// SQL for a text that tells the database of a connection from all others: the server's start, to
/// the microsecond, and the database's number there.
///
/// The server's own identifier would not do: a restored copy keeps it.
pub const IDENTITY: &str = "select format('database %s of the server started at %s', \
     (select oid from pg_catalog.pg_database where datname = current_database()), \
     extract(epoch from pg_catalog.pg_postmaster_start_time()))";

/// SQL for a text that tells a table in `public` (`$1`) from all others, and stays when the server
/// restarts; null if there is no such table. A copy that was made with the whole server, file by file,
/// has the same.
pub const ORIGIN: &str = "select format('postgresql:%s/%s/%s', \
     (select system_identifier from pg_catalog.pg_control_system()), \
     (select oid from pg_catalog.pg_database where datname = current_database()), c.oid) \
   from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
   where n.nspname = 'public' and c.relname = $1";

/// SQL for the tables and views outside the system's schemas that are none of the known ones (`$1`)
/// in `public`, or in that schema alone if `$2`: the name, whether it is a view, and about how many rows it has, where the server
/// has counted them. Parts of a partitioned table and what belongs to an extension are left out.
pub const OTHER_TABLES: &str = "select case n.nspname when 'public' then c.relname::text \
       else n.nspname || '.' || c.relname end, \
     c.relkind in ('v', 'm'), \
     case when c.relkind = 'r' and c.reltuples >= 0 then c.reltuples::bigint end \
   from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition \
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
     and not (n.nspname = 'public' and c.relname = any ($1)) \
     and not exists (select from pg_catalog.pg_depend as d \
                     where d.objid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass \
                       and d.deptype = 'e') \
     and (n.nspname = 'public' or not $2) \
   order by 1 limit 1000";
