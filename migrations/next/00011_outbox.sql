-- +goose Up

create table outbox (
	id      uuid primary key,
	key     text not null,
	sealed  bytea not null,
	made_at timestamptz not null
);
alter table outbox alter column sealed set statistics 0;
comment on table outbox is 'mail that waits to be sent; a row goes when its mail is sent or given up';
comment on column outbox.id is 'made at random; the job that sends it knows no more';
comment on column outbox.key is 'id of the secret that it is encrypted under';
comment on column outbox.sealed is 'nonce and letter, XChaCha20-Poly1305';
comment on column outbox.made_at is 'since when it waits';

-- +goose Down
drop table outbox;
