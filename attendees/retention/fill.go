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
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// sealedRecord is one record on its way into the table.
type sealedRecord struct {
	attendee           uuid.UUID
	name               vault.Name
	sealed, half, hash []byte
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
	writeBatch = 5000
	// writers is how many connections write: one would keep one processor idle.
	writers = 2
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
	for range writers {
		group.Go(func() error { return p.write(ctx, parts) })
	}
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
		record := sealedRecord{attendee: one.ID, name: name, sealed: k.Cipher.Seal(nil, one.ID, 0, kind, text), hash: hash}
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

// write writes records as they come, some thousand in one transaction, sorted: their order
// tells nothing.
func (p *preparation) write(ctx context.Context, parts <-chan part) error {
	records, upstream := map[vault.Name][]sealedRecord{}, map[attendees.FormID][]responseAtSource{}
	n := 0
	flush := func() error {
		n = 0
		return db.InTx(ctx, p.pool, func(tx db.Tx) error {
			for name, some := range records {
				if err := p.writeRecords(ctx, tx, name, some); err != nil {
					return err
				}
				records[name] = some[:0]
			}
			for form, some := range upstream {
				if err := p.writeUpstream(ctx, tx, form, some); err != nil {
					return err
				}
				upstream[form] = some[:0]
			}
			return nil
		})
	}
	for one := range parts {
		for _, r := range one.records {
			records[r.name] = append(records[r.name], r)
		}
		for _, r := range one.upstream {
			upstream[r.form] = append(upstream[r.form], r)
		}
		p.add(one)
		if n += len(one.records) + len(one.upstream); n >= writeBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// add counts a part.
func (p *preparation) add(one part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed, p.doubted, p.dropped = p.sealed+one.sealed, p.doubted+one.doubted, p.dropped+one.dropped
	for what, k := range one.counts {
		p.counts[what] += k
	}
}

// pack is the bytes of many rows in one value, which travels as it is, where lib/pq copies
// bytes in hexadecimal. Each row begins with a key.
type pack struct {
	bytes   []byte
	lengths [4]pq.Int32Array // where each row begins, and the lengths of its parts
}

// newPack makes room for n rows that are about as long as one.
func newPack(n, one int) (p pack) {
	p.bytes = make([]byte, 0, n*(one+one/8+48))
	return p
}

func (p *pack) add(key uuid.UUID, parts ...[]byte) {
	p.lengths[0] = append(p.lengths[0], int32(len(p.bytes)+1))
	p.bytes = append(p.bytes, key[:]...)
	for i, b := range parts {
		p.lengths[i+1] = append(p.lengths[i+1], int32(len(b)))
		p.bytes = append(p.bytes, b...)
	}
}

func (p *preparation) writeRecords(ctx context.Context, tx db.Tx, name vault.Name, all []sealedRecord) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b sealedRecord) int { return bytes.Compare(a.attendee[:], b.attendee[:]) })
	rows := newPack(len(all), len(all[0].sealed)+len(all[0].half))
	for _, r := range all {
		rows.add(r.attendee, r.hash, r.sealed, r.half)
	}
	_, err := db.Exec(ctx, tx, `
		insert into records (event_id, kind, generation, recorded_on, attendee_id, name_hash, sealed, half)
		select $1, $2, $3, $4::date, encode(substring(bytes from r.at for 16), 'hex')::uuid,
			nullif(substring(bytes from r.at + 16 for r.hash), ''),
			substring(bytes from r.at + 16 + r.hash for r.sealed),
			nullif(substring(bytes from r.at + 16 + r.hash + r.sealed for r.half), '')
		from (select $5::bytea as bytes offset 0) as packed, unnest($6::int[], $7::int[], $8::int[], $9::int[]) as r (at, hash, sealed, half)`,
		p.event.Key, name, p.keys[name].Cipher.Generation(), p.today(), rows.bytes, rows.lengths[0], rows.lengths[1], rows.lengths[2], rows.lengths[3])
	return err
}

func (p *preparation) writeUpstream(ctx context.Context, tx db.Tx, form attendees.FormID, all []responseAtSource) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b responseAtSource) int { return bytes.Compare(a.id[:], b.id[:]) })
	rows := newPack(len(all), len(all[0].sealed))
	for _, r := range all {
		rows.add(r.id, r.attendee[:], r.sealed)
	}
	_, err := db.Exec(ctx, tx, `
		insert into upstream (event_id, form_id, id, attendee_id, sealed)
		select $1, $2, encode(substring(bytes from r.at for 16), 'hex')::uuid, encode(substring(bytes from r.at + 16 for 16), 'hex')::uuid,
			substring(bytes from r.at + 32 for r.sealed)
		from (select $3::bytea as bytes offset 0) as packed, unnest($4::int[], $5::int[]) as r (at, sealed)`,
		p.event.Key, form, rows.bytes, rows.lengths[0], rows.lengths[2])
	return err
}

func (s *Store) today() string { return attendees.DateOf(s.now().UTC()).String() }
