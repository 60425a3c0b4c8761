-- +goose Up

-- A long list's people are kept in several rows: one array of a million would have
-- to stand in memory whole. A table of partitions takes the column to all of them.
alter table personal add column receipt_id uuid;
comment on column personal.receipt_id is 'the receipt of the export that "listed" belongs to';
comment on column personal.listed is 'the attendees who were on one export, or some of them';
comment on column personal.id is 'of the attendee, the response or the piece of a list';
comment on column receipts.id is 'made at random; the list of people names it';

-- +goose Down
-- There is no way down: a schema that forgets people must not forget that it did.
select 1;
