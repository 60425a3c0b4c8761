-- +goose Up

-- Where a form's responses live. Typeform's other regions answer with an empty list
-- instead of an error, so a form that moved is not read before it is found again.
alter table forms add column host text not null default '';
comment on column forms.host is 'the host that its responses live at, as its definition last said; empty where it names none';

-- A response that belonged to nobody for too long leaves its key behind, and nothing
-- else, so that it does not come back when its form is read again. The key goes with
-- its event's room.
alter table personal drop constraint personal_part_check;
alter table personal add constraint personal_part_check
	check (part in ('registration', 'response', 'receipt', 'look', 'dropped'));
comment on column personal.part is 'registration: a person''s ticket; response: a submitted form; receipt: who was on one export; look: who looked at one person; dropped: the bare key of a response that was nobody''s';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
