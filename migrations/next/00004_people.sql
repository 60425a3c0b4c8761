-- +goose Up

create table attendees (
	id               uuid primary key,
	event_id         uuid not null,
	source           text not null,
	standing         text not null check (standing in ('attending', 'cancelled', 'refunded', 'gone')),
	state            text not null default 'open' check (state in ('open', 'restricted', 'blocked')),
	reason           text not null default '' check (reason in ('', 'restriction', 'objection', 'erasure')),
	address_index    bytea not null,
	name_hash        bytea,
	shared           boolean not null default false,
	agreed           boolean not null,
	counts_as_agreed boolean not null default false,
	version          bigint not null,
	came_on          date not null,
	layer            bytea
);
create index on attendees (event_id, version);
create index on attendees (event_id, address_index);
create index on attendees (event_id) where reason <> ''; -- not by state, which blocking changes row by row
alter table attendees
	alter column id set statistics 0,
	alter column address_index set statistics 0,
	alter column name_hash set statistics 0,
	alter column layer set statistics 0,
	alter column layer set storage external; -- cipher text does not shrink
comment on table attendees is 'one holder of one registration for one event each: nothing readable';
comment on column attendees.id is 'keyed hash of event, source and registration; its last byte is the holder''s number';
comment on column attendees.event_id is 'the event';
comment on column attendees.source is 'the service that the registration comes from';
comment on column attendees.standing is 'attending, cancelled, refunded or gone';
comment on column attendees.state is 'open, restricted or blocked';
comment on column attendees.reason is 'why it is restricted; empty: it is not';
comment on column attendees.address_index is 'keyed hash of event and normalised address; empty: no address';
comment on column attendees.name_hash is 'keyed hash of event and folded name, while it is restricted or blocked: tells a new holder';
comment on column attendees.shared is 'whether an attendee who was removed since had the same address';
comment on column attendees.agreed is 'whether a layer says yes to the agreement';
comment on column attendees.counts_as_agreed is 'of a reopened event: whether the holder had agreed when it was blocked';
comment on column attendees.version is 'the event''s version when the row was last written';
comment on column attendees.came_on is 'the day it was first stored';
comment on column attendees.layer is 'what the registration says, sealed under the working key; null: restricted or blocked';

create table responses (
	id            uuid primary key,
	event_id      uuid not null,
	form_id       text not null,
	attendee_id   uuid,
	claims        uuid,
	matched_by    text not null default '' check (matched_by in ('', 'hidden', 'address', 'name', 'hand')),
	address_index bytea not null,
	agreed        boolean not null,
	version       bigint not null,
	came_on       date not null,
	layer         bytea
);
create index on responses (event_id, version);
create index on responses (event_id, address_index);
create index on responses (attendee_id) where attendee_id is not null;
create index on responses (claims) where claims is not null;
create index on responses (event_id) where attendee_id is null;
alter table responses
	alter column id set statistics 0,
	alter column attendee_id set statistics 0,
	alter column claims set statistics 0,
	alter column address_index set statistics 0,
	alter column layer set statistics 0,
	alter column layer set storage external;
comment on table responses is 'submitted forms, of one event each: nothing readable';
comment on column responses.id is 'keyed hash of event, form and response';
comment on column responses.event_id is 'the event';
comment on column responses.form_id is 'Typeform''s form id';
comment on column responses.attendee_id is 'the attendee that it is matched to; null: none';
comment on column responses.claims is 'the registration that its hidden field names, where it is not believed';
comment on column responses.matched_by is 'how it was matched: hidden, address, name or hand; empty: it is not';
comment on column responses.address_index is 'as in attendees, of the address that it gives';
comment on column responses.agreed is 'whether it says yes to the agreement';
comment on column responses.version is 'the event''s version when the row was last written';
comment on column responses.came_on is 'the day it was first stored';
comment on column responses.layer is 'what it says, sealed under the working key; null: its attendee is restricted';

create table corrections (
	attendee_id uuid primary key,
	event_id    uuid not null,
	version     bigint not null,
	layer       bytea not null
);
create index on corrections (event_id, version);
alter table corrections
	alter column attendee_id set statistics 0,
	alter column layer set statistics 0;
comment on table corrections is 'what people had corrected: counts until its source says the same';
comment on column corrections.attendee_id is 'the attendee';
comment on column corrections.event_id is 'the event';
comment on column corrections.version is 'the event''s version when the row was last written';
comment on column corrections.layer is 'the corrected fields, sealed under the working key';

create table removed (
	event_id   uuid not null,
	id         uuid not null,
	version    bigint not null,
	removed_on date not null,
	primary key (event_id, id)
);
comment on table removed is 'rows that were removed, until the night: tells those who remember an event''s people';
comment on column removed.event_id is 'the event';
comment on column removed.id is 'the key that the row had';
comment on column removed.version is 'the event''s version when it was removed';
comment on column removed.removed_on is 'the day it was removed';

create table bars (
	event_id uuid not null,
	hash     uuid not null,
	what     text not null check (what in ('erased', 'restricted', 'held', 'withdrawn')),
	purpose  text not null default '',
	reason   text not null default '',
	made_on  date not null,
	primary key (hash, event_id, what, purpose)
);
create index on bars (event_id);
alter table bars alter column hash set statistics 0;
comment on table bars is 'what is decided about registrations and responses, for those who store them';
comment on column bars.event_id is 'the event; zero: all events';
comment on column bars.hash is 'the key of the registration''s first holder, or of the response; for all events the same without an event';
comment on column bars.what is 'erased: it stays out; restricted, held; withdrawn: consent to a purpose';
comment on column bars.purpose is 'of withdrawn: the purpose';
comment on column bars.reason is 'of restricted: why';
comment on column bars.made_on is 'the day it was decided';

create table records (
	event_id    uuid not null,
	attendee_id uuid not null,
	kind        text not null check (kind in ('kept', 'doubt', 'held', 'restricted', 'lifted', 'corrected')),
	generation  bytea not null,
	number      integer not null default 0,
	sealed      bytea not null,
	half        bytea,
	name_hash   bytea,
	recorded_on date not null,
	primary key (event_id, attendee_id, kind, generation, number)
);
alter table records
	alter column attendee_id set statistics 0,
	alter column generation set statistics 0,
	alter column sealed set statistics 0,
	alter column half set statistics 0,
	alter column name_hash set statistics 0,
	alter column sealed set storage external,
	alter column half set storage external;
comment on table records is 'what a duty keeps once an event is blocked, and what is sealed of one attendee alone';
comment on column records.event_id is 'the event';
comment on column records.attendee_id is 'the attendee';
comment on column records.kind is 'kept, doubt or held: under that key; restricted, lifted or corrected: sealed to the lock';
comment on column records.generation is 'of the key, or of the lock';
comment on column records.number is 'counts what came one after the other';
comment on column records.sealed is 'for the officers';
comment on column records.half is 'the same for the person, who opens it with their address; null: officers only';
comment on column records.name_hash is 'keyed hash of event and folded name, which the attendee''s row takes over when the event is blocked';
comment on column records.recorded_on is 'the day it was sealed';

-- +goose Down
drop table records, bars, removed, corrections, responses, attendees;
