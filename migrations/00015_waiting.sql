-- +goose Up

-- Who was restricted since a backup that does not have her yet comes in sealed, with the
-- pull that brings her back.

alter table tombstones add column reason text not null default '' check (reason in ('', 'restriction', 'objection', 'erasure'));
comment on column tombstones.reason is 'why its registration comes in sealed instead of staying out; empty: it stays out';
comment on column tombstones.made_at is 'when it was erased, or restricted';

-- +goose Down
alter table tombstones drop column reason;
