package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// A response belongs to the attendee that its hidden field names; else to the one
// whose address it gives, where that address belongs to one attendee of the event;
// else to the one of them whose name agrees too. In a group order every ticket has
// the buyer's address, so an address alone is not a person. Whenever an attendee or
// a response comes or changes, those that it concerns are matched anew: the order
// in which things arrive decides nothing. What staff linked by hand stays.

// scope says which of an event's responses to match anew.
type scope struct {
	responses []uuid.UUID // these themselves
	indexes   [][]byte    // those with one of these addresses
	attendees []uuid.UUID // those that belong to, or name, one of these
}

// The parts of its statement are materialised: a planner that knows little of a fresh
// room would otherwise compute one for each row of another.

// match links the responses in scope and returns every attendee whom one of them
// belonged to or belongs to now.
func (s *Store) match(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, sc scope) ([]uuid.UUID, error) {
	var concerned []uuid.UUID
	err := tx.SelectContext(ctx, &concerned, `
		with r as (
			select id, attendee_id, claims, address_index, `+folded("name")+` as name
			from personal
			where event_id = $1 and part = 'response' and matched_by <> 'hand'
			  and (id = any($2::uuid[]) or address_index = any($3::bytea[])
			       or attendee_id = any($4::uuid[]) or claims = any($4::uuid[]))
		), named as materialized (
			select r.id, r.attendee_id as before, a.id as attendee_id
			from r
			join attendees a on a.id = r.claims and a.event_id = $1 and a.state = 'active'
		), candidate as (
			select r.id, r.attendee_id as before, a.id as attendee_id,
				p.id is not null and r.name <> '' and `+folded("p.name")+` = r.name and not 'name' = any(p.filled) as agrees,
				p.status = 'attending' as stands, p.id is null as sealed
			from r
			join attendees a on a.event_id = $1 and a.address_index = r.address_index
			left join personal p on p.event_id = $1 and p.id = a.id
			where r.address_index <> '' and r.id not in (select id from named)
		), found as materialized (
			select id, before,
				case
					when count(*) = 1 then min(attendee_id::text) filter (where not sealed)
					when count(*) filter (where agrees) = 1 then min(attendee_id::text) filter (where agrees)
					when count(*) filter (where agrees and stands) = 1 then min(attendee_id::text) filter (where agrees and stands)
				end::uuid as attendee_id,
				case when count(*) = 1 then 'address' else 'name' end as how
			from candidate
			group by id, before
		), verdict as (
			-- Sorted, not joined: a planner that expects one row each would compare all
			-- with all.
			select distinct on (id) id, before, attendee_id, how
			from (
				select id, before, attendee_id, 'hidden' as how, 1 as rank from named
				union all
				select id, before, attendee_id, how, 2 from found where attendee_id is not null
				union all
				select id, attendee_id, null, '', 3 from r
			) as said
			order by id, rank
		), linked as (
			update personal p
			set attendee_id = v.attendee_id, matched_by = v.how
			from verdict v
			where p.event_id = $1 and p.id = v.id
			  and (p.attendee_id is distinct from v.attendee_id or p.matched_by <> v.how)
		)
		select before from verdict where before is not null
		union
		select attendee_id from verdict where attendee_id is not null`,
		event, pq.StringArray(texts(sc.responses)), pq.ByteaArray(sc.indexes), pq.StringArray(texts(sc.attendees)))
	return concerned, quiet("match responses", err)
}

// folded compares names without case and with single spaces.
func folded(column string) string {
	return `lower(btrim(regexp_replace(` + column + `, '\s+', ' ', 'g')))`
}

