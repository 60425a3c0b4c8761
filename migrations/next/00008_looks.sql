-- +goose Up

create table looks (
	event_id    uuid not null,
	attendee_id uuid not null,
	looked_by   uuid not null,
	at          timestamptz not null
);
create index on looks (event_id, attendee_id);
alter table looks alter column attendee_id set statistics 0;
comment on table looks is 'who looked at one attendee; until the event is blocked';
comment on column looks.event_id is 'the event';
comment on column looks.attendee_id is 'the attendee';
comment on column looks.looked_by is 'the user';
comment on column looks.at is 'when';

-- +goose Down
drop table looks;
