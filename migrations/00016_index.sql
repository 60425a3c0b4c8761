-- +goose Up

-- One event's addresses are hashed with one secret as long as it lasts: those of two secrets
-- never meet, neither answers and their people nor the tickets of a group order.

alter table events add column address_key text not null default '';
comment on column events.address_key is 'id of the secret that its people''s address_index is made with; empty: the newest';
update events e
set address_key = coalesce((
	select a.address_key
	from attendees a
	where a.event_id = e.id and a.address_index <> ''
	group by a.address_key
	order by count(*) desc, a.address_key
	limit 1), '');

-- A ticket of a group order stays one when the others of it are gone: whose it is, its buyer's
-- address does not say.

alter table attendees add column grouped boolean not null default false;
comment on column attendees.grouped is 'whether another one of the event had the same address';
update attendees a
set grouped = true
where a.address_index <> '' and exists (
	select from attendees o
	where o.event_id = a.event_id and o.address_index = a.address_index and o.id <> a.id);

-- +goose Down
alter table attendees drop column grouped;
alter table events drop column address_key;
