-- +goose Up

-- Nothing in this file is personal data but what lies in rooms, the partitions of
-- "personal". Keys are made by the application: hashes of the source's ids, so that
-- writing needs no look-up and no hot sequence.

create table marks (
	name  text primary key,
	value text not null default '',
	at    timestamptz not null default now()
);
comment on table marks is 'what is true of this database as a whole';
comment on column marks.name is 'what is true: "simulated", "discovered", "expired"';
comment on column marks.value is 'how or where';
comment on column marks.at is 'since when, or when last';

create table organizations (
	id      text primary key,
	name    text not null,
	seen_at timestamptz not null
);
comment on table organizations is 'the Eventbrite organisations that the token sees';
comment on column organizations.id is 'Eventbrite''s id';
comment on column organizations.name is 'the organisation''s name';
comment on column organizations.seen_at is 'when it was last discovered';

create table events (
	id              uuid primary key,
	source          text not null,
	source_id       text collate "C" not null,
	organization_id text not null,
	name            text not null,
	status          text not null,
	time_zone       text not null,
	starts_at       timestamptz,
	ends_at         timestamptz,
	ends_on         date not null,
	first_seen_on   date not null,
	changed_at      timestamptz,
	state           text not null default 'active' check (state in ('active', 'blocked', 'deleted')),
	rule            text not null,
	block_on        date not null,
	delete_on       date not null,
	pulled_at       timestamptz,
	reconciled_at   timestamptz,
	unique (source, source_id),
	-- The first of three guards: whatever the program believes, the schedule that the
	-- database holds runs forwards.
	constraint schedule_runs_forwards check (delete_on >= block_on and block_on >= ends_on)
);
create index on events (organization_id);
comment on table events is 'one gathering each, with the dates on which its people are blocked and deleted';
comment on column events.id is 'hash of source and source_id';
comment on column events.source is 'the service it comes from';
comment on column events.source_id is 'its id there; commands and URLs use it';
comment on column events.organization_id is 'the organisation that holds it, at the source';
comment on column events.name is 'its title';
comment on column events.status is 'as the source words it';
comment on column events.time_zone is 'IANA name of its own zone, in which its days are counted';
comment on column events.starts_at is 'its start';
comment on column events.ends_at is 'its end, as the source says';
comment on column events.ends_on is 'the day it ends, in its own zone; decided where the source names none';
comment on column events.first_seen_on is 'the day Lethe first heard of it';
comment on column events.changed_at is 'when it last changed at the source';
comment on column events.state is 'active, blocked or deleted';
comment on column events.rule is 'name of the retention rule that delete_on comes from';
comment on column events.block_on is 'from this day on nobody reads its people';
comment on column events.delete_on is 'on this day they are deleted';
comment on column events.pulled_at is 'when its own listing had been read to the end for the first time since it was last linked';
comment on column events.reconciled_at is 'when a complete listing was last compared with what is held';

create table attendees (
	id            uuid primary key,
	event_id      uuid not null,
	source        text not null,
	source_id     text collate "C" not null,
	state         text not null default 'active' check (state in ('active', 'blocked')),
	address_key   text not null,
	address_index bytea not null,
	registered_at timestamptz,
	changed_at    timestamptz not null
);
create index on attendees (event_id, address_index);
alter table attendees
	alter column source_id set statistics 0,
	alter column address_index set statistics 0;
comment on table attendees is 'one person''s registration for one event each: ids, state and dates, nothing readable';
comment on column attendees.id is 'hash of source and source_id';
comment on column attendees.event_id is 'the event it is for';
comment on column attendees.source is 'the service it comes from';
comment on column attendees.source_id is 'its id there';
comment on column attendees.state is 'active or blocked';
comment on column attendees.address_key is 'id of the secret that address_index was made with';
comment on column attendees.address_index is 'HMAC of event and normalised address: finds a person''s records, tells nobody''s; empty where there is no address';
comment on column attendees.registered_at is 'when the registration was made, at the source';
comment on column attendees.changed_at is 'when it last changed at the source';

