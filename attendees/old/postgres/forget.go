package postgres

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Forgotten is what forgetting one registration did.
type Forgotten struct {
	Event   attendees.EventID
	Exports []Receipt // that still carry the person: every copy is to be destroyed
	Dumps   bool      // sealed records were taken out, and may carry her: staff are asked to destroy them now
}

// Forget erases one registration now, whatever its event's dates (GDPR Art. 17): its
// readable or sealed record, the responses that belong to it, its row. A tombstone, the
// keyed hash of its id, keeps it out for as long as its event is kept; a new
// registration of the same person comes in. Exports that carry it are recalled, and dumps
// of its event's sealed records, and staff are asked to delete it at Eventbrite. *HeldError
// says that a legal hold stands.
//
// The night's sweep writes the rooms anew, after which no file has the name.
func (s *Store) Forget(ctx context.Context, id attendees.AttendeeID, reason string) (f Forgotten, err error) {
	err = s.alone(ctx, id, func(tx *sqlx.Tx, o one) error {
		if held, err := s.isHeld(ctx, tx, o.event.Key, o.Key); err != nil {
			return err
		} else if held {
			return &HeldError{What: "attendee " + string(id)}
		}
		f.Event = o.event.ID
		if f.Exports, err = s.recall(ctx, tx, o.event, o.Key); err != nil {
			return err
		}
		if f.Dumps, err = s.recallDumps(ctx, tx, o.event.Key, erasedSince); err != nil {
			return err
		}
		responses, err := s.leaveForever(ctx, tx, o.event, id)
		if err != nil {
			return err
		}
		says := fmt.Sprintf("Somebody of event %s was erased by `lethe forget`: delete that registration at Eventbrite too. It was to go at once, %s", f.Event, atEventbrite)
		if err := s.askAgain(ctx, tx, o.event.Key, taskForgotten, says); err != nil {
			return err
		}
		return s.recordErasure(ctx, tx, ledger.Entry{Kind: ledger.Erased, Event: string(f.Event), Reason: reason}, id, responses)
	})
	return f, err
}

// recall marks the exports that carry a person, of the events that she has left, too, and
// names them.
func (s *Store) recall(ctx context.Context, tx *sqlx.Tx, e Event, attendee uuid.UUID) ([]Receipt, error) {
	events, err := s.eventsLeft(ctx, tx, attendee)
	if err != nil {
		return nil, err
	}
	keys := []uuid.UUID{e.Key}
	for _, left := range events {
		keys = append(keys, left.Key)
	}
	var receipts []Receipt
	err = tx.SelectContext(ctx, &receipts, `
		update receipts r
		set recalled_at = coalesce(recalled_at, $3)
		from events e
		where e.id = r.event_id and r.event_id = any($1::uuid[]) and r.id in (
			select receipt_id from personal where event_id = any($1::uuid[]) and part = 'receipt' and $2 = any(listed))
		returning r.id, e.source_id as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at`,
		pq.StringArray(texts(keys)), attendee, s.now())
	return receipts, quiet("recall exports", err)
}

