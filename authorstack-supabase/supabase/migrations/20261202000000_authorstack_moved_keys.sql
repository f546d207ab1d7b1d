-- A row holds thousands of ids. Compression takes time and hardly makes them smaller.
alter table authorstack.moved alter column keys set storage external;

insert into authorstack.schema_version (version) values ('20261202000000');
