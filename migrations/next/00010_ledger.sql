-- +goose Up

create table ledger_entries (
	index bigint primary key,
	leaf  text not null
);
comment on table ledger_entries is 'what was done: the leaves of the ledger''s tree';
comment on column ledger_entries.index is 'its place, from 0';
comment on column ledger_entries.leaf is 'the entry, in its one spelling';

create table ledger_hashes (
	position bigint primary key,
	hash     bytea not null
);
comment on table ledger_hashes is 'the tree''s hashes (RFC 6962)';
comment on column ledger_hashes.position is 'where golang.org/x/mod/sumdb/tlog stores it';
comment on column ledger_hashes.hash is 'SHA-256';

create table ledger_checkpoints (
	size bigint primary key,
	note text not null
);
comment on table ledger_checkpoints is 'the tree''s size and root, signed';
comment on column ledger_checkpoints.size is 'how many entries it covers';
comment on column ledger_checkpoints.note is 'the signed note';

create table openings (
	index    bigint primary key,
	salt     bytea not null,
	keyed_id bytea not null,
	key      text not null default ''
);
alter table openings alter column keyed_id set statistics 0;
comment on table openings is 'what opens the ledger''s commitments; pruned, so that the ledger forgets too';
comment on column openings.index is 'the entry';
comment on column openings.salt is 'random';
comment on column openings.key is 'id of the secret that keyed_id was made with';
comment on column openings.keyed_id is 'HMAC of the registration''s id';

-- +goose StatementBegin
create function ledger_only_grows() returns trigger language plpgsql as $$
begin
	raise exception 'the ledger is only ever appended to' using errcode = 'LE003';
end $$;
-- +goose StatementEnd
create trigger only_grows before update or delete or truncate on ledger_entries for each statement execute function ledger_only_grows();
create trigger only_grows before update or delete or truncate on ledger_hashes for each statement execute function ledger_only_grows();
create trigger only_grows before update or delete or truncate on ledger_checkpoints for each statement execute function ledger_only_grows();
create index on openings (keyed_id);
-- The leaf is text, so that one that was tampered with still restores; no text inside it
-- has this before the event's own: quotes are escaped there.
create index ledger_entries_event on ledger_entries (substring(leaf from '"event":"([^"]+)"'), index)
	where leaf ~ '"kind":"(blocked|deleted)"';

-- +goose Down
drop table openings, ledger_checkpoints, ledger_hashes, ledger_entries;
drop function ledger_only_grows;
