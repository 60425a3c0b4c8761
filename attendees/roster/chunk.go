package roster

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
)

// chunkRows is how many people a chunk has: as many as one processor opens at a time.
const chunkRows = 512

// chunk is some people, packed: there is no pointer for each of them, so that the garbage
// collector has nothing to look at. It only ever grows, so that rosters of several versions
// share it.
type chunk struct {
	rows  []row
	texts []byte   // what pack writes
	found []byte   // what a search looks in: folded texts, each with a line's end
	plain bool     // nobody searches it: found stays empty
	words []string // what comes in few kinds, for all chunks of a roster
}

// row is one attendee: what filters and orders look at, and where the rest is.
type row struct {
	key                uuid.UUID
	registered, agreed int64  // Unix seconds; 0: never
	purposes           uint64 // that have a reason for the attendee, by their place in the policy
	texts, found       uint32 // where its own begin
	ticket, agreement  uint32 // in words
	standing           uint8  // in standings
	flags              uint8
}

const (
	attended uint8 = 1 << iota
	agreed         // or counts as having agreed
	former         // somebody else has the ticket now
)

var standings = []attendees.Standing{attendees.Attending, attendees.Cancelled, attendees.Refunded, attendees.Gone}

// words keeps texts that many people share once each.
type words struct {
	mu  sync.Mutex
	at  map[string]uint32
	all []string
}

func (w *words) of(text string) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.at[text]
	if !ok {
		i = uint32(len(w.all))
		w.at[text], w.all = i, append(w.all, text)
	}
	return i
}

// now are the words that there are now: later ones come behind.
func (w *words) now() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// kind is a purpose and a field as one word.
func kind(p attendees.PurposeName, f attendees.Field) string { return string(p) + " " + string(f) }

// pack adds an attendee to the chunk.
func (c *chunk) pack(policy *attendees.Policy, w *words, a *Entry) {
	r := row{
		key: a.ID, registered: seconds(a.Registered), agreed: seconds(a.AgreedAt),
		texts: uint32(len(c.texts)), found: uint32(len(c.found)), ticket: w.of(a.Ticket), agreement: w.of(a.AgreementVersion),
		standing: uint8(slices.Index(standings, a.Standing)),
	}
	if a.Attendee.Attended {
		r.flags |= attended
	}
	if a.HasAgreed {
		r.flags |= agreed
	}
	if a.Former {
		r.flags |= former
	}
	for i, u := range policy.Purposes {
		if a.For(u) {
			r.purposes |= 1 << i
		}
	}
	c.rows = append(c.rows, r)
	c.find(a.Name.Reveal(), a.Email.Reveal(), a.Ticket, string(a.Attendee.ID))
	b := &packer{c.texts}
	b.text(string(a.Attendee.ID))
	b.number(a.Holder)
	b.text(a.Name.Reveal())
	b.text(a.Email.Reveal())
	b.number(len(a.Given))
	for _, g := range a.Given {
		b.number(int(w.of(kind(g.Purpose, g.Field))))
		b.time(g.At)
		b.text(g.Version)
		b.number(len(g.Values))
		for _, v := range g.Values {
			b.text(v.Reveal())
			c.find(v.Reveal())
		}
	}
	b.number(len(a.Corrected))
	for _, f := range a.Corrected {
		b.number(int(w.of(string(f))))
	}
	b.number(len(a.Answered))
	for _, x := range a.Answered {
		b.number(int(w.of(string(x.Form))))
		b.time(x.Submitted)
	}
	c.texts = b.b
}

// find has a search find the attendee who was packed last by some texts.
func (c *chunk) find(texts ...string) {
	if c.plain {
		return
	}
	for _, text := range texts {
		c.found = append(appendFold(c.found, text), '\n')
	}
}

// add adds a row of another chunk of the same roster.
func (c *chunk) add(from *chunk, i int) {
	r := from.rows[i]
	texts, found := from.texts[r.texts:from.end(i, textsAt)], from.found[r.found:from.end(i, foundAt)]
	r.texts, r.found = uint32(len(c.texts)), uint32(len(c.found))
	c.rows, c.texts, c.found = append(c.rows, r), append(c.texts, texts...), append(c.found, found...)
	if len(from.words) > len(c.words) {
		c.words = from.words
	}
}

const (
	textsAt = iota
	foundAt
)

// end is where what a row has in texts or found ends.
func (c *chunk) end(i int, which int) uint32 {
	ends := [...]uint32{textsAt: uint32(len(c.texts)), foundAt: uint32(len(c.found))}
	if i+1 < len(c.rows) {
		ends = [...]uint32{textsAt: c.rows[i+1].texts, foundAt: c.rows[i+1].found}
	}
	return ends[which]
}

// search is what a search of a row looks in.
func (c *chunk) search(i int) []byte { return c.found[c.rows[i].found:c.end(i, foundAt)] }

func (c *chunk) size() int {
	const rowSize = 80
	return cap(c.rows)*rowSize + cap(c.texts) + cap(c.found)
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

type packer struct{ b []byte }

func (p *packer) number(n int)     { p.b = binary.AppendUvarint(p.b, uint64(n)) }
func (p *packer) time(t time.Time) { p.b = binary.AppendVarint(p.b, seconds(t)) }
func (p *packer) text(s string) {
	p.number(len(s))
	p.b = append(p.b, s...)
}

// unpacker reads what a packer wrote.
type unpacker struct{ b []byte }

func (u *unpacker) number() int {
	n, size := binary.Uvarint(u.b)
	u.b = u.b[size:]
	return int(n)
}

func (u *unpacker) time() int64 {
	n, size := binary.Varint(u.b)
	u.b = u.b[size:]
	return n
}

func (u *unpacker) text() []byte {
	n := u.number()
	text := u.b[:n]
	u.b = u.b[n:]
	return text
}
