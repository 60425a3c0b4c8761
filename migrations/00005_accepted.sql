-- +goose Up

-- A policy, a rule or an event's end that moves a date by more than a month counts only
-- when somebody has accepted it; until then the later date of each stands.
alter table events
	add column accepted_block_on  date,
	add column accepted_delete_on date,
	add column planned_block_on   date,
	add column planned_delete_on  date;
update events
set accepted_block_on = block_on, accepted_delete_on = delete_on, planned_block_on = block_on, planned_delete_on = delete_on;
alter table events
	alter column accepted_block_on set not null,
	alter column accepted_delete_on set not null,
	alter column planned_block_on set not null,
	alter column planned_delete_on set not null;
comment on column events.accepted_block_on is 'block_on as it was last accepted, or moved by little';
comment on column events.accepted_delete_on is 'delete_on as it was last accepted, or moved by little';
comment on column events.planned_block_on is 'block_on as policy and source would have it now';
comment on column events.planned_delete_on is 'delete_on as policy and source would have it now';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
