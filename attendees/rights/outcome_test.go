package rights_test

import (
	"archive/zip"
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/ledger"
	"lethe/attendees/mail"
	"lethe/attendees/retention"
	"lethe/attendees/rights"
)

// mailbox is a real SMTP server, and what it was given for one address.
type mailbox struct {
	mu   sync.Mutex
	to   string
	got  []received
	last string
}

// received is a letter as a mail program reads it.
type received struct {
	text  string
	files map[string][]byte
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *mailbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b *mailbox) Reset()                                      {}
func (b *mailbox) Logout() error                               { return nil }
func (b *mailbox) Rcpt(to string, _ *smtp.RcptOptions) error {
	b.last = to
	return nil
}

func (b *mailbox) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	one := received{files: map[string][]byte{}}
	if err := one.read(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == b.to {
		b.got = append(b.got, one)
	}
	return nil
}

// read reads a part and the parts in it.
func (m *received) read(kind, encoding, name string, body io.Reader) error {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return err
	}
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	if !strings.HasPrefix(media, "multipart/") {
		text, err := io.ReadAll(body)
		switch {
		case name != "":
			m.files[name] = text
		case media == "text/plain":
			m.text = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
		return err
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := m.read(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.FileName(), p); err != nil {
			return err
		}
	}
}

// posted sends all letters of an office through the outbox and a real SMTP server, and gives
// those that came to an address.
func (o *office) posted(to attendees.Personal) []received {
	o.Helper()
	box := &mailbox{to: to.Reveal()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.Fatal(err)
	}
	server := smtp.NewServer(box)
	server.Domain = "localhost"
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	mailer, err := mail.New("smtp://"+l.Addr().String(), "Lethe <lethe@example.org>", nil)
	if err != nil {
		o.Fatal(err)
	}
	outbox := mail.NewOutbox(o.Pool, o.Secrets, func() time.Time { return o.Now })
	for _, letter := range o.letters {
		var id uuid.UUID
		if err := outbox.Keep(o.Context(), letter, func(_ *sql.Tx, kept uuid.UUID) error { id = kept; return nil }); err != nil {
			o.Fatal(err)
		}
		if err := outbox.Send(o.Context(), id, func(l mail.Letter) error { return mailer.Send(o.Context(), l) }); err != nil {
			o.Fatal(err)
		}
	}
	o.letters = nil
	return box.got
}

func (o *office) kinds() (kinds []string) {
	o.Helper()
	table, err := o.Ledger.Read(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	for _, leaf := range table.Leaves {
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			o.Fatal(err)
		}
		if strings.Contains(string(leaf), "Ada") || strings.Contains(string(leaf), "ada@") {
			o.Errorf("entry %s names somebody", e.Kind)
		}
		kinds = append(kinds, string(e.Kind))
	}
	return kinds
}

// The states in which a registration can be when its person asks.
var states = []struct {
	name string
	make func(o *office)
}{
	{"open", func(*office) {}},
	{"restricted", func(o *office) { o.restrict() }},
	{"blocked", func(o *office) { o.block() }},
	{"restricted, then blocked", func(o *office) { o.restrict(); o.block() }},
	{"held", func(o *office) { o.hold() }},
	{"held, then blocked", func(o *office) { o.hold(); o.block() }},
	{"erased", func(o *office) {
		if _, err := o.Rights.Forget(o.Context(), o.subject(), "test"); err != nil {
			o.Fatal(err)
		}
	}},
}

func (o *office) subject() rights.Subject {
	o.Helper()
	who, err := o.Rights.Find(o.Context(), "1")
	if err != nil {
		o.Fatal(err)
	}
	return who
}

func (o *office) restrict() {
	o.Helper()
	if _, err := o.Rights.Restrict(o.Context(), o.subject(), attendees.RestrictionAsked); err != nil {
		o.Fatal(err)
	}
}

func (o *office) hold() {
	o.Helper()
	if _, err := o.Retention.Holds.Add(o.Context(), retention.Hold{Event: "1", Reason: "a claim", By: "test"}); err != nil {
		o.Fatal(err)
	}
}

// waits means a request that staff have to decide.
const waits attendees.Outcome = ""

// end is how a request ends: at once, and, where it waits, once staff granted it.
type end struct {
	at      attendees.Outcome // once
	says    string
	staff   attendees.Outcome
	tells   string
	entries string // what all of it adds to the ledger
}

