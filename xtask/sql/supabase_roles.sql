-- The roles of a hosted Supabase project, made once for the whole cluster.
-- The superuser is supabase_admin; what a customer gets is postgres.
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;

create role authenticator login noinherit password :'password';
grant anon, authenticated, service_role to authenticator;

create role postgres
  login nosuperuser createdb createrole replication bypassrls
  password :'password';
grant anon, authenticated, service_role to postgres;

create role supabase_auth_admin login noinherit createrole password :'password';
alter role supabase_auth_admin set search_path = 'auth';

alter database postgres owner to postgres;
