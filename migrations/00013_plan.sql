-- +goose Up

-- A rule counts as its dates do: the one that would be used now, and the one that was
-- accepted with the dates, stand beside "rule", the one that delete_on comes from.
alter table events
	add column planned_rule  text,
	add column accepted_rule text;
update events set planned_rule = rule, accepted_rule = rule;
alter table events
	alter column planned_rule set not null,
	alter column accepted_rule set not null;
comment on column events.planned_rule is 'rule that the policy names for it now';
comment on column events.accepted_rule is 'rule that accepted_delete_on comes from';

-- A deletion waits a day after it was announced, not for the next date.
alter table announcements add column made_at timestamptz;
update announcements set made_at = made_on;
alter table announcements
	alter column made_at set not null,
	drop column made_on;
comment on column announcements.made_at is 'when it was announced';

alter table tasks add column times integer not null default 1;
comment on column tasks.times is 'how often there was a reason for it since it is open';

-- A hold on one registration is found by it alone, whatever event it moves to.
create index on holds (attendee_id) where released_at is null;

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
