-- What migrations into this project took from where. So a later run knows rows and records of its
-- source from those that were written here: it can follow what changes there, and remove what is
-- gone there.
create table authorstack.moved (
  id bigint generated always as identity primary key,
  kind text not null,
  -- The source's table or collection.
  origin text not null,
  -- For rows with numbers: the first, the last, and all of them.
  first bigint,
  last bigint,
  numbers int8multirange,
  -- How many rows of a range were copied into an empty table; their numbers are looked up at the end
  -- of the pass.
  copied bigint,
  -- For all others: their ids, or digests of their keys.
  keys uuid[]
);

create index moved_kind_origin_first_idx on authorstack.moved (kind, origin, first);

insert into authorstack.schema_version (version) values ('20261128040000');
