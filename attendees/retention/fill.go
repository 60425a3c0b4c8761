package retention

import (
	"bytes"
	"context"
	"runtime"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

const (
	// prepareBatch is how many people are sealed and written at a time, in one transaction.
	prepareBatch = 2000
	// prepareWorkers is how many do that at least: while one waits for the database, another
	// seals.
	prepareWorkers = 2
)

// fill reads the people, and seals and writes their records on all processors.
func (p *preparation) fill(ctx context.Context, tx db.Tx) error {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []reader.Row)
	send := func(batch []reader.Row) error {
		select {
		case batches <- batch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	group.Go(func() error {
		defer close(batches)
		var batch []reader.Row
		err := p.reader.Rows(ctx, tx, p.event, 0, func(one reader.Row) (err error) {
			if batch = append(batch, one); len(batch) == prepareBatch {
				err, batch = send(batch), make([]reader.Row, 0, prepareBatch)
			}
			return err
		})
		if err != nil {
			return err
		}
		return send(batch)
	})
	for range max(prepareWorkers, runtime.GOMAXPROCS(0)) {
		group.Go(func() error {
			for batch := range batches {
				if err := p.part(ctx, batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// sealedRecord is one record on its way into the table.
type sealedRecord struct {
	attendee           uuid.UUID
	sealed, half, hash []byte
}

// atSource are responses to one form that their source has still.
type atSource struct {
	ids, attendees pq.StringArray
	sealed         pq.ByteaArray
}

// part is what one batch of people comes to.
type part struct {
	records  map[vault.Name][]sealedRecord
	upstream map[attendees.FormID]*atSource
	counts   map[string]int
	outcome
}

// part seals and writes what is kept of some people.
func (p *preparation) part(ctx context.Context, batch []reader.Row) error {
	out := part{records: map[vault.Name][]sealedRecord{}, upstream: map[attendees.FormID]*atSource{}, counts: map[string]int{}}
	for _, row := range batch {
		out.counts["registered"]++
		one, err := row.Open()
		if err != nil {
			if p.leaving && !p.event.Held && !p.held[row.ID()] {
				continue // damage keeps nobody from being deleted
			}
			return err
		}
		if one.State != attendees.Open || one.Registration.IsZero() {
			continue // restricted, or blocked before the event was reopened: sealed already
		}
		p.one(one, &out)
	}
	err := db.InTx(ctx, p.pool, func(tx db.Tx) error {
		for name, records := range out.records {
			if err := p.writeRecords(ctx, tx, name, records); err != nil {
				return err
			}
		}
		for form, some := range out.upstream {
			_, err := db.Exec(ctx, tx, `
				insert into upstream (event_id, form_id, id, attendee_id, sealed)
				select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::bytea[]) as r (id, attendee_id, sealed)
				order by id
				on conflict (event_id, id) do update set attendee_id = excluded.attendee_id`, p.event.Key, form, some.ids, some.attendees, some.sealed)
			if err != nil {
				return err
			}
		}
		return nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = outcome{p.total.Sealed + out.Sealed, p.total.Doubted + out.Doubted, p.total.Dropped + out.Dropped}
	for what, n := range out.counts {
		p.counts[what] += n
	}
	return err
}

// one seals what is kept of one attendee.
func (p *preparation) one(one reader.Person, out *part) {
	a := one.Merged(p.policy)
	agreed := one.CountsAsAgreed || !a.AgreedAt.IsZero()
	for what, is := range map[string]bool{"attended": a.Attended, "agreed": agreed, ticketCount + a.Ticket: a.Ticket != ""} {
		if is {
			out.counts[what]++
		}
	}
	address := a.Email.Reveal()
	if one.Shared || p.shared[string(one.AddressIndex)] {
		address = ""
	}
	own := one.Registration.Name() // a corrected one does not say who the source names
	if own.Empty() {
		own = a.Name
	}
	hash := p.hashes.Name(string(p.event.ID), own.Reveal())
	kept := false
	under := func(name vault.Name) {
		k, kind := p.keys[name], string(name)
		text := a.Record(p.policy, p.event.ID, name == vault.Held).Text()
		record := sealedRecord{attendee: one.ID, sealed: k.Cipher.Seal(nil, one.ID, 0, kind, text), hash: hash}
		if k.Halves != nil {
			record.half = k.Halves.Seal(address, one.ID, 0, kind, text)
		}
		out.records[name], kept = append(out.records[name], record), true
	}
	switch {
	case p.leaving || !p.policy.Keeps():
	case !p.asks || agreed:
		under(vault.Kept)
	case p.ask || p.claims[one.ID]:
		under(vault.Doubt)
		out.Doubted++
	}
	if p.event.Held || p.held[one.ID] {
		under(vault.Held)
	}
	if kept {
		out.Sealed++
	} else {
		out.Dropped++
	}
	for _, r := range one.Responses {
		form, id := r.Layer.Response()
		if id == "" || p.policy.UpstreamOf(form) == attendees.UpstreamNever {
			continue
		}
		some := out.upstream[form]
		if some == nil {
			some = &atSource{}
			out.upstream[form] = some
		}
		some.ids, some.attendees = append(some.ids, r.ID.String()), append(some.attendees, one.ID.String())
		some.sealed = append(some.sealed, p.secrets.SealText(events.IDs(p.event.Key), []byte(id)))
	}
}

// writeRecords writes records sorted: their order tells nothing. All are packed into one
// value, which travels as it is, where lib/pq copies arrays of bytes in hexadecimal.
func (p *preparation) writeRecords(ctx context.Context, tx db.Tx, name vault.Name, all []sealedRecord) error {
	slices.SortFunc(all, func(a, b sealedRecord) int { return bytes.Compare(a.attendee[:], b.attendee[:]) })
	packed := make([]byte, 0, len(all)*(len(all[0].sealed)+len(all[0].half)+64))
	var at, hashes, sealed, halves pq.Int32Array
	for _, r := range all {
		at, hashes = append(at, int32(len(packed)+1)), append(hashes, int32(len(r.hash)))
		sealed, halves = append(sealed, int32(len(r.sealed))), append(halves, int32(len(r.half)))
		packed = append(append(append(append(packed, r.attendee[:]...), r.hash...), r.sealed...), r.half...)
	}
	_, err := db.Exec(ctx, tx, `
		insert into records (event_id, kind, generation, recorded_on, attendee_id, name_hash, sealed, half)
		select $1, $2, $3, $4::date, encode(substring(bytes from r.at for 16), 'hex')::uuid,
			nullif(substring(bytes from r.at + 16 for r.hash), ''),
			substring(bytes from r.at + 16 + r.hash for r.sealed),
			nullif(substring(bytes from r.at + 16 + r.hash + r.sealed for r.half), '')
		from (select $5::bytea as bytes offset 0) as packed, unnest($6::int[], $7::int[], $8::int[], $9::int[]) as r (at, hash, sealed, half)`,
		p.event.Key, name, p.keys[name].Cipher.Generation(), attendees.DateOf(p.now().UTC()).String(), packed, at, hashes, sealed, halves)
	return err
}
