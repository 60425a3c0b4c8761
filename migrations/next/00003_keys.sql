-- +goose Up

create table keys (
	event_id   uuid not null,
	name       text not null check (name in ('working', 'kept', 'doubt', 'held', 'lock')),
	generation bytea not null,
	lock       bytea,
	public     text,
	public_mac bytea,
	server     bytea,
	pepper     bytea,
	officers   bytea,
	recipients text,
	made_on    date not null,
	primary key (event_id, name, generation)
);
-- Statistics keep samples of values, and a destroyed key must be in no file.
alter table keys
	alter column generation set statistics 0,
	alter column lock set statistics 0,
	alter column public set statistics 0,
	alter column public_mac set statistics 0,
	alter column server set statistics 0,
	alter column pepper set statistics 0,
	alter column officers set statistics 0,
	alter column recipients set statistics 0;
-- Large values would lie in a table of their own, which rewriting must not have to know.
alter table keys
	alter column server set storage plain,
	alter column pepper set storage plain,
	alter column officers set storage plain;
comment on table keys is 'the keys of events: each lives as long as somebody may read what it opens';
comment on column keys.event_id is 'the event';
comment on column keys.name is 'working: layers; kept, doubt, held: records; lock: what is for officers only';
comment on column keys.generation is '8 random bytes, which tell one key of a name from the next';
comment on column keys.lock is 'generation of the lock that officers is sealed to';
comment on column keys.public is 'of a lock: its public half, an age recipient';
comment on column keys.public_mac is 'of a lock: authenticates public under the server''s secret';
comment on column keys.server is 'the key, wrapped under the server''s secret; null: the server cannot use it';
comment on column keys.pepper is 'wrapped; opens people''s own halves; null: they are closed';
comment on column keys.officers is 'the officers'' copy, an age file: of a lock to their keys, else to the event''s lock';
comment on column keys.recipients is 'of a lock: short names of the officers'' public keys';
comment on column keys.made_on is 'the day it was made';

-- +goose Down
drop table keys;
