package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Kind is what was done.
type Kind string

// What is done. A kind that a later version adds parses here too.
const (
	Opened        Kind = "opened"        // the ledger itself: its first entry
	Run           Kind = "run"           // a sweep came by: how many events were due, what was tidied
	Blocked       Kind = "blocked"       // an event's people were sealed
	Deleted       Kind = "deleted"       // an event's people were deleted
	Erased        Kind = "erased"        // one registration was forgotten
	ErasedAnswer  Kind = "erased_answer" // a response went with its registration
	SealedEarly   Kind = "sealed_early"  // one registration was erased as far as a duty allows
	Restricted    Kind = "restricted"    // one registration was sealed whole (GDPR Art. 18)
	Objected      Kind = "objected"      // the same, while an objection is looked into (Art. 21)
	Lifted        Kind = "lifted"        // such a restriction ended
	Withdrawn     Kind = "withdrawn"     // consent to one purpose was withdrawn (Art. 7(3))
	Corrected     Kind = "corrected"     // one registration was corrected (Art. 16)
	Decided       Kind = "decided"       // a request was answered (Art. 12(3))
	HoldAdded     Kind = "hold_added"    // nothing of it is deleted until further notice
	HoldEnded     Kind = "hold_released"
	HoldDropped   Kind = "hold_dropped"   // what only a hold had kept went, unopened
	Unsealed      Kind = "unsealed"       // an officer opened sealed records
	HalvesDropped Kind = "halves_dropped" // sealed records open for their own persons no longer
	Dumped        Kind = "dumped"         // sealed records were taken out, still sealed
	Answered      Kind = "answered"       // an operator settled whether those who never agreed stay
	Reopened      Kind = "reopened"       // staff reopened a blocked event, to be read again
	Accepted      Kind = "accepted"       // an operator accepted a plan that a fuse had stopped
	Replayed      Kind = "replayed"       // a restored backup was brought up to date
	Adopted       Kind = "adopted"        // a lost copy was given up, or a time that was ahead
	GoneUpstream  Kind = "gone_upstream"  // responses were seen to be gone at their source
)

// Entry is one thing that was done. It names events, counts and rules, never a person,
// nor who did it: an entry stays for good, and staff are people, too. Reason is an
// operator's own words, who was asked to name nobody.
type Entry struct {
	At    time.Time `json:"at"` // UTC, whole seconds
	Kind  Kind      `json:"kind"`
	Event string    `json:"event,omitempty"` // the source's id
	Form  string    `json:"form,omitempty"`  // the source's id
	Rule  string    `json:"rule,omitempty"`  // the retention rule that it was done under
	Until string    `json:"until,omitempty"` // of a hold: a date
	// Purpose is the one whose consent was withdrawn.
	Purpose string `json:"purpose,omitempty"`
	// Right, Outcome and Received are of a request: what was asked for, how it ended, and
	// the day it came.
	Right    string           `json:"right,omitempty"`
	Outcome  string           `json:"outcome,omitempty"`
	Received string           `json:"received,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Counts   map[string]int64 `json:"counts,omitempty"`
	Person   []byte           `json:"person,omitempty"` // a commitment: see Commit
	// What somebody needs to do it again by the ledger alone.
	BlockOn  string `json:"block_on,omitempty"`  // of a blocking, or a plan that was accepted: the event's dates
	DeleteOn string `json:"delete_on,omitempty"` // then
	Doubt    Doubt  `json:"doubt,omitempty"`
	Hold     int64  `json:"hold,omitempty"` // of a release: the entry by which the hold was added
}

// Doubt is whether people who never agreed stay where more than half did not.
type Doubt string

// The doubts.
const (
	DoubtOpen Doubt = "open" // of a blocking: it sealed everyone, until somebody answers
	DoubtDrop Doubt = "drop" // of an answer: those who never agreed went
	DoubtKeep Doubt = "keep" // of an answer: all stay
)

const (
	// maxText bounds an operator's words in bytes: a sentence or two.
	maxText = 500
	// maxLeaf bounds a leaf in bytes.
	maxLeaf = 4096
)

// Leaf is the entry as the tree has it: one line of JSON, always the same bytes
// for the same entry.
func (e Entry) Leaf() ([]byte, error) {
	if e.Kind == "" || len(e.Reason) > maxText || !utf8.ValidString(e.Reason+e.Event+e.Form+e.Purpose+e.Rule+e.Until+e.Right+e.Outcome+e.Received+e.BlockOn+e.DeleteOn+string(e.Doubt)+string(e.Kind)) {
		return nil, fmt.Errorf("ledger: an entry wants a kind, and at most %d bytes of text", maxText)
	}
	e.At = e.At.UTC().Truncate(time.Second)
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(e); err != nil {
		return nil, fmt.Errorf("ledger: write an entry: %w", err)
	}
	leaf := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(leaf) > maxLeaf {
		return nil, fmt.Errorf("ledger: an entry is larger than %d bytes", maxLeaf)
	}
	return leaf, nil
}

var errNotCanonical = errors.New("it is not as an entry is written")

// ParseEntry reads a leaf. It refuses one that Leaf would not have written so: there
// is one spelling of each entry.
func ParseEntry(leaf []byte) (Entry, error) {
	var e Entry
	d := json.NewDecoder(bytes.NewReader(leaf))
	d.DisallowUnknownFields()
	if len(leaf) > maxLeaf || d.Decode(&e) != nil {
		return Entry{}, errNotCanonical
	}
	again, err := e.Leaf()
	if err != nil || !bytes.Equal(again, leaf) {
		return Entry{}, errNotCanonical
	}
	return e, nil
}