-- personal holds everything readable, a room (a partition) for each event, so that
-- an event's people go with their file. No unique or check constraint and no
-- statistics on what is personal: errors quote values, and statistics keep samples.
create table personal (
	event_id          uuid not null,
	id                uuid not null,
	part              text not null check (part in ('registration', 'response', 'receipt')),
	source_id         text collate "C" not null default '',
	name              text not null default '',
	email             text not null default '',
	ticket            text not null default '',
	status            text not null default '',
	source_status     text not null default '',
	attended          boolean not null default false,
	agreement_version text not null default '',
	agreed_at         timestamptz,
	affiliation       text not null default '',
	forums            text[] not null default '{}',
	answers           jsonb not null default '{}',
	filled            text[] not null default '{}',
	digest            bytea not null default '',
	form_id           text not null default '',
	attendee_id       uuid,
	matched_by        text not null default '',
	claims            uuid,
	address_index     bytea not null default '',
	submitted_at      timestamptz,
	received_at       timestamptz not null default now(),
	listed            uuid[] not null default '{}',
	primary key (event_id, id)
) partition by list (event_id);
alter table personal
	alter column name set statistics 0,
	alter column email set statistics 0,
	alter column ticket set statistics 0,
	alter column affiliation set statistics 0,
	alter column forums set statistics 0,
	alter column answers set statistics 0,
	alter column source_id set statistics 0,
	alter column digest set statistics 0,
	alter column address_index set statistics 0,
	alter column agreement_version set statistics 0,
	alter column agreed_at set statistics 0,
	alter column submitted_at set statistics 0,
	alter column listed set statistics 0;
create index on personal (attendee_id) where part = 'response';
create index on personal (address_index) where part = 'response';
comment on table personal is 'the rooms: what is readable of active people, a partition for each event';
comment on column personal.event_id is 'the event whose room this is';
comment on column personal.id is 'of the attendee, the response or the receipt';
comment on column personal.part is 'registration: a person''s ticket; response: a submitted form; receipt: who was on one export';
comment on column personal.source_id is 'the registration''s or response''s id at its source';
comment on column personal.name is 'the person''s name, or the name given in the form';
comment on column personal.email is 'the person''s address, or the address given in the form';
comment on column personal.ticket is 'the ticket kind''s name';
comment on column personal.status is 'attending, cancelled, refunded or gone';
comment on column personal.source_status is 'the status as the source words it';
comment on column personal.attended is 'whether the person was checked in';
comment on column personal.agreement_version is 'which text of the participation agreement was agreed to';
comment on column personal.agreed_at is 'when the person agreed; null: never';
comment on column personal.affiliation is 'the organisation the person names';
comment on column personal.forums is 'the forums the person chose';
comment on column personal.answers is 'answers that the organiser mapped by names of her own';
comment on column personal.filled is 'which of a registration''s fields were filled from a response';
comment on column personal.digest is 'hash of the part as the source last told it, to see whether it changed';
comment on column personal.form_id is 'a response''s form';
comment on column personal.attendee_id is 'the attendee that a response belongs to; null: nobody yet';
comment on column personal.matched_by is 'how a response found its attendee: hidden, address, name or hand';
comment on column personal.claims is 'the attendee that a response names in its hidden field';
comment on column personal.address_index is 'a response''s address, hashed as in attendees';
comment on column personal.submitted_at is 'when a response was submitted';
comment on column personal.received_at is 'when this part was first stored';
comment on column personal.listed is 'the attendees who were on one export';

-- refuse_inactive stands behind every write into a room: a person whose event or
-- registration is not active has no readable row, whatever a program tries.
-- +goose StatementBegin
create function refuse_inactive() returns trigger language plpgsql as $$
begin
	if exists (
		select from (select distinct event_id from fresh) f
		left join events e on e.id = f.event_id
		where e.state is distinct from 'active'
	) then
		raise exception 'a room of an event that is not active takes nobody in' using errcode = 'LE001';
	end if;
	-- A scalar subquery, so that each row costs one look-up by key; as a join it would
	-- read the whole table for each batch.
	if exists (
		select from fresh f
		where (f.part = 'registration' or f.attendee_id is not null)
		  and (
			select a.event_id from attendees a
			where a.id = coalesce(f.attendee_id, f.id) and a.state = 'active'
		  ) is distinct from f.event_id
	) then
		raise exception 'a registration that is not active has no readable row' using errcode = 'LE002';
	end if;
	return null;