// leaveForever deletes what is held of a registration and bars its ids. It gives the keyed
// ids of the responses that went.
func (s *Store) leaveForever(ctx context.Context, tx *sqlx.Tx, e Event, id attendees.AttendeeID) ([][]byte, error) {
	key := attendeeKey(attendees.Eventbrite, id)
	var sealed []string
	err := tx.SelectContext(ctx, &sealed, `delete from sealed where event_id = $1 and attendee_id = $2 returning part`, e.Key, key)
	if err != nil {
		return nil, quiet("erase a sealed record", err)
	}
	var answers []answerID
	for _, part := range sealed {
		if r, ok := answerOf(part); ok {
			answers = append(answers, r)
		}
	}
	responses, err := s.barResponses(ctx, tx, e, id, answers...)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `
		delete from personal
		where event_id = $1 and (id = $2 or part = 'look' and attendee_id = $2)`, e.Key, key)
	if err != nil {
		return nil, quiet("erase a readable record", err)
	}
	if err := s.noteLeaving(ctx, tx, e.Key, key); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `delete from attendees where id = $1`, key); err != nil {
		return nil, quiet("erase an attendee", err)
	}
	_, err = tx.ExecContext(ctx, `
		update holds
		set attendee_id = null, released_at = coalesce(released_at, $2)
		where attendee_id = $1`, key, s.now())
	if err != nil {
		return nil, quiet("let a hold that is over forget whom it held", err)
	}
	bar, newest := s.keys.KeyedID(string(attendees.Eventbrite), string(id), "")
	if err := s.letGoUpstream(ctx, tx, e); err != nil {
		return nil, err
	}
	if err := s.setTombstones(ctx, tx, e, [][]byte{bar}, newest); err != nil {
		return nil, err
	}
	for _, h := range []house{personalRooms, sealedRooms} {
		if err := s.askRewrite(ctx, tx, h, e.Key); err != nil {
			return nil, err
		}
	}
	return responses, nil
}

// recordErasure records an erasure, and each response that went with it: a restored backup
// may have them without knowing yet whose they are.
func (s *Store) recordErasure(ctx context.Context, tx *sqlx.Tx, e ledger.Entry, id attendees.AttendeeID, responses [][]byte) error {
	if err := s.recordAbout(ctx, tx, e, id); err != nil {
		return err
	}
	for _, response := range responses {
		if err := s.recordPerson(ctx, tx, ledger.Entry{Kind: ledger.ErasedAnswer, Event: e.Event}, response); err != nil {
			return err
		}
	}
	return nil
}

// barResponses deletes the responses that belong to a registration, keeps them out, and
// makes them due at their source, and with them those that were sealed. It gives their
// keyed ids. In the events that it has left nothing about it stays either.
func (s *Store) barResponses(ctx context.Context, tx *sqlx.Tx, e Event, id attendees.AttendeeID, sealed ...answerID) ([][]byte, error) {
	key := attendeeKey(attendees.Eventbrite, id)
	bars, err := s.barIn(ctx, tx, e, key, sealed...)
	if err != nil {
		return nil, err
	}
	left, err := s.eventsLeft(ctx, tx, key)
	if err != nil {
		return nil, err
	}
	for _, old := range left {
		more, err := s.barIn(ctx, tx, old, key)
		if err != nil {
			return nil, err
		}
		if _, err := s.leaveEarly(ctx, tx, "erase looks", old.Key, `delete from personal where event_id = $1 and part = 'look' and attendee_id = $2`, key); err != nil {
			return nil, err
		}
		if len(more) > 0 {
			if err := s.askRewrite(ctx, tx, personalRooms, old.Key); err != nil {
				return nil, err
			}
		}
		bars = append(bars, more...)
	}
	return bars, nil
}

func (s *Store) barIn(ctx context.Context, tx *sqlx.Tx, e Event, attendee uuid.UUID, sealed ...answerID) ([][]byte, error) {
	var responses []answerID
	err := tx.SelectContext(ctx, &responses, `
		delete from personal
		where event_id = $1 and part = 'response' and (attendee_id = $2 or claims = $2)
		returning form_id, source_id`, e.Key, attendee)
	if err != nil {
		return nil, quiet("erase responses", err)
	}
	var bars [][]byte
	for _, r := range append(responses, sealed...) {
		bar, _ := s.keys.KeyedID(responseSource(attendees.FormID(r.Form)), r.ID, "")
		bars = append(bars, bar)
		if err := s.eraseUpstream(ctx, tx, e, attendees.FormID(r.Form), attendees.ResponseID(r.ID)); err != nil {
			return nil, err
		}
	}
	return bars, s.setTombstones(ctx, tx, e, bars, s.keys.Newest())
}

