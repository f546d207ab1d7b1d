-- The administrator a managed PostgreSQL gives its customer: no superuser.
create role admin
  login createdb createrole replication nosuperuser
  password :'password';
alter database postgres owner to admin;