end $$;
-- +goose StatementEnd
create trigger refuse_inactive_insert after insert on personal
	referencing new table as fresh for each statement execute function refuse_inactive();
create trigger refuse_inactive_update after update on personal
	referencing new table as fresh for each statement execute function refuse_inactive();

create table forms (
	id      text primary key,
	title   text not null,
	seen_at timestamptz not null
);
comment on table forms is 'the forms that are linked to events';
comment on column forms.id is 'Typeform''s id';
comment on column forms.title is 'the form''s title';
comment on column forms.seen_at is 'when its definition was last read';

create table links (
	event_id  uuid not null references events on delete cascade,
	form_id   text not null,
	purpose   text not null,
	linked_at timestamptz not null,
	primary key (event_id, form_id, purpose)
);
create index on links (form_id);
comment on table links is 'which forms belong to which event, for which purpose';
comment on column links.event_id is 'the event';
comment on column links.form_id is 'Typeform''s form id, or "eventbrite" for the event''s own questions';
comment on column links.purpose is 'why its answers are held';
comment on column links.linked_at is 'when it was last linked';

create table link_fields (
	event_id    uuid not null,
	form_id     text not null,
	purpose     text not null,
	field       text not null,
	question    text not null,
	question_id text not null,
	primary key (event_id, form_id, purpose, field),
	foreign key (event_id, form_id, purpose) references links on delete cascade
);
comment on table link_fields is 'which question of a linked form fills which field';
comment on column link_fields.event_id is 'the event';
comment on column link_fields.form_id is 'the form';
comment on column link_fields.purpose is 'the purpose';
comment on column link_fields.field is 'the field of the purpose that is filled';
comment on column link_fields.question is 'the question''s ref, or its id where it has none';
comment on column link_fields.question_id is 'the id that the question has at present; it changes when a question is made anew';

create table feeds (
	name           text primary key,
	watermark      timestamptz,
	run_started_at timestamptz,
	run_since      timestamptz,
	run_page       integer not null default 0,
	run_until      timestamptz,
	run_seen       bytea,
	generation     integer not null default 0,
	finished_at    timestamptz,
	failed_at      timestamptz,
	failure        text not null default '',
	attention      text not null default ''
);
comment on table feeds is 'how far each listing of a source has been read';
comment on column feeds.name is 'source, kind of listing, id: eventbrite/organization/900';
comment on column feeds.watermark is 'up to when it has been read; moves only when the source ran dry';
comment on column feeds.run_started_at is 'when the run that is under way began; null: none is';
comment on column feeds.run_since is 'the time from which that run reads changes; null: all';
comment on column feeds.run_page is 'the last page of that run that is stored';
comment on column feeds.run_until is 'the oldest submission of that run that is stored';
comment on column feeds.run_seen is 'keys of the registrations that a cut-off complete listing had named';
comment on column feeds.generation is 'how often the feed was rewound: progress of a run that began before counts no more';
comment on column feeds.finished_at is 'when a run last ended complete';
comment on column feeds.failed_at is 'when a run last failed; null since one ended complete';
comment on column feeds.failure is 'why it failed';
comment on column feeds.attention is 'what the operator has to look at';

create table receipts (
	id          uuid primary key,
	event_id    uuid not null,
	purpose     text not null,
	format      text not null,
	rows        integer not null,
	sha256      bytea not null,
	exported_by text not null,
	exported_at timestamptz not null
);
create index on receipts (event_id);
comment on table receipts is 'every list that left: the people on it lie in the event''s room';
comment on column receipts.id is 'made at random; the list of people has it too';
comment on column receipts.event_id is 'the event';
comment on column receipts.purpose is 'what it was for';
comment on column receipts.format is 'csv or json';
comment on column receipts.rows is 'how many people were on it';
comment on column receipts.sha256 is 'of the file';
comment on column receipts.exported_by is 'who took it: the account on the machine';
comment on column receipts.exported_at is 'when';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
