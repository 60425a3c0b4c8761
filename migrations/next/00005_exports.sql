-- +goose Up

create table receipts (
	id          uuid primary key,
	event_id    uuid not null,
	purpose     text not null,
	format      text not null,
	rows        integer not null,
	sha256      bytea not null,
	exported_by text not null,
	exported_at timestamptz not null,
	recalled_at timestamptz
);
create index on receipts (event_id);
comment on table receipts is 'every export: what for, who made it and when';
comment on column receipts.id is 'made at random';
comment on column receipts.event_id is 'the event';
comment on column receipts.purpose is 'what it was for';
comment on column receipts.format is 'csv, xlsx or json';
comment on column receipts.rows is 'how many people were on it';
comment on column receipts.sha256 is 'of the file';
comment on column receipts.exported_by is 'who exported it: a user''s address or the account on the machine; empty once its event is deleted';
comment on column receipts.exported_at is 'when';
comment on column receipts.recalled_at is 'since when every copy is to be deleted; null: it is current';

create table receipt_people (
	receipt_id uuid not null,
	event_id   uuid not null,
	chunk      integer not null,
	attendees  bytea not null,
	primary key (receipt_id, chunk)
);
create index on receipt_people (event_id);
alter table receipt_people
	alter column attendees set statistics 0,
	alter column attendees set storage external; -- hashes do not shrink
comment on table receipt_people is 'who was on an export, by keyed hashes; until its event is blocked';
comment on column receipt_people.receipt_id is 'the export';
comment on column receipt_people.event_id is 'the event';
comment on column receipt_people.chunk is 'counts the rows of one export, of 5,000 people each';
comment on column receipt_people.attendees is 'their keys, of 16 bytes each, sorted';

-- +goose Down
drop table receipt_people, receipts;
