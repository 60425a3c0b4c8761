package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) ledgerRoutes() []route {
	return []route{
		{pattern: "GET /ledger", nav: "Ledger", may: officers, do: s.ledger},
		{pattern: "POST /ledger/verify", may: officers, do: s.verifyLedger},
		{pattern: "GET /ledger/checkpoint", may: officers, do: s.checkpoint},
		{pattern: "GET /ledger/certificates/{entry}", may: officers, do: s.certificate},
	}
}

// ledgerPage is what was done, a page of it.
type ledgerPage struct {
	Entries    []entry
	Size       int
	Older      string
	OlderSays  string
	Newer      string
	NewerSays  string
	Checkpoint string    // the newest, signed
	Mailed     time.Time // when officers last got one; zero: never
	Verdict    *verdict  // nil: nobody asked
}

type verdict struct {
	Class string // late where something is wrong
	Says  string
}

// entry is one of the ledger's in words.
type entry struct {
	postgres.Entry
	What   string
	Name   string // the event's
	Detail string
}

// ledgerRows are as many entries as one looks through at once.
const ledgerRows = 50

func (s *Site) ledger(w http.ResponseWriter, r *http.Request) error {
	return s.showLedger(w, r, nil)
}

func (s *Site) showLedger(w http.ResponseWriter, r *http.Request, v *verdict) error {
	ctx := r.Context()
	var before int64
	if text := r.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return errNotFound
		}
	}
	rows, size, err := s.Store.LedgerPage(ctx, before, ledgerRows)
	if err != nil {
		return err
	}
	p := ledgerPage{Size: int(size), Verdict: v, OlderSays: "Older", NewerSays: "Newer"}
	var ids []attendees.EventID
	for _, e := range rows {
		ids = append(ids, attendees.EventID(e.Event))
	}
	events, err := s.Store.KnownEvents(ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range rows {
		p.Entries = append(p.Entries, entry{e, kindWords(e.Kind), events[attendees.EventID(e.Event)].Name, entryDetail(e)})
	}
	if n := len(rows); n > 0 && rows[n-1].Index > 0 {
		p.Older = paths{}.LedgerBefore(rows[n-1].Index)
	}
	switch {
	case before == 0 || before >= size:
	case before+ledgerRows >= size:
		p.Newer = paths{}.Ledger()
	default:
		p.Newer = paths{}.LedgerBefore(before + ledgerRows)
	}
	if p.Checkpoint, err = s.Store.Checkpoint(ctx); err != nil {
		return err
	}
	if p.Mailed, err = s.Store.Marked(ctx, postgres.Witnessed); err != nil {
		return err
	}
	return s.show(w, r, "ledger.html", "Ledger", p)
}

// kindWords says what an entry is about.
func kindWords(k ledger.Kind) string {
	words := map[ledger.Kind]string{
		ledger.Opened: "The ledger begins", ledger.Blocked: "People sealed", ledger.Deleted: "People deleted",
		ledger.Erased: "One person erased", ledger.HoldAdded: "Hold added", ledger.HoldEnded: "Hold released",
		ledger.HoldDropped: "What only a hold had kept went", ledger.Unsealed: "Sealed records opened by an officer",
		ledger.HalvesDropped: "Records open for their persons no longer", ledger.Dumped: "Sealed records taken out",
		ledger.Answered: "Doubt about agreements settled", ledger.Accepted: "Moved dates accepted",
		ledger.Replayed: "Restored backup brought up to date", ledger.Adopted: "Lost copy given up",
	}
	if text, ok := words[k]; ok {
		return text
	}
	return strings.ReplaceAll(string(k), "_", " ")
}

// entryDetail is the rest of an entry on one line.
func entryDetail(e postgres.Entry) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(e.Counts)) {
		parts = append(parts, what+" "+count(int(e.Counts[what])))
	}
	if e.Rule != "" {
		parts = append(parts, "under "+e.Rule)
	}
	if e.Until != "" {
		parts = append(parts, "until "+e.Until)
	}
	if e.Reason != "" {
		parts = append(parts, strconv.Quote(e.Reason))
	}
	return strings.Join(parts, ", ")
}

// verifyLedger checks every entry, hash and signature, as `lethe ledger verify` does.
func (s *Site) verifyLedger(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.Store.LedgerKeys()
	if err != nil {
		return err
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		return err
	}
	t, err := s.Store.Ledger(r.Context())
	if err == nil && len(t.Leaves) == 0 {
		return s.showLedger(w, r, &verdict{"", "The ledger is empty: nothing was blocked, deleted or erased yet."})
	}
	var c ledger.Checkpoint
	if err == nil {
		c, err = t.Verify(v)
	}
	var damage *ledger.Damage
	if errors.As(err, &damage) {
		return s.showLedger(w, r, &verdict{"late", fmt.Sprintf("Damaged at entry %d: %s.", damage.Entry, damage.What)})
	}
	if err != nil {
		return err
	}
	if err := s.CheckCopy(r.Context()); err != nil {
		s.Log.Error("the ledger and its copy", "err", err)
		return s.showLedger(w, r, &verdict{"late", "The ledger itself is sound, but its copy outside the database does not agree with it. `lethe ledger verify` on the server tells more."})
	}
	return s.showLedger(w, r, &verdict{"", fmt.Sprintf("Sound, and so is its copy: %s, %s, root %s.",
		plural(int(c.Size), "entry", "entries"), plural(len(t.Checkpoints), "signed checkpoint", "signed checkpoints"), c.Root)})
}

// checkpoint hands over the newest checkpoint.
func (s *Site) checkpoint(w http.ResponseWriter, r *http.Request) error {
	signed, err := s.Store.Checkpoint(r.Context())
	if err != nil {
		return err
	}
	if signed == "" {
		return errNotFound
	}
	offer(w, "checkpoint.txt", signed)
	return nil
}

// certificate hands over the certificate of an entry.
func (s *Site) certificate(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseInt(r.PathValue("entry"), 10, 64)
	if err != nil || index < 0 {
		return errNotFound
	}
	c, err := s.Store.CertificateAt(r.Context(), index)
	if errors.Is(err, postgres.ErrNoEntry) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	offer(w, "certificate-"+itoa(index)+".txt", c.Text())
	return nil
}
