-- +goose Up

-- No column of these files holds readable personal data. Each text or json column says in
-- its comment what it holds; a test lists them all.

create table marks (
	name  text primary key,
	value text not null default '',
	at    timestamptz not null default now()
);
comment on table marks is 'what is true of this database as a whole';
comment on column marks.name is 'what is true, such as "simulated" or "discovered"';
comment on column marks.value is 'how or where';
comment on column marks.at is 'since when, or when last';
