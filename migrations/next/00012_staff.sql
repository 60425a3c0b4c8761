-- +goose Up

create table users (
	id            uuid primary key,
	email         text not null,
	roles         text[] not null,
	events        text[] not null default '{}',
	added_at      timestamptz not null,
	signed_out_at timestamptz
);
alter table users alter column email set statistics 0;
comment on table users is 'who may sign in to the console: staff, not attendees';
comment on column users.id is 'made at random; sessions and traces name it';
comment on column users.email is 'the normalised address that sign-in links go to';
comment on column users.roles is 'organiser, operator, officer';
comment on column users.events is 'the source''s ids of the events that an organiser sees; empty: all';
comment on column users.added_at is 'when the user was added or last changed';
comment on column users.signed_out_at is 'when the user signed out everywhere: older sessions count no more';

create table signins (
	hash       bytea primary key,
	user_id    uuid not null references users on delete cascade,
	expires_at timestamptz not null
);
create index on signins (expires_at);
alter table signins alter column hash set statistics 0;
comment on table signins is 'mailed links that were not used yet';
comment on column signins.hash is 'HMAC of the link''s token: the table opens nothing';
comment on column signins.user_id is 'whom it signs in';
comment on column signins.expires_at is 'when it is good no more';

create table sessions (
	token      text primary key,
	data       bytea not null,
	expires_at timestamptz not null
);
create index on sessions (expires_at);
alter table sessions
	alter column token set statistics 0,
	alter column data set statistics 0;
comment on table sessions is 'browsers that are signed in';
comment on column sessions.token is 'SHA-256 of the cookie''s token: the table signs nobody in';
comment on column sessions.data is 'the user''s id and when the session began';
comment on column sessions.expires_at is 'when it ends unless it is used before';

create table limits (
	key     bytea primary key,
	times   timestamptz[] not null,
	last_at timestamptz not null
);
create index on limits (last_at);
alter table limits alter column key set statistics 0;
comment on table limits is 'how often an address or a network asked for mail lately; rows go after a day';
comment on column limits.key is 'HMAC of what is limited and who asked';
comment on column limits.times is 'when they did, as far back as the limit looks';
comment on column limits.last_at is 'the newest of times';

-- +goose Down
drop table limits, sessions, signins, users;
