package attendees

import "slices"

// RuleStart is what a retention rule counts from.
type RuleStart string

// The starts that statutes know.
const (
	FromEventEnd           RuleStart = "event_end"
	FromEndOfCalendarYear  RuleStart = "end_of_calendar_year"
	FromEndOfFinancialYear RuleStart = "end_of_financial_year"
)

// Rule is a retention rule: how long what is sealed must, or may, be kept.
type Rule struct {
	Name    string
	Years   int
	From    RuleStart
	Statute string
	// Basis is of GDPR Art. 6(1): "c" legal obligation, which only Union or Member
	// State law can lay down (Art. 6(3)); "f" legitimate interest, against which the
	// person may object (Art. 21).
	Basis string
}

// DefaultRule is the retention rule of a policy that names none.
const DefaultRule = "de-ao-6"

// NoRule keeps nothing beyond the blocking.
const NoRule = "none"

// builtInRules are those that every policy knows.
func builtInRules() []Rule {
	return []Rule{
		// AO § 147(1) no. 2 and 3 with (3): received and sent commercial letters, six
		// years; (4): from the end of the calendar year in which they were received or sent.
		{DefaultRule, 6, FromEndOfCalendarYear, "Abgabenordnung § 147(3), commercial letters", "c"},
		// AO § 147(3) as amended by the Bürokratieentlastungsgesetz IV: booking vouchers,
		// eight years since 2025.
		{"de-ao-8", 8, FromEndOfCalendarYear, "Abgabenordnung § 147(3), booking vouchers", "c"},
		// AO § 147(1) no. 1 with (3): books and records, ten years.
		{"de-ao-10", 10, FromEndOfCalendarYear, "Abgabenordnung § 147(3), books and records", "c"},
		// Code de commerce, article L123-22: accounting documents and vouchers, ten years;
		// counted from the close of the financial year that they belong to.
		{"fr-10", 10, FromEndOfFinancialYear, "Code de commerce L123-22", "c"},
		// Limitation Act 1980 s. 5: six years from the date on which the cause of action
		// on a simple contract accrued; at the latest the event's end.
		{"uk-6", 6, FromEventEnd, "Limitation Act 1980 s. 5", "f"},
		// Charities Act 2011 s. 131: accounting records, six years from the end of the
		// financial year in which they were made.
		{"uk-charity-6", 6, FromEndOfFinancialYear, "Charities Act 2011 s. 131", "f"},
		// Texas Civil Practice & Remedies Code § 16.004 and § 16.051: four years from the
		// day the cause of action accrues.
		{"us-tx-4", 4, FromEventEnd, "Texas Civil Practice & Remedies Code § 16.051, limitation of contract claims", "f"},
		// No statute: nothing is kept, so it is deleted when it is blocked.
		{NoRule, 0, FromEventEnd, "no duty to keep", "f"},
	}
}

// DeleteOn is the day on which what was kept under the rule goes: the one after the
// last day of keeping. It never comes before the event's end.
func (r Rule) DeleteOn(eventEnd Date, financialYearEnd MonthDay) Date {
	switch r.From {
	case FromEndOfCalendarYear:
		return Date{eventEnd.Year, 12, 31}.AddYears(r.Years).AddDays(1)
	case FromEndOfFinancialYear:
		end := financialYearEnd.onOrAfter(eventEnd)
		// The year's end of that later year: 29 February comes back in leap years.
		return financialYearEnd.in(end.Year + r.Years).AddDays(1)
	}
	if r.Years == 0 {
		return eventEnd
	}
	// A period from an event's day ends with the same day of its last year
	// (Reg. 1182/71 Art. 3(2)(c)); the day after that is the first without a reason.
	return eventEnd.AddYears(r.Years).AddDays(1)
}

// AllRules are the built-in rules and the policy's own, which may replace one.
func (p *Policy) AllRules() []Rule {
	rules := slices.DeleteFunc(builtInRules(), func(r Rule) bool {
		return slices.ContainsFunc(p.Rules, func(own Rule) bool { return own.Name == r.Name })
	})
	return append(rules, p.Rules...)
}

// RuleNamed finds a rule by its name.
func (p *Policy) RuleNamed(name string) (Rule, bool) {
	for _, r := range p.AllRules() {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// RuleNames are the names of all rules.
func (p *Policy) RuleNames() []string {
	var names []string
	for _, r := range p.AllRules() {
		names = append(names, r.Name)
	}
	return names
}
