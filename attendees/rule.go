package attendees

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
	Basis   string // of GDPR Art. 6(1): "c" legal obligation, "f" legitimate interest
}
