package postgres

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// part is one row to be of a room: a registration, or a response to a form.
type part struct {
	event   uuid.UUID
	outside attendees.EventID
	source  attendees.SourceName

	id       uuid.UUID
	sourceID string
	changed  time.Time // registration: changed at the source; response: submitted
	created  time.Time // registration alone
	claims   uuid.UUID // response alone: the attendee that it names
	claimed  string    // the same, by the source's id
	form     attendees.FormID

	name, email          attendees.Personal
	ticket               string
	status               attendees.Standing
	sourceStatus         string
	attended             bool
	version              string
	agreed               time.Time
	affiliation          attendees.Personal
	forums               []attendees.Personal
	answers              string // JSON
	digest, addressIndex []byte
	addressKey           string
	corrected            string // JSON; empty: nothing was
}

func (s *Store) registrationPart(source attendees.SourceName, a attendees.Attendee) part {
	p := part{
		event: eventKey(source, a.Event), outside: a.Event, source: source,
		id: attendeeKey(source, a.ID), sourceID: string(a.ID), changed: a.Changed, created: a.Registered,
		name: a.Name, email: a.Email, ticket: a.Ticket, status: a.Status, sourceStatus: a.SourceStatus,
		attended: a.Attended, version: a.AgreementVersion, agreed: a.AgreedAt, affiliation: a.Affiliation,
		forums: a.Forums, answers: answersJSON(a.Answers),
	}
	s.finish(&p)
	return p
}

// indexKey is the id of the secret that an event's addresses are hashed with. It stays the
// same while the event is kept, unless that secret is gone, which nothing needs then.
func (s *Store) indexKey(e Event) string {
	if s.keys.Has(e.AddressKey) {
		return e.AddressKey
	}
	return s.keys.Newest()
}

// index adds the address index that a part has in its event.
func (s *Store) index(p *part, e Event) {
	p.addressKey = s.indexKey(e)
	p.addressIndex = s.keys.AddressIndexUnder(p.addressKey, string(p.outside), p.email.Reveal())
}

func (s *Store) responsePart(e Event, r attendees.FormAnswers) part {
	p := part{
		event: e.Key, outside: e.ID, source: attendees.Typeform,
		id: responseKey(r.Form, r.ID), sourceID: string(r.ID), changed: r.Submitted, form: r.Form,
		name: r.Name, email: r.Email, version: r.AgreementVersion, agreed: r.AgreedAt, affiliation: r.Affiliation,
		forums: r.Forums, answers: answersJSON(r.Answers),
	}
	if r.Attendee != "" {
		p.claims, p.claimed = attendeeKey(attendees.Eventbrite, r.Attendee), string(r.Attendee)
	}
	s.finish(&p)
	s.index(&p, e)
	return p
}

// finish adds the digest, by which the next pull sees whether anything changed without reading
// what is held.
func (s *Store) finish(p *part) {
	h := sha256.New()
	write := func(text string) {
		n := len(text)
		h.Write([]byte{byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(text))
	}
	for _, text := range []string{
		s.keys.Newest(), p.name.Reveal(), p.email.Reveal(), p.ticket, p.sourceStatus, p.version, instant(p.agreed),
		p.affiliation.Reveal(), literal(p.forums), p.answers, instant(p.created), p.claims.String(),
	} {
		write(text)
	}
	if p.attended {
		write("attended")
	}
	p.digest = h.Sum(nil)[:digestSize]
}

// digestSize is in bytes: 128 bits, a chance collision would need 10^19 versions.
const digestSize = 16

func answersJSON(answers map[string]attendees.Answer) string {
	if len(answers) == 0 {
		return "{}"
	}
	plain := make(map[string][]string, len(answers))
	for name, answer := range answers {
		for _, v := range answer {
			plain[name] = append(plain[name], v.Reveal())
		}
	}
	text, err := json.Marshal(plain)
	if err != nil {
		panic(err) // strings in a map always marshal
	}
	return string(text)
}

// columns are parts turned sideways, as unnest takes them.
type columns struct {
	ids, sourceIDs, registered, changed, names, emails, tickets pq.StringArray
	statuses, sourceStatuses, versions, agreed, affiliations    pq.StringArray
	forums, answers, forms, claims, corrected                   pq.StringArray
	attended                                                    pq.BoolArray
	digests, indexes                                            pq.ByteaArray
}

func columnsOf(parts []part) columns {
	n := len(parts)
	text := func() pq.StringArray { return make(pq.StringArray, n) }
	c := columns{
		ids: text(), sourceIDs: text(), registered: text(), changed: text(), names: text(), emails: text(),
		tickets: text(), statuses: text(), sourceStatuses: text(), versions: text(), agreed: text(),
		affiliations: text(), forums: text(), answers: text(), forms: text(), claims: text(), corrected: text(),
		attended: make(pq.BoolArray, n), digests: make(pq.ByteaArray, n), indexes: make(pq.ByteaArray, n),
	}
	for i, p := range parts {
		c.ids[i], c.sourceIDs[i] = p.id.String(), p.sourceID
		c.registered[i], c.changed[i] = instant(p.created), cmp.Or(instant(p.changed), longAgo)
		c.names[i], c.emails[i], c.tickets[i] = p.name.Reveal(), p.email.Reveal(), p.ticket
		c.statuses[i], c.sourceStatuses[i], c.attended[i] = string(p.status), p.sourceStatus, p.attended
		c.versions[i], c.agreed[i] = p.version, instant(p.agreed)
		c.affiliations[i], c.forums[i], c.answers[i] = p.affiliation.Reveal(), literal(p.forums), p.answers
		c.digests[i], c.indexes[i] = p.digest, p.addressIndex
		c.forms[i], c.corrected[i] = string(p.form), cmp.Or(p.corrected, "{}")
		if p.claims != uuid.Nil {
			c.claims[i] = p.claims.String()
		}
	}
	return c
}

// longAgo stands for a change whose time the source does not tell: any other is newer.
const longAgo = "1970-01-01T00:00:00Z"

// keysOf are the keys of the parts, each once.
func keysOf(parts []part) []uuid.UUID {
	set := make(map[uuid.UUID]bool, len(parts))
	for _, p := range parts {
		set[p.id] = true
	}
	return slices.Collect(maps.Keys(set))
}

// texts are ids as lib/pq takes them fastest.
func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// instant is a time as text for an array of them; empty where it is unknown.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// literal is a text array as text, so that arrays of different lengths can stand in
// one array.
func literal(values []attendees.Personal) string {
	if len(values) == 0 {
		return "{}"
	}
	var b strings.Builder
	for i, v := range values {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteByte('"')
		for _, c := range []byte(v.Reveal()) {
			if c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// fieldRow are the readable columns of a registration or a response that a person can be
// told of.
type fieldRow struct {
	ID          uuid.UUID          `db:"id"`
	Event       uuid.UUID          `db:"event_id"`
	SourceID    string             `db:"source_id"`
	Name        attendees.Personal `db:"name"`
	Email       attendees.Personal `db:"email"`
	Ticket      string             `db:"ticket"`
	Status      string             `db:"status"`
	Attended    bool               `db:"attended"`
	Version     string             `db:"agreement_version"`
	AgreedAt    *time.Time         `db:"agreed_at"`
	Affiliation attendees.Personal `db:"affiliation"`
	Forums      pq.StringArray     `db:"forums"`
	Answers     json.RawMessage    `db:"answers"`
	Filled      pq.StringArray     `db:"filled"`
	Corrected   json.RawMessage    `db:"corrected"`
}
