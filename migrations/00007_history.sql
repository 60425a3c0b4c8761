-- +goose Up

-- An event that was past its block date when it was first seen is pulled all the same,
-- once, and its people are sealed as they come: they never have a readable room.
alter table events add column history boolean not null default false;
comment on column events.history is 'it was past its block date when it was first seen: its people are sealed as they come, and blocked_at is when its feeds had run dry';
update events
set history = true
where state = 'active' and delete_on > current_date and pulled_at is null
  and to_regclass('personal_' || replace(id::text, '-', '')) is null;

comment on column sealed.part is 'registration; response:FORM:ID: what the person answered in a form, where the event was sealed as it came; held, or held:…: the fields without a duty, which a hold keeps; response:FORM: of nobody, which a hold keeps';
comment on column sealed.agreed is 'whether the person ever agreed; kept only while its event is doubted, held or still coming in';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
