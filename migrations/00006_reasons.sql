-- +goose Up

-- One registration may be blocked for itself while its event's others are not, and a
-- consent may be withdrawn while the registration stands.
alter table attendees
	add column reason    text not null default '' check (reason in ('', 'erasure', 'restriction', 'objection')),
	add column withdrawn text[] not null default '{}';
alter table attendees
	alter column reason set statistics 0,
	alter column withdrawn set statistics 0;
create index on attendees (event_id) where state = 'blocked' or withdrawn <> '{}';
create index on attendees (event_id) where reason in ('restriction', 'objection');
comment on column attendees.reason is 'why this registration alone is blocked: erasure, restriction or objection; empty: its event is over';
comment on column attendees.withdrawn is 'the purposes for which consent was withdrawn: their fields never come back';
comment on column sealed.part is 'registration; held: the fields without a duty, which a hold or a restriction keeps; response: and a form, of nobody, which a hold keeps; response: or held: and a form and an id, of a restricted registration';
comment on column sealed.agreed is 'whether the person ever agreed; kept only while its event is doubted, or the record held or restricted';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
