package retention

import (
	"context"
	"errors"
	"runtime"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// sealedRecord is one record on its way into the table.
type sealedRecord struct {
	attendee     uuid.UUID
	kind         string
	generation   []byte
	sealed, half []byte
	name         []byte
}

// responseAtSource is one response whose source has it still.
type responseAtSource struct {
	id, attendee uuid.UUID
	form         attendees.FormID
	sealed       []byte
}

// part is what one batch of people comes to.
type part struct {
	records                  []sealedRecord
	upstream                 []responseAtSource
	sealed, doubted, dropped int
	counts                   map[string]int
}

const (
	// prepareBatch is how many people are sealed at a time by one processor.
	prepareBatch = 500
	// writeBatch is how many records are written in one transaction.
	writeBatch = 20_000
)

// fill reads the people, seals their records on all processors, and writes them.
func (p *preparation) fill(ctx context.Context, tx db.Tx) error {
	group, ctx := errgroup.WithContext(ctx)
	batches, parts := make(chan []reader.Row, 2), make(chan part, 2)
	group.Go(func() error {
		defer close(batches)
		var batch []reader.Row
		send := func() error {
			select {
			case batches <- batch:
			case <-ctx.Done():
				return ctx.Err()
			}
			batch = make([]reader.Row, 0, prepareBatch)
			return nil
		}
		err := p.reader.Rows(ctx, tx, p.event, 0, func(one reader.Row) error {
			if batch = append(batch, one); len(batch) < prepareBatch {
				return nil
			}
			return send()
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		return send()
	})
	workers, _ := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() error {
			for batch := range batches {
				sealed, err := p.seal(batch)
				if err != nil {
					return err
				}
				select {
				case parts <- sealed:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(parts)
		return workers.Wait()
	})
	group.Go(func() error { return p.write(ctx, parts) })
	return group.Wait()
}

// seal seals what is kept of some people.
func (p *preparation) seal(batch []reader.Row) (part, error) {
	out := part{counts: map[string]int{}}
	for _, row := range batch {
		out.counts["registered"]++
		one, err := row.Open()
		if err != nil {
			if p.leaving && !p.heldOnly[row.ID()] {
				continue // damage keeps nobody from being deleted
			}
			return out, err
		}
		if one.State != attendees.Open || one.Registration.IsZero() {
			continue // restricted, or blocked before the event was reopened: sealed already
		}
		p.one(one, &out)
	}
	return out, nil
}

// one seals what is kept of one attendee.
func (p *preparation) one(one reader.Person, out *part) {
	a := one.Merged(p.policy)
	agreed := one.CountsAsAgreed || !a.AgreedAt.IsZero()
	count := func(is bool, what string) {
		if is {
			out.counts[what]++
		}
	}
	count(a.Attended, "attended")
	count(agreed, "agreed")
	count(a.Ticket != "", ticketCount+a.Ticket)
	address := a.Email.Reveal()
	if one.Shared || p.shared[string(one.AddressIndex)] {
		address = ""
	}
	own := one.Registration.Name() // a corrected one does not say who the source names
	if own.Empty() {
		own = a.Name
	}
	hash := p.hashes.Name(string(p.event.ID), own.Reveal())
	under := func(name vault.Name) {
		k, kind := p.keys[name], string(name)
		text := a.Record(p.policy, p.event.ID, name == vault.Held).Text()
		record := sealedRecord{attendee: one.ID, kind: kind, generation: k.Cipher.Generation(), sealed: k.Cipher.Seal(nil, one.ID, 0, kind, text), name: hash}
		if k.Halves != nil {
			record.half = k.Halves.Seal(address, one.ID, 0, kind, text)
		}
		out.records = append(out.records, record)
	}
	before := len(out.records)
	switch {
	case p.leaving || !p.policy.Keeps():
	case !p.asks || agreed:
		under(vault.Kept)
	case p.ask || p.claims[one.ID]:
		under(vault.Doubt)
		out.doubted++
	}
	if p.whole || p.heldOnly[one.ID] {
		under(vault.Held)
	}
	if len(out.records) > before {
		out.sealed++
	} else {
		out.dropped++
	}
	for _, r := range one.Responses {
		if form, id := r.Layer.Response(); id != "" && p.policy.UpstreamOf(form) != attendees.UpstreamNever {
			out.upstream = append(out.upstream, responseAtSource{r.ID, one.ID, form, p.people.SealIDs(p.event.Key, string(id))})
		}
	}
}

// write writes records as they come, some thousand in one transaction.
func (p *preparation) write(ctx context.Context, parts <-chan part) error {
	var records []sealedRecord
	var upstream []responseAtSource
	flush := func() error {
		err := db.InTx(ctx, p.pool, func(tx db.Tx) error {
			if err := p.copyRecords(ctx, tx, records); err != nil {
				return err
			}
			return p.copyUpstream(ctx, tx, upstream)
		})
		records, upstream = records[:0], upstream[:0]
		return err
	}
	for one := range parts {
		records, upstream = append(records, one.records...), append(upstream, one.upstream...)
		p.sealed, p.doubted, p.dropped = p.sealed+one.sealed, p.doubted+one.doubted, p.dropped+one.dropped
		for what, n := range one.counts {
			p.counts[what] += n
		}
		if len(records)+len(upstream) >= writeBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (p *preparation) copyRecords(ctx context.Context, tx db.Tx, all []sealedRecord) (err error) {
	if len(all) == 0 {
		return nil
	}
	copied, err := tx.PrepareContext(ctx, `copy records (event_id, attendee_id, kind, generation, sealed, half, name_hash, recorded_on) from stdin`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	event, today := p.event.Key.String(), p.today()
	for _, r := range all {
		if _, err := copied.ExecContext(ctx, event, r.attendee.String(), r.kind, r.generation, r.sealed, db.Bytes(r.half), r.name, today); err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

func (p *preparation) copyUpstream(ctx context.Context, tx db.Tx, all []responseAtSource) (err error) {
	if len(all) == 0 {
		return nil
	}
	copied, err := tx.PrepareContext(ctx, `copy upstream (id, event_id, form_id, attendee_id, sealed) from stdin`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	for _, r := range all {
		if _, err := copied.ExecContext(ctx, r.id.String(), p.event.Key.String(), string(r.form), r.attendee.String(), r.sealed); err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

func (s *Store) today() string { return attendees.DateOf(s.now().UTC()).String() }
