-- +goose Up

-- Each hash says which secret it needs, and the ledger is found by event and by person.
alter table openings add column key text not null default '';
comment on column openings.key is 'id of the secret that keyed_id was made with; empty: made before that was noted';
create index on openings (keyed_id);

insert into marks (name)
select distinct 'secret ' || key
from (
	select address_key as key from attendees where address_index <> ''
	union all
	select person_key from sealed where person is not null
	union all
	select key from tombstones
) as used;
comment on column marks.name is 'what is true: "simulated", "discovered", "replaying", or "secret" and the id of one that has written here';

-- The leaf is text, so that one that was tampered with still restores; no text inside it
-- has this before the event's own: quotes are escaped there.
create index ledger_entries_event on ledger_entries (substring(leaf from '"event":"([^"]+)"'), index)
	where leaf ~ '"kind":"(blocked|deleted)"';

-- A replay finds a hold by its entry, and may come before the person who is held.
alter table holds
	add column entry    bigint unique,
	add column keyed_id bytea,
	add column key      text not null default '';
alter table holds alter column keyed_id set statistics 0;
comment on column holds.entry is 'the ledger''s entry by which it was added; null: it was added before that was noted';
comment on column holds.keyed_id is 'HMAC of the registration''s id, where a restored backup does not have it: it is held as soon as it is pulled; null: nobody is waited for';
comment on column holds.key is 'id of the secret that keyed_id was made with';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
