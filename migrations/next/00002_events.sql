-- +goose Up

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
	id                 uuid primary key,
	source             text not null,
	source_id          text collate "C" not null,
	organization_id    text not null,
	name               text not null,
	status             text not null,
	time_zone          text not null,
	starts_at          timestamptz,
	ends_at            timestamptz,
	ends_on            date not null,
	first_seen_on      date not null,
	state              text not null default 'open' check (state in ('open', 'blocked', 'deleted')),
	rule               text not null,
	block_on           date not null,
	delete_on          date not null,
	planned_rule       text not null,
	planned_block_on   date not null,
	planned_delete_on  date not null,
	accepted_rule      text not null,
	accepted_block_on  date not null,
	accepted_delete_on date not null,
	applied_at         timestamptz not null,
	secret             text not null,
	version            bigint not null default 0,
	generation         bytea,
	held               boolean not null default false,
	question           text not null default '' check (question in ('', 'open', 'keep', 'drop')),
	read_at            timestamptz,
	reconciled_at      timestamptz,
	blocked_at         timestamptz,
	reopened_at        timestamptz,
	deleted_at         timestamptz,
	cleaned            boolean not null default true,
	unique (source, source_id),
	-- The first of three guards: whatever the program believes, the schedule that the
	-- database holds runs forwards.
	constraint schedule_runs_forwards check (delete_on >= block_on and block_on >= ends_on)
) with (fillfactor = 50); -- each writer changes its event's row
create index on events (organization_id);
alter table events alter column generation set statistics 0;
comment on table events is 'one gathering each, with its dates; its row is the lock that its writers take';
comment on column events.id is 'hash of source and source_id';
comment on column events.source is 'the service it comes from';
comment on column events.source_id is 'its id there; commands and URLs use it';
comment on column events.organization_id is 'the organisation that runs it, at the source';
comment on column events.name is 'its title';
comment on column events.status is 'as the source words it';
comment on column events.time_zone is 'IANA name of its own zone, in which its days are counted';
comment on column events.starts_at is 'its start';
comment on column events.ends_at is 'its end, as the source says';
comment on column events.ends_on is 'the day it ends, in its own zone; decided where the source names none';
comment on column events.first_seen_on is 'the day Lethe first saw it';
comment on column events.state is 'open, blocked or deleted';
comment on column events.rule is 'name of the retention rule that delete_on comes from';
comment on column events.block_on is 'from this day on no organiser reads its people';
comment on column events.delete_on is 'on this day they are deleted';
comment on column events.planned_rule is 'rule that the policy names for it now';
comment on column events.planned_block_on is 'block_on by source and policy as they are now';
comment on column events.planned_delete_on is 'delete_on by source and policy as they are now';
comment on column events.accepted_rule is 'rule that accepted_delete_on comes from';
comment on column events.accepted_block_on is 'block_on that a person accepted, or that applied 30 days ago';
comment on column events.accepted_delete_on is 'delete_on that a person accepted, or that applied 30 days ago';
comment on column events.applied_at is 'since when the dates that apply now do: after 30 days changes are compared with them';
comment on column events.secret is 'id of the secret that its keyed hashes are made with: the newest when it was first seen';
comment on column events.version is 'raised by each writer';
comment on column events.generation is 'of its working key; null: it has none';
comment on column events.held is 'whether a hold on the event is active';
comment on column events.question is 'the agreement question: open, or its answer keep or drop; empty: it was not asked';
comment on column events.read_at is 'when its own listing had been read to the end since it is to be read whole; null: not yet';
comment on column events.reconciled_at is 'when a complete listing was last compared with what is stored';
comment on column events.blocked_at is 'when it was blocked, the last time';
comment on column events.reopened_at is 'when staff reopened it, the last time; if it had ended by then, its people are shown to nobody';
comment on column events.deleted_at is 'when its people were deleted';
comment on column events.cleaned is 'false from its blocking on until its dead rows are deleted';

create table forms (
	id      text primary key,
	title   text not null,
	host    text not null default '',
	seen_at timestamptz not null
);
comment on table forms is 'the forms that are linked to events';
comment on column forms.id is 'Typeform''s id';
comment on column forms.title is 'the form''s title';
comment on column forms.host is 'the host that its responses are at, as its definition last said; empty where it names none';
comment on column forms.seen_at is 'when its definition was last read';

