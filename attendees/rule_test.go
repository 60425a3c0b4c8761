package attendees

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The dates are counted by hand from the statutes that builtInRules cites.
func TestStatutesKeepUntilTheirLastDay(t *testing.T) {
	march := MonthDay{time.March, 31}
	for _, c := range []struct {
		rule, end     string
		financialYear MonthDay
		want          string
	}{
		// Six, eight, ten years from the end of the calendar year (AO § 147(4)).
		{"de-ao-6", "2026-11-01", MonthDay{}, "2033-01-01"},
		{"de-ao-6", "2026-10-30", MonthDay{}, "2033-01-01"},
		{"de-ao-6", "2026-12-31", MonthDay{}, "2033-01-01"},
		{"de-ao-6", "2027-01-01", MonthDay{}, "2034-01-01"},
		{"de-ao-6", "2028-02-29", MonthDay{}, "2035-01-01"},
		{"de-ao-6", "2026-11-01", march, "2033-01-01"}, // the financial year is no matter
		{"de-ao-8", "2026-11-01", MonthDay{}, "2035-01-01"},
		{"de-ao-10", "2026-11-01", MonthDay{}, "2037-01-01"},
		// From the end of the financial year.
		{"fr-10", "2026-11-01", MonthDay{}, "2037-01-01"},
		{"fr-10", "2026-11-01", march, "2037-04-01"},
		{"fr-10", "2026-03-31", march, "2036-04-01"}, // its last day still belongs to it
		{"fr-10", "2026-04-01", march, "2037-04-01"},
		{"uk-charity-6", "2026-11-01", march, "2033-04-01"},
		{"uk-charity-6", "2026-04-05", MonthDay{time.April, 5}, "2032-04-06"},
		{"uk-charity-6", "2027-03-01", MonthDay{time.February, 29}, "2034-03-01"}, // year's end 2028-02-29, then 2034-02-28
		{"uk-charity-6", "2025-06-01", MonthDay{time.February, 29}, "2032-03-01"}, // 2026-02-28, then 2032-02-29
		// From the event's end.
		{"uk-6", "2026-11-01", march, "2032-11-02"},
		{"uk-6", "2028-02-29", MonthDay{}, "2034-03-01"},
		{"uk-6", "2026-12-31", MonthDay{}, "2033-01-01"},
		{"us-tx-4", "2026-11-01", MonthDay{}, "2030-11-02"},
		{"us-tx-4", "2028-02-29", MonthDay{}, "2032-03-01"},
		{"none", "2026-11-01", MonthDay{}, "2026-11-01"},
	} {
		p := BuiltIn()
		rule, ok := p.RuleNamed(c.rule)
		if !ok {
			t.Fatalf("no rule is called %s", c.rule)
		}
		if got := rule.DeleteOn(day(c.end), c.financialYear); got != day(c.want) {
			t.Errorf("%s: what ended on %s is deleted on %s, want %s", c.rule, c.end, got, c.want)
		}
	}
}

func TestOnlyLawOfTheUnionOrItsMembersIsALegalObligation(t *testing.T) {
	// GDPR Art. 6(3); the others rest on legitimate interest, with objection open.
	want := map[string]string{
		"de-ao-6": "c", "de-ao-8": "c", "de-ao-10": "c", "fr-10": "c",
		"uk-6": "f", "uk-charity-6": "f", "us-tx-4": "f", "none": "f",
	}
	rules := builtInRules()
	if len(rules) != len(want) {
		t.Errorf("there are %d rules, want %d", len(rules), len(want))
	}
	for _, r := range rules {
		if want[r.Name] != r.Basis {
			t.Errorf("%s rests on %q, want %q", r.Name, r.Basis, want[r.Name])
		}
		if r.Statute == "" {
			t.Errorf("%s names no statute", r.Name)
		}
	}
}

func TestNothingIsDeletedBeforeItsEventHasEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{
			Years: rapid.IntRange(0, 40).Draw(t, "years"),
			From:  rapid.SampledFrom([]RuleStart{FromEventEnd, FromEndOfCalendarYear, FromEndOfFinancialYear}).Draw(t, "from"),
		}
		end := Date{2000, time.January, 1}.AddDays(rapid.IntRange(0, 40_000).Draw(t, "end"))
		yearEnd := DateOf(time.Date(2024, 1, rapid.IntRange(1, 366).Draw(t, "year's end"), 0, 0, 0, 0, time.UTC))
		got := rule.DeleteOn(end, MonthDay{yearEnd.Month, yearEnd.Day})
		if got.Before(end.AddYears(rule.Years)) {
			t.Fatalf("%+v: what ended on %s would be deleted on %s, too early", rule, end, got)
		}
		if latest := end.AddYears(rule.Years + 1).AddDays(2); latest.Before(got) {
			t.Fatalf("%+v: what ended on %s would be deleted on %s, more than a year late", rule, end, got)
		}
	})
}

func TestAPolicysOwnRuleReplacesTheBuiltInOne(t *testing.T) {
	p := Policy{Rules: []Rule{{Name: "de-ao-6", Years: 7, From: FromEventEnd}, {Name: "ours", Years: 1, From: FromEventEnd}}}
	if r, _ := p.RuleNamed("de-ao-6"); r.Years != 7 {
		t.Errorf("de-ao-6 keeps %d years, want the policy's own 7", r.Years)
	}
	names := p.RuleNames()
	slices.Sort(names)
	if got, want := len(slices.Compact(names)), len(builtInRules())+1; got != want || len(p.AllRules()) != want {
		t.Errorf("there are %d names of %d rules, want %d of each", got, len(p.AllRules()), want)
	}
}
