-- +goose Up

-- The second half of a life: sealed, held, deleted, and what proves it.

alter table events
	add column blocked_at timestamptz,
	add column deleted_at timestamptz,
	add column doubted    boolean not null default false;
comment on column events.blocked_at is 'when its last record was sealed and its readable room was gone; null while that is under way';
comment on column events.deleted_at is 'when its last row was gone; null while that is under way';
comment on column events.doubted is 'more than half never agreed, so the form may be the wrong one: all are sealed until the operator answers';

comment on column attendees.state is 'blocked where this registration alone is; the state of its event counts, too';

alter table receipts add column recalled_at timestamptz;
comment on column receipts.recalled_at is 'since when every copy of the list is to be destroyed';

-- sealed holds what blocked people's records are now: nothing readable, a room for
-- each event, which is torn down as one on the day of deletion.
create table sealed (
	event_id     uuid not null,
	attendee_id  uuid not null,
	part         text collate "C" not null,
	officers     bytea not null,
	person       bytea,
	person_key   text not null default '',
	officer_keys text[] not null,
	agreed       boolean,
	sealed_at    timestamptz not null,
	primary key (event_id, attendee_id, part)
) partition by list (event_id);
alter table sealed
	alter column officers set statistics 0,
	alter column person set statistics 0;
comment on table sealed is 'the sealed rooms: blocked people''s records, each encrypted, a partition for each event';
comment on column sealed.event_id is 'the event whose room this is';
comment on column sealed.attendee_id is 'the attendee whose record it is';
comment on column sealed.part is 'registration; held: the fields without a duty, which a hold keeps; response: and a form, of nobody, which a hold keeps';
comment on column sealed.officers is 'an age file to all officers'' keys';
comment on column sealed.person is 'the same under the server''s secret and the person''s own address; null: only officers open it';
comment on column sealed.person_key is 'id of the secret under which the person''s half stands';
comment on column sealed.officer_keys is 'short names of the officers'' keys that open it';
comment on column sealed.agreed is 'whether the person ever agreed; kept only while its event is doubted or held';
comment on column sealed.sealed_at is 'when it was sealed';

create table holds (
	id          integer primary key generated always as identity,
	event_id    uuid not null,
	attendee_id uuid,
	reason      text not null,
	until       date,
	added_by    text not null,
	added_at    timestamptz not null,
	released_at timestamptz
);
create index on holds (event_id) where released_at is null;
comment on table holds is 'legal holds: nothing is deleted or dropped while one stands';
comment on column holds.id is 'its number, for people to name it by';
comment on column holds.event_id is 'the event';
comment on column holds.attendee_id is 'the one registration that is held; null: all of the event';
comment on column holds.reason is 'why, in the operator''s words';
comment on column holds.until is 'the day it ends by itself; null: when it is released';
comment on column holds.added_by is 'who added it: the account on the machine';
comment on column holds.added_at is 'when';
comment on column holds.released_at is 'when it was released; null: it stands';

create table tombstones (
	keyed_id bytea primary key,
	key      text not null,
	event_id uuid not null,
	made_at  timestamptz not null,
	asked_at timestamptz
);
create index on tombstones (event_id);
alter table tombstones alter column keyed_id set statistics 0;
comment on table tombstones is 'keyed hashes of erased registrations'' and responses'' ids, which keep them out; they go with their event';
comment on column tombstones.keyed_id is 'HMAC of the source''s id';
comment on column tombstones.key is 'id of the secret it was made with';
comment on column tombstones.event_id is 'the event it was of';
comment on column tombstones.made_at is 'when it was erased';
comment on column tombstones.asked_at is 'when staff were asked because it changed upstream afterwards';

create table tallies (
	event_id uuid not null,
	what     text not null,
	people   integer not null,
	primary key (event_id, what)
);
comment on table tallies is 'how many there were: counts stay when people go; under 5 none is kept';
comment on column tallies.event_id is 'the event';
comment on column tallies.what is 'registered, attended, agreed, or ticket: and a ticket kind''s name';
comment on column tallies.people is 'how many; a count under 5 tells of persons and is not kept';

create table tasks (
	id       integer primary key generated always as identity,
	event_id uuid not null,
	kind     text not null,
	says     text not null,
	made_at  timestamptz not null,
	done_at  timestamptz,
	done_by  text not null default ''
);
create unique index on tasks (event_id, kind) where done_at is null;
comment on table tasks is 'what only people can do, such as deleting at a source that offers no way';
comment on column tasks.id is 'its number, for people to name it by';
comment on column tasks.event_id is 'the event';
comment on column tasks.kind is 'what it is about: one open task of a kind for each event';
comment on column tasks.says is 'what to do';
comment on column tasks.made_at is 'since when it is to be done';
comment on column tasks.done_at is 'when it was ticked off';
comment on column tasks.done_by is 'who ticked it off: the account on the machine';

create table announcements (
	event_id  uuid primary key,
	delete_on date not null,
	people    integer not null,
	made_on   date not null
);
comment on table announcements is 'deletions that the nightly run has announced: it deletes nothing that it has not announced before';
comment on column announcements.event_id is 'the event';
comment on column announcements.delete_on is 'the day it was announced for';
comment on column announcements.people is 'how many people it was announced for';
comment on column announcements.made_on is 'the day it was announced';

create table rewrites (
	event_id uuid not null,
	room     text not null check (room in ('personal', 'sealed')),
	asked_at timestamptz not null,
	primary key (event_id, room)
);
comment on table rewrites is 'rooms that somebody left early: the night''s sweep writes them anew, so that no file keeps the name';
comment on column rewrites.event_id is 'the event';
comment on column rewrites.room is 'which of its two rooms';
comment on column rewrites.asked_at is 'since when';

-- The ledger: only ever appended to. What can be pruned is not called so.
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
	made_on  date not null
);
alter table openings alter column keyed_id set statistics 0;
comment on table openings is 'what opens the ledger''s commitments; pruned, so that the ledger forgets too';
comment on column openings.index is 'the entry';
comment on column openings.salt is 'random';
comment on column openings.keyed_id is 'HMAC of the registration''s id';
comment on column openings.made_on is 'since when it is kept';

-- +goose StatementBegin
create function ledger_only_grows() returns trigger language plpgsql as $$
begin
	raise exception 'the ledger is only ever appended to' using errcode = 'LE003';
end $$;
-- +goose StatementEnd
create trigger only_grows before update or delete or truncate on ledger_entries for each statement execute function ledger_only_grows();
create trigger only_grows before update or delete or truncate on ledger_hashes for each statement execute function ledger_only_grows();
create trigger only_grows before update or delete or truncate on ledger_checkpoints for each statement execute function ledger_only_grows();

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
