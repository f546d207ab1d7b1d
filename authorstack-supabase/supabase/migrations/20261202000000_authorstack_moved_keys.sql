-- Thousands of ids that hardly become smaller: trying costs more than to keep them as they are.
alter table authorstack.moved alter column keys set storage external;

insert into authorstack.schema_version (version) values ('20261202000000');
