-- +goose Up

-- What the console reads and writes in the rooms: who looked at whom, what a search
-- looks in, and counts that need no room to be read.

alter table personal drop constraint personal_part_check;
alter table personal
	add constraint personal_part_check check (part in ('registration', 'response', 'receipt', 'look')),
	add column looked_by uuid,
	add column found_by text not null generated always as (left(lower(name), 300) || ' ' || left(lower(email), 300)) stored;
-- An expression's index keeps samples of its own; a plain column's does not. Six hundred
-- letters are the most that fit into an index whatever they are.
create index on personal (found_by, id) where part = 'registration';
create index on personal (attendee_id) where part = 'look';
alter table personal
	alter column looked_by set statistics 0,
	alter column found_by set statistics 0;
comment on column personal.id is 'of the attendee, the response, the piece of a list or the look';
comment on column personal.part is 'registration: a person''s ticket; response: a submitted form; receipt: who was on one export; look: who looked at one person';
comment on column personal.attendee_id is 'the attendee that a response belongs to (null: nobody yet), or who was looked at';
comment on column personal.received_at is 'when this part was first stored; of a look: when it was';
comment on column personal.looked_by is 'the user who looked';
comment on column personal.found_by is 'name and address in lower case: what a search looks in, and the order of the list';
comment on column receipts.format is 'csv, json or xlsx; "csv, not agreed" lists those who have not agreed yet';
comment on column receipts.exported_by is 'who took it: the user''s address, or the account on the machine';

create table counts (
	event_id  uuid primary key,
	attending integer not null,
	agreed    integer not null
);
comment on table counts is 'how many attend an open event, kept by each writer so that no list of events has to read the rooms';
comment on column counts.event_id is 'the event';
comment on column counts.attending is 'how many attend';
comment on column counts.agreed is 'how many of them agreed';

-- count_people keeps "counts" right, whichever statement changes a room. Writers of one
-- room come one after the other already, so its row keeps nobody waiting.
-- +goose StatementBegin
create function count_people() returns trigger language plpgsql as $$
begin
	if tg_op <> 'DELETE' then
		insert into counts as c (event_id, attending, agreed)
		select event_id, count(*), count(agreed_at)
		from fresh
		where part = 'registration' and status = 'attending'
		group by event_id
		on conflict (event_id) do update set attending = c.attending + excluded.attending, agreed = c.agreed + excluded.agreed;
	end if;
	if tg_op <> 'INSERT' then
		update counts c
		set attending = c.attending - s.attending, agreed = c.agreed - s.agreed
		from (
			select event_id, count(*) as attending, count(agreed_at) as agreed
			from stale
			where part = 'registration' and status = 'attending'
			group by event_id
		) s
		where c.event_id = s.event_id;
	end if;
	return null;
end $$;
create function count_people_in(room regclass) returns void language plpgsql as $$
begin
	execute format('create trigger count_people_insert after insert on %s referencing new table as fresh for each statement execute function count_people()', room);
	execute format('create trigger count_people_update after update on %s referencing old table as stale new table as fresh for each statement execute function count_people()', room);
	execute format('create trigger count_people_delete after delete on %s referencing old table as stale for each statement execute function count_people()', room);
end $$;
-- +goose StatementEnd
select count_people_in('personal');
select count_people_in(inhrelid) from pg_inherits where inhparent = 'personal'::regclass;
insert into counts (event_id, attending, agreed)
select event_id, count(*), count(agreed_at)
from personal
where part = 'registration' and status = 'attending'
group by event_id;

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