func (s *Store) setTombstones(ctx context.Context, tx *sqlx.Tx, e Event, bars [][]byte, key string) error {
	_, err := tx.ExecContext(ctx, `
		insert into tombstones (keyed_id, key, event_id, made_at)
		select bar, $2, $3, $4
		from unnest($1::bytea[]) as t (bar)
		on conflict do nothing`, pq.ByteaArray(bars), key, e.Key, s.now())
	return quiet("set a tombstone", err)
}

// answerID names a response at its source.
type answerID struct {
	Form string `db:"form_id"`
	ID   string `db:"source_id"`
}

// answerOf is the response that a sealed part came from; false: it is no such part.
func answerOf(part string) (answerID, bool) {
	name, response := strings.CutPrefix(part, "response:")
	form, id, one := strings.Cut(name, ":")
	return answerID{form, id}, response && one
}

// responseSource is the name under which a form's responses have tombstones: their ids
// are unique within their form only.
func responseSource(form attendees.FormID) string { return "typeform/" + string(form) }

// barred tells which of the parts were erased and may never come back, whoever their
// source says they are now. Staff are asked, once, about one that changed since.
func (s *Store) barred(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, parts []part) (map[uuid.UUID]bool, error) {
	var some bool
	if err := tx.GetContext(ctx, &some, `select exists (select from tombstones)`); err != nil || !some {
		return nil, quiet("look for tombstones", err)
	}
	var ids [][]byte
	var whose []*part
	for i := range parts {
		p := &parts[i]
		source := string(p.source)
		if p.form != "" {
			source = responseSource(p.form)
		}
		bars := s.keys.KeyedIDs(source, p.sourceID, "")
		if p.claimed != "" { // what answers for somebody erased is hers, too
			bars = append(bars, s.keys.KeyedIDs(string(attendees.Eventbrite), p.claimed, "")...)
		}
		for _, id := range bars {
			ids, whose = append(ids, id), append(whose, p)
		}
	}
	var found []struct {
		KeyedID []byte     `db:"keyed_id"`
		MadeAt  time.Time  `db:"made_at"`
		AskedAt *time.Time `db:"asked_at"`
		Event   uuid.UUID  `db:"event_id"`
		Waits   bool       `db:"waits"` // for its registration, to seal it
	}
	err := tx.SelectContext(ctx, &found, `
		select keyed_id, made_at, asked_at, event_id, reason <> '' as waits
		from tombstones
		where keyed_id = any($1)`, pq.ByteaArray(ids))
	if err != nil {
		return nil, quiet("look for tombstones", err)
	}
	barred := map[uuid.UUID]bool{}
	for _, f := range found {
		for i, id := range ids {
			if !bytes.Equal(id, f.KeyedID) {
				continue
			}
			p := whose[i]
			barred[p.id] = true
			if f.Event != event {
				if err := s.followTombstone(ctx, tx, f.KeyedID, event); err != nil {
					return nil, err
				}
			}
			if f.AskedAt == nil && !f.Waits && p.changed.After(f.MadeAt) {
				if err := s.askAbout(ctx, tx, event, f.KeyedID); err != nil {
					return nil, err
				}
			}
		}
	}
	return barred, nil
}

// followTombstone lets a tombstone stand until the later of two events is deleted: its own,
// and the one that its source has the registration in by now.
func (s *Store) followTombstone(ctx context.Context, tx *sqlx.Tx, keyedID []byte, event uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `
		update tombstones t
		set event_id = n.id
		from events n
		where t.keyed_id = $1 and n.id = $2
		  and n.delete_on > (select o.delete_on from events o where o.id = t.event_id)`, keyedID, event)
	return quiet("keep a tombstone for longer", err)
}

func (s *Store) askAbout(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, keyedID []byte) error {
	if _, err := tx.ExecContext(ctx, `update tombstones set asked_at = $2 where keyed_id = $1`, keyedID, s.now()); err != nil {
		return quiet("ask about an erased registration", err)
	}
	return s.askAgain(ctx, tx, event, taskErased, "A registration that was erased has changed at its source since. "+
		"It stays out. Somebody else may have it now: look there for what changed last, and ask that person to register anew")
}
