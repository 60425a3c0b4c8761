-- +goose Up

-- How old an opening is, its entry in the ledger says, which nobody can change unnoticed.
alter table openings drop column made_on;

-- +goose Down
alter table openings add column made_on date not null default current_date;
alter table openings alter column made_on drop default;
comment on column openings.made_on is 'since when it is kept';