var ends = func() map[attendees.Right]map[string]end {
	const (
		review   = "Our staff need to review it"
		data     = "The attached file contains all the personal data"
		right    = "We have corrected your data as you proposed"
		part     = "(Abgabenordnung § 147(3), commercial letters; Art. 17(3)(b) GDPR)"
		stored   = "it is sealed and may only be stored"
		objected = "While we consider it, your data for Congress is sealed"
		taken    = "has been deleted and will not be stored again"
		later    = "it will only be deleted once that claim is settled"
	)
	g, p := attendees.Granted, attendees.GrantedInPart
	access := end{waits, review, g, data, "decided"}
	correct := end{waits, review, g, right, "corrected decided"}
	erased := end{p, part, "", "", "sealed_early decided"}
	heldErased := end{waits, review, p, part, "hold_released sealed_early decided"} // once the hold is over
	restricted := end{g, stored, "", "", "restricted decided"}
	asHold := end{g, stored, "", "", "hold_added decided"}
	object := end{waits, objected, p, part, "objected sealed_early decided"}
	withdrawn := end{g, taken, "", "", "withdrawn decided"}
	under := end{g, later, "", "", "withdrawn decided"}
	return map[attendees.Right]map[string]end{
		attendees.Access: {
			"open": access, "restricted": access, "blocked": access, "restricted, then blocked": access, "held": access, "held, then blocked": access,
		},
		attendees.Rectification: {
			"open": correct, "restricted": correct, "blocked": correct, "restricted, then blocked": correct, "held": correct, "held, then blocked": correct,
		},
		attendees.ErasureRight: {
			"open": erased, "restricted": erased, "blocked": erased, "restricted, then blocked": erased, "held": heldErased,
			"held, then blocked": {waits, review, p, part, "hold_released hold_dropped sealed_early decided"},
		},
		attendees.Restriction: {
			"open": restricted, "restricted": restricted, "blocked": asHold, "restricted, then blocked": asHold, "held": restricted, "held, then blocked": asHold,
		},
		attendees.Objection: {
			"open": object, "restricted": object, "blocked": {waits, objected, p, part, "hold_added hold_released sealed_early decided"},
			"restricted, then blocked": {waits, objected, p, part, "hold_added hold_released sealed_early decided"},
			"held":                     {waits, objected, p, part, "objected hold_released sealed_early decided"},
			"held, then blocked":       {waits, objected, p, part, "hold_added hold_released hold_released hold_dropped sealed_early decided"},
		},
		attendees.Withdrawal: {
			"open": withdrawn, "restricted": withdrawn, "blocked": withdrawn, "restricted, then blocked": withdrawn, "held": under, "held, then blocked": under,
		},
	}
}()

func TestEveryRightInEveryStateHasItsOutcomeItsLetterAndItsEntry(t *testing.T) {
	for _, right := range attendees.Rights() {
		for _, state := range states {
			t.Run(fmt.Sprintf("%s when %s", right, state.name), func(t *testing.T) {
				want, ok := ends[right][state.name]
				if state.name == "erased" {
					want, ok = end{attendees.NothingHeld, "We hold no personal data about you for Congress", "", "", "decided"}, true
				}
				if !ok {
					t.Fatal("the table does not say")
				}
				o := newOffice(t)
				o.Policy.Purposes[1].Basis = "a"
				state.make(o)
				before := len(o.kinds())
				c := o.take(rights.Request{Asks: right, Event: "1", Field: attendees.Name, Value: "Ada L.", Language: "en"})
				o.expect(c, want.at, want.says)
				if want.at == waits {
					n := rights.Decision{Grant: true, Reason: "well founded", By: "officer"}
					c, err := o.desk.Decide(t.Context(), c.Number, n)
					if o.heldBy("test") && strings.Contains(want.entries, "hold_released") {
						if !errors.As(err, new(*retention.HeldError)) {
							t.Errorf("under a hold: %v", err)
						}
						o.release("test")
						c, err = o.desk.Decide(t.Context(), c.Number, n)
					}
					if err != nil {
						t.Fatal(err)
					}
					o.expect(c, want.staff, want.tells, "Reason: well founded")
				}
				added := slices.DeleteFunc(o.kinds()[before:], func(k string) bool { return k == "opened" })
				if got := strings.Join(added, " "); got != want.entries {
					t.Errorf("the ledger has %q, want %q", got, want.entries)
				}
			})
		}
	}
}

func (o *office) heldBy(by string) bool { return o.release0(by, false) }
func (o *office) release(by string)     { o.release0(by, true) }

func (o *office) release0(by string, end bool) (found bool) {
	o.Helper()
	all, err := o.Retention.Holds.List(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	for _, h := range all {
		if found = found || h.By == by; end && h.By == by {
			if err := o.Retention.Holds.Release(o.Context(), h.ID); err != nil {
				o.Fatal(err)
			}
		}
	}
	return found
}

// expect looks at how a case ended, and at the one letter about it.
func (o *office) expect(c rights.Case, outcome attendees.Outcome, says ...string) {
	o.Helper()
	if c.Outcome != outcome || c.Open() != (outcome == waits) {
		o.Errorf("it ends as %q, want %q", c.Outcome, outcome)
	}
	letters := o.posted(ada)
	if len(letters) != 1 {
		o.Fatalf("%d letters came", len(letters))
	}
	text := letters[0].text
	for _, want := range append(says, "Dear Sir or Madam", "Art. 77", "/my-data", "Kind regards", fmt.Sprintf("your request %d (", c.Number)) {
		if strings.Count(text, want) != 1 {
			o.Errorf("the letter does not say %q once: %s", want, text)
		}
	}
	if strings.ContainsAny(text, "{}") {
		o.Errorf("the letter has a hole: %s", text)
	}
	switch {
	case outcome == attendees.Granted && c.Asks == attendees.Access:
		z, err := zip.NewReader(bytes.NewReader(letters[0].files["my-data.zip"]), int64(len(letters[0].files["my-data.zip"])))
		if err != nil {
			o.Fatal(err)
		}
		f, err := z.Open("fields.csv")
		if err != nil {
			o.Fatal(err)
		}
		if text, err := io.ReadAll(f); err != nil || !strings.Contains(string(text), "Ada Lind") {
			o.Error("the data is not attached")
		}
	case outcome == attendees.GrantedInPart:
		if _, err := ledger.ParseCertificate(string(letters[0].files["certificate-1.txt"])); err != nil {
			o.Errorf("the certificate: %v", err)
		}
	}
}
