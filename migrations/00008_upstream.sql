-- +goose Up

-- The responses that a form still holds at its source after they are sealed here: their
-- ids, so that they can be deleted there and seen to be gone. They outlive their event.
create table upstream (
	event_id    uuid not null,
	id          uuid not null,
	form_id     text collate "C" not null,
	response_id text collate "C" not null,
	attendee_id uuid,
	due_at      timestamptz,
	told_at     timestamptz,
	primary key (id, event_id)
);
create index on upstream (event_id, form_id);
alter table upstream
	alter column id set statistics 0,
	alter column response_id set statistics 0,
	alter column attendee_id set statistics 0;
comment on table upstream is 'responses that are to be deleted at their source, until they are seen to be gone there: ids, nobody''s name';
comment on column upstream.event_id is 'the event they were linked to';
comment on column upstream.id is 'hash of form_id and response_id, as in the event''s room';
comment on column upstream.form_id is 'Typeform''s form';
comment on column upstream.response_id is 'the response''s id there';
comment on column upstream.attendee_id is 'the attendee it belongs to, for as long as there is one: a hold keeps it, an erasure lets it go';
comment on column upstream.due_at is 'since when it is to go there; null: not yet';
comment on column upstream.told_at is 'when the source was last told to delete it; null: never';

comment on column tasks.kind is 'what it is about: one open task of a kind for each event; typeform/ and a form is about that form''s responses';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