create table questions (
	form_id       text not null,
	ref           text not null,
	question_id   text not null,
	first_seen_at timestamptz not null,
	gone_at       timestamptz,
	primary key (form_id, ref, question_id)
);
comment on table questions is 'every id that a question of a linked form ever had: earlier responses keep the old one';
comment on column questions.form_id is 'the form; "eventbrite/" and an event''s id for its own questions';
comment on column questions.ref is 'the question''s ref, which its author chose, or its id where it has none';
comment on column questions.question_id is 'an id that it had';
comment on column questions.first_seen_at is 'when that was first seen';
comment on column questions.gone_at is 'since when the form has no question of that id; null: it has';

create table links (
	event_id  uuid not null,
	form_id   text not null,
	purpose   text not null,
	linked_at timestamptz not null,
	fields    text[] not null,
	questions text[] not null,
	primary key (event_id, form_id, purpose),
	check (cardinality(fields) = cardinality(questions))
);
create index on links (form_id);
comment on table links is 'which forms belong to which event, for which purpose';
comment on column links.event_id is 'the event';
comment on column links.form_id is 'Typeform''s form id, or "eventbrite" for the event''s own questions';
comment on column links.purpose is 'why its answers are kept';
comment on column links.linked_at is 'when it was last linked';
comment on column links.fields is 'the fields of the purpose that are filled, in the order of exports';
comment on column links.questions is 'which question fills each: its ref, or its id where it has none';

create view gone_questions as
	select distinct l.event_id, l.form_id, linked.question
	from links l
	cross join unnest(l.questions) as linked (question)
	join events e on e.id = l.event_id
	where e.state = 'open'
	  and not exists (
		select from questions q
		where q.form_id = case l.form_id when 'eventbrite' then 'eventbrite/' || e.source_id else l.form_id end
		  and q.ref = linked.question
		  and q.gone_at is null);
comment on view gone_questions is 'linked questions that their form does not have any more: nobody can answer them';
comment on column gone_questions.event_id is 'the event';
comment on column gone_questions.form_id is 'the form; "eventbrite" for the event''s own questions';
comment on column gone_questions.question is 'the question''s ref, or its id where it had none';

create table purpose_fields (
	purpose text not null,
	field   text not null,
	primary key (purpose, field)
);
comment on table purpose_fields is 'what the policy''s purposes name, as stored layers were minimised by it';
comment on column purpose_fields.purpose is 'a purpose''s name';
comment on column purpose_fields.field is 'a field that it names';

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
comment on column feeds.run_seen is 'keyed hashes of the registrations that an interrupted complete listing had named';
comment on column feeds.generation is 'how often the feed was rewound: progress of a run that began before does not count';
comment on column feeds.finished_at is 'when a run last ended complete';
comment on column feeds.failed_at is 'when a run first failed since one ended complete; null: none has';
comment on column feeds.failure is 'why it failed, without values';
comment on column feeds.attention is 'what the operator has to look at';

create table tasks (
	number      integer primary key generated by default as identity,
	kind        text not null,
	event_id    uuid not null,
	form_id     text not null default '',
	attendee_id uuid not null default '00000000-0000-0000-0000-000000000000',
	count       integer not null default 0,
	sealed      bytea,
	times       integer not null default 1,
	made_at     timestamptz not null,
	done_at     timestamptz,
	done_by     text not null default ''
);
create unique index tasks_open on tasks (kind, event_id, form_id, attendee_id) where done_at is null;
comment on table tasks is 'what only people can do';
comment on column tasks.number is 'its number, by which people name it';
comment on column tasks.kind is 'what is to be done';
comment on column tasks.event_id is 'the event';
comment on column tasks.form_id is 'the form that it is about; empty: none';
comment on column tasks.attendee_id is 'the attendee that it is about; zero: none';
comment on column tasks.count is 'how many registrations or responses it is about';
comment on column tasks.sealed is 'the ids at the source that it is about, sealed under the text subkey; null: none, or done';
comment on column tasks.times is 'how often its count was another one since it is open';
comment on column tasks.made_at is 'when it was made';
comment on column tasks.done_at is 'when it was done; null: it is open';
comment on column tasks.done_by is 'who said so: a user''s id or a machine''s account';

-- +goose Down
drop view gone_questions;
drop table tasks, feeds, purpose_fields, links, questions, forms, events, organizations;
