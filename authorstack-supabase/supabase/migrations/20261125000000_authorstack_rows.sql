-- Rows of the analytics move in ranges of their numbers, a few side by side.

-- Which run a pass belongs to: what an earlier one still writes is refused.
alter table authorstack.checkpoints add column run bigint not null default 0;

-- The ranges that a pass has done.
create table authorstack.done_ranges (
  kind text not null references authorstack.checkpoints (kind) on delete cascade,
  -- Rows behind the one number, up to the other.
  after bigint not null,
  until bigint not null,
  read bigint not null,
  written bigint not null,
  unchanged bigint not null,
  rejected bigint not null,
  primary key (kind, after)
);

-- A key is put off in two parts: its index, and the constraint that takes it.
alter table authorstack.deferred_ddl drop constraint deferred_ddl_pkey;
alter table authorstack.deferred_ddl add primary key (kind, name, is_index);

-- The same checks in words that cost less for each row: a function with settings of its own is
-- called anew each time.
alter table public.sales_data
  drop constraint sales_data_book_id_check,
  drop constraint sales_data_currency_check,
  add constraint sales_data_book_id_check check (
    get_byte(uuid_send(book_id), 6) >> 4 = 8
    and get_byte(uuid_send(book_id), 8) >> 4 = 8
    and substr(uuid_send(book_id), 14) = '\x000000'::bytea
  ),
  add constraint sales_data_currency_check check (
    currency = 'USD' or currency ~ '^[A-Z]{3}$'
  );

insert into authorstack.schema_version (version) values ('20261125000000');