// fill puts into attendees' records what their responses say, where their
// registration says nothing; the latest response stands before older ones. Who does
// not attend loses what only the forums needed, here and in the responses, unless a hold
// stands on her.
func (s *Store) fill(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.clearWithdrawn(ctx, tx, event, ids); err != nil {
		return err
	}
	if err := s.clearAbsent(ctx, tx, event, ids); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		with told as materialized (
			select attendee_id,
				(array_agg(name order by submitted_at desc, id) filter (where name <> ''))[1] as name,
				(array_agg(email order by submitted_at desc, id) filter (where email <> ''))[1] as email,
				(array_agg(affiliation order by submitted_at desc, id) filter (where affiliation <> ''))[1] as affiliation,
				(array_agg(forums::text order by submitted_at desc, id) filter (where forums <> '{}'))[1]::text[] as forums,
				(array_agg(answers order by submitted_at desc, id) filter (where answers <> '{}'))[1] as answers,
				(array_agg(agreement_version order by submitted_at desc, id) filter (where agreement_version <> ''))[1] as agreement_version,
				max(agreed_at) as agreed_at
			from personal
			where event_id = $1 and part = 'response' and attendee_id = any($2::uuid[])
			group by attendee_id
		), own as materialized (
			select p.id,
				case when 'name' = any(p.filled) then '' else p.name end as name,
				case when 'email' = any(p.filled) then '' else p.email end as email,
				case when 'affiliation' = any(p.filled) then '' else p.affiliation end as affiliation,
				case when 'forums' = any(p.filled) then '{}' else p.forums end as forums,
				case when 'answers' = any(p.filled) then '{}' else p.answers end as answers,
				case when 'agreement_version' = any(p.filled) then '' else p.agreement_version end as agreement_version,
				case when 'agreed_at' = any(p.filled) then null else p.agreed_at end as agreed_at
			from personal p
			where p.event_id = $1 and p.part = 'registration' and p.id = any($2::uuid[])
		)
		update personal p
		set name = coalesce(nullif(own.name, ''), told.name, ''),
		    email = coalesce(nullif(own.email, ''), told.email, ''),
		    affiliation = coalesce(nullif(own.affiliation, ''), told.affiliation, ''),
		    forums = coalesce(nullif(own.forums, '{}'), told.forums, '{}'),
		    answers = coalesce(nullif(own.answers, '{}'), told.answers, '{}'),
		    agreement_version = coalesce(nullif(own.agreement_version, ''), told.agreement_version, ''),
		    agreed_at = coalesce(own.agreed_at, told.agreed_at),
		    filled = array_remove(array[
				case when own.name = '' and told.name is not null then 'name' end,
				case when own.email = '' and told.email is not null then 'email' end,
				case when own.affiliation = '' and told.affiliation is not null then 'affiliation' end,
				case when own.forums = '{}' and told.forums is not null then 'forums' end,
				case when own.answers = '{}' and told.answers is not null then 'answers' end,
				case when own.agreement_version = '' and told.agreement_version is not null then 'agreement_version' end,
				case when own.agreed_at is null and told.agreed_at is not null then 'agreed_at' end], null)
		from own
		left join told on told.attendee_id = own.id
		where p.event_id = $1 and p.id = own.id
		  and (told.attendee_id is not null or p.filled <> '{}')`,
		event, pq.StringArray(texts(ids)))
	if err != nil {
		return quiet("fill records from responses", err)
	}
	return s.settle(ctx, tx, event, ids)
}

// clearAbsent empties what only the forums needed in the rows of those of the attendees who
// do not attend and whom no hold keeps, and in their responses.
func (s *Store) clearAbsent(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, ids []uuid.UUID) error {
	var absent []uuid.UUID
	err := tx.SelectContext(ctx, &absent, `
		select p.id
		from personal p
		where p.event_id = $1 and p.part = 'registration' and p.status <> 'attending' and p.id = any($2::uuid[])
		  and not `+holding("$1", "p.id", "$3"), event, pq.StringArray(texts(ids)), s.holdDay())
	if err != nil || len(absent) == 0 {
		return quiet("look for those who do not attend", err)
	}
	_, err = s.leaveEarly(ctx, tx, "drop forum answers", event, `
		update personal
		set affiliation = case when 'affiliation' = any($3) then '' else affiliation end,
		    forums = case when 'forums' = any($3) then '{}' else forums end,
		    answers = case when 'answers' = any($3) then '{}' else answers end,
		    corrected = corrected - $3::text[],
		    digest = case when part = 'response' then '' else digest end
		where event_id = $1 and (id = any($2::uuid[]) or part = 'response' and attendee_id = any($2::uuid[]))
		  and ('affiliation' = any($3) and affiliation <> '' or 'forums' = any($3) and forums <> '{}' or 'answers' = any($3) and answers <> '{}'
		       or corrected ?| $3::text[])`,
		pq.StringArray(texts(absent)), pq.Array(s.policy.DroppedFields()))
	return err
}

// meetResponses matches an event's responses with registrations that were just
// written, and fills those.
func (s *Store) meetResponses(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, written []part, held map[uuid.UUID]heldAttendee) error {
	var some bool
	err := tx.GetContext(ctx, &some, `
		select exists (select from personal where event_id = $1 and part = 'response')`, event)
	if err != nil || !some {
		return quiet("look for responses", err)
	}
	sc := scope{attendees: keysOf(written)}
	var back bool
	for _, p := range written {
		sc.indexes = append(sc.indexes, p.addressIndex)
		if h, known := held[p.id]; known {
			sc.indexes = append(sc.indexes, h.Index)
			back = back || h.Status != attendees.Attending && p.status == attendees.Attending
		}
	}
	sc.indexes = slices.DeleteFunc(sc.indexes, func(index []byte) bool { return len(index) == 0 })
	concerned, err := s.match(ctx, tx, event, sc)
	if err != nil {
		return err
	}
	if back {
		if err := s.readFormsAgain(ctx, tx, event); err != nil {
			return err
		}
	}
	return s.fill(ctx, tx, event, append(concerned, sc.attendees...))
}
