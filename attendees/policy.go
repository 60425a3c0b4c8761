package attendees

import "slices"

// PurposeName names a reason for which something may be kept.
type PurposeName string

// The purposes of the built-in policy.
const (
	ParticipationAgreement PurposeName = "participation_agreement"
	Forum                  PurposeName = "forum"
)

// Purpose is why fields are held: with its legal basis, and with what becomes of
// them once the event is over.
type Purpose struct {
	Name   PurposeName
	Basis  string // of GDPR Art. 6(1): "a" consent, "b" contract, "c" legal obligation, "f" legitimate interest
	Fields []Field
	// Sealed tells that the fields stay, sealed, until the retention rule has run
	// out. Otherwise they are dropped when the event is blocked.
	Sealed bool
}

// Policy lists the purposes: the only reasons for which anything may be kept. The
// zero Policy keeps nothing.
type Policy struct {
	Purposes   []Purpose
	Rules      []Rule             // those that a policy file adds to the built-in ones
	Rule       string             // the retention rule's name; "" is DefaultRule
	EventRules map[EventID]string // rules picked for single events

	GraceDays     int // from an event's end until it is blocked
	UnmatchedDays int // how long a response that belongs to nobody is kept

	FinancialYearEnd MonthDay // for rules that count from a financial year's end

	// OfficersOnly seals to the officers alone: no sealed record opens for its own person.
	OfficersOnly bool
	// PersonOpensMonths is for how long a sealed record opens for its own person: after
	// that her mailbox may have a new owner.
	PersonOpensMonths int
	// EvidenceYears is for how long it can be shown who an entry of the ledger was about.
	EvidenceYears int

	Upstream     Upstream            // what becomes of responses at their source; "" is UpstreamAsk
	FormUpstream map[FormID]Upstream // where a form has it otherwise

	// CaseYears is for how long it is kept that somebody asked for what is hers, and with
	// which outcome; not who.
	CaseYears int
	// Countries are those whose public holidays move a deadline: DE, or DE-BE for one state's.
	Countries []string
	// Organization is who decides about the data, as people know it; Contact is where they
	// write, an address. Empty: the page says nothing of it.
	Organization, Contact string
	// Authority is where people complain (GDPR Art. 77).
	Authority Authority
	// Processors hold data for the organisation, each where and on what basis it says.
	Processors []Processor
}

// Authority is a supervisory authority.
type Authority struct{ Name, Address, URL string }

// Processor is who holds data on the organisation's behalf (GDPR Art. 28).
type Processor struct {
	Name  string `json:"name"`
	What  string `json:"what"`  // it holds
	Where string `json:"where"` // a country or region
	// Transfer is what a transfer out of the Union rests on (Art. 45, 46); empty: there is none.
	Transfer string `json:"transfer,omitempty"`
}

// Allows tells whether some purpose names the field.
func (p *Policy) Allows(f Field) bool {
	return slices.ContainsFunc(p.Purposes, func(u Purpose) bool { return u.Allows(f) })
}

// LinkableFields are the fields that a form's questions may fill for the purpose, as
// a link names them.
func (u Purpose) LinkableFields() []string {
	var names []string
	for _, f := range u.Fields {
		switch f {
		case Ticket, Attended: // the source alone knows
		case AgreedAt:
			names = append(names, string(Agreed))
		case Answers:
			names = append(names, string(Answers)+".NAME")
		default:
			names = append(names, string(f))
		}
	}
	return names
}

// Agreements is the purpose for which agreements are kept; empty where there is none.
func (p *Policy) Agreements() PurposeName {
	for _, u := range p.Purposes {
		if u.Allows(AgreedAt) {
			return u.Name
		}
	}
	return ""
}

// BuiltIn is the policy of those who name no other: participation agreements, which
// are kept sealed, and forums, whose fields go when the event is blocked.
func BuiltIn() Policy {
	return Policy{
		Purposes: []Purpose{
			{
				Name: ParticipationAgreement, Basis: "b", Sealed: true,
				Fields: []Field{Name, Email, Ticket, AgreementVersion, AgreedAt, Attended},
			},
			{
				Name: Forum, Basis: "b",
				Fields: []Field{Name, Email, Affiliation, Forums, Answers},
			},
		},
		Rule:              DefaultRule,
		GraceDays:         30,
		UnmatchedDays:     14,
		PersonOpensMonths: 24,
		EvidenceYears:     3,
		CaseYears:         3,
		Countries:         []string{"DE"},
		Processors: []Processor{
			{"Eventbrite", "the registration itself", "United States", "EU-US Data Privacy Framework (Art. 45 GDPR), standard contractual clauses (Art. 46(2)(c) GDPR)"},
			{"Typeform", "what was answered to a form", "European Union or United States, by the account's region", "standard contractual clauses (Art. 46(2)(c) GDPR), where it is the United States"},
		},
	}
}

// Allows tells whether the purpose names the field.
func (u Purpose) Allows(f Field) bool { return slices.Contains(u.Fields, f.Base()) }

// Purpose finds a purpose by its name.
func (p *Policy) Purpose(name PurposeName) (Purpose, bool) {
	i := slices.IndexFunc(p.Purposes, func(u Purpose) bool { return u.Name == name })
	if i < 0 {
		return Purpose{}, false
	}
	return p.Purposes[i], true
}
