package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestWhatNoPurposeOrNoRuleAllowsIsAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4712", "Bo Example", "bo@example.org"))
	if _, err := w.Restrict(t.Context(), "2", attendees.RestrictionAsked, sealer(t, officer(t))); err != nil {
		t.Fatal(err)
	}
	faults := func() (all string) {
		t.Helper()
		left, err := w.Audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range postgres.Faults(left) {
			all += string(l.Event) + ": " + l.Field + ": " + l.Fault + "\n"
		}
		return all
	}
	equal(t, "while they are open", faults(), "")
	policy := w.Policy()
	purposes := slices.Clone(policy.Purposes)
	for i := range policy.Purposes {
		policy.Purposes[i].Sealed = false
	}
	equal(t, "of her who is restricted, whom no purpose needs to keep", faults(), "")
	policy.Purposes = purposes

	// The rule that the dates come from is taken out of the policy.
	policy.Rules = []attendees.Rule{{Name: "ours", Years: 20, From: attendees.FromEventEnd, Statute: "the bylaws", Basis: "f"}}
	policy.Rule = "ours"
	if _, err := w.Replan(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan, err := w.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptPlan(t.Context(), plan.Hash()); err != nil {
		t.Fatal(err)
	}
	equal(t, "under a rule of the policy's own", faults(), "")
	policy.Rules, policy.Rule = nil, attendees.DefaultRule
	if all := faults(); !strings.Contains(all, "4711: name: no rule is called ours") || !strings.Contains(all, "4712: sealed records: no rule is called ours") {
		t.Errorf("without the rule the faults are %q", all)
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	if all := faults(); !strings.Contains(all, "4711: sealed records: no rule is called ours") {
		t.Errorf("after the blocking the faults are %q", all)
	}

	// Nothing has to stay any more.
	for i := range policy.Purposes {
		policy.Purposes[i].Sealed = false
	}
	if all := faults(); !strings.Contains(all, "4711: sealed records: no purpose keeps it sealed") {
		t.Errorf("without a purpose the faults are %q", all)
	}
	if _, err := w.AddHold(t.Context(), "4711", "", "a claim", "ops", attendees.Date{}); err != nil {
		t.Fatal(err)
	}
	if all := faults(); strings.Contains(all, "4711: sealed records: no purpose keeps it sealed") {
		t.Errorf("under a hold the faults are %q", all)
	}
}
