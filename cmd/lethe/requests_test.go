package main

import (
	"encoding/json"
	"strings"
	"testing"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
)

// requests are those that a command lists as JSON.
func requests(t *testing.T, env []string) []listedRequest {
	t.Helper()
	var all []listedRequest
	if err := json.Unmarshal([]byte(lethe(t, env, "requests", "list", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnErasureThatABackupUndidIsDoneAgainAndItsCaseShowsThat(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 20, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_OFFICER_KEY="+officer.Public(), "LETHE_RETENTION=none")
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	alone := ""
	for _, r := range s.eventbrite.Attendees(s.event, nil) {
		var n int
		err := db.Get(&n, `select count(*) from attendees a where address_index = (select address_index from attendees where source_id = $1) and address_index <> ''`, string(r.ID))
		if err == nil && n == 1 {
			alone = r.Email.Reveal()
			break
		}
	}
	first := dump(t, db)
	lethe(t, env, "requests", "add", "--right", "erasure", "--event", string(s.event), "--email", alone, "--by", "letter")
	refuses(t, env, "has not proved the address", "requests", "decide", "1", "--grant", "--reason", "asked")
	if all := requests(t, env); len(all) != 1 || all[0].State != "unverified" || all[0].Overdue {
		t.Errorf("listed are %+v", all)
	}
	open := dump(t, db) // the case is open in this one
	lethe(t, env, "requests", "verify", "1")
	if all := requests(t, env); all[0].Outcome != "granted" || all[0].State != "closed" {
		t.Fatalf("the case is %+v", all)
	}
	if says := lethe(t, env, "requests", "show", "1"); strings.Contains(says, alone) {
		t.Error("an answered request names somebody")
	}
	for what, backup := range map[string][]byte{"from before the case": first, "from before its answer": open} {
		restore(t, db, backup)
		refuses(t, env, "lethe ledger replay", "requests", "list")
		lethe(t, env, "ledger", "replay")
		all := requests(t, env)
		if len(all) != 1 || all[0].Outcome != "granted" || all[0].RedoneAt == "" || all[0].Request != 1 {
			t.Errorf("%s: the case is %+v, want it done again", what, all)
		}
		if out := lethe(t, env, "requests", "list", "--all"); !strings.Contains(out, "done again after a backup was restored") {
			t.Errorf("%s: the list says %s", what, out)
		}
		var kept int
		if err := db.Get(&kept, `select count(*) from cases where sealed is not null or whose is not null`); err != nil || kept != 0 {
			t.Errorf("%s: %d cases still hold somebody (%v)", what, kept, err)
		}
		lethe(t, env, "sync")
		var back int
		if err := db.Get(&back, `select count(*) from personal where email = $1`, alone); err != nil || back != 0 {
			t.Errorf("%s: she is back (%v)", what, err)
		}
	}
	lethe(t, env, "requests", "add", "--right", "access", "--event", string(s.event), "--email", alone)
	if all := requests(t, env); len(all) != 2 || all[0].Request != 2 {
		t.Errorf("the next case is %+v, want number 2", all)
	}
}
