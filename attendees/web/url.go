package web

import (
	"net/url"

	"lethe/attendees/old/attendees"
)

// paths builds every address of the site, and no other place does. Names and addresses
// of people never stand in one: ids do.
type paths struct{}

func (paths) SignIn() string           { return "/signin" }
func (paths) Link(token string) string { return "/signin/" + url.PathEscape(token) }
func (paths) SignOut() string          { return "/signout" }
func (paths) Everywhere() string       { return "/signout/everywhere" }
func (paths) Account() string          { return "/account" }

func (paths) Plan() string { return "/plan" }

// PlanAsOf is the plan as it will stand on a day.
func (paths) PlanAsOf(d attendees.Date) string { return "/plan?as_of=" + d.String() }

// PlanBy is a page of the plan.
func (p paths) PlanBy(q url.Values) string { return query(p.Plan(), q) }

func (paths) Events() string                     { return "/events" }
func (paths) Event(id attendees.EventID) string  { return "/events/" + url.PathEscape(string(id)) }
func (p paths) Task(id attendees.EventID) string { return p.Event(id) + "/tasks" }

func (paths) Ledger() string { return "/ledger" }

// LedgerBefore is the page of the ledger that ends before an entry.
func (paths) LedgerBefore(n int64) string { return "/ledger?before=" + itoa(n) }

func (paths) LedgerVerify() string     { return "/ledger/verify" }
func (paths) LedgerCheckpoint() string { return "/ledger/checkpoint" }

// Certificate is the certificate of one of the ledger's entries.
func (paths) Certificate(n int64) string { return "/ledger/certificates/" + itoa(n) }

func (paths) Operations() string { return "/operations" }
func (paths) Jobs() string       { return "/operations/jobs/" }

// EventsBy is the list of events as it is asked for.
func (p paths) EventsBy(q url.Values) string { return query(p.Events(), q) }

func (p paths) Pull(id attendees.EventID) string     { return p.Event(id) + "/pull" }
func (p paths) LinkForm(id attendees.EventID) string { return p.Event(id) + "/link" }
func (p paths) People(id attendees.EventID) string   { return p.Event(id) + "/attendees" }

// PeopleBy is the list of people as it is asked for: whom a search looks for lies in the
// session.
func (p paths) PeopleBy(id attendees.EventID, q url.Values) string { return query(p.People(id), q) }

func (p paths) Person(id attendees.EventID, who attendees.AttendeeID) string {
	return p.People(id) + "/" + url.PathEscape(string(who))
}

func (p paths) Answers(id attendees.EventID, who attendees.AttendeeID) string {
	return p.Person(id, who) + "/answers"
}

func (p paths) Export(id attendees.EventID) string { return p.Event(id) + "/export" }

// ExportAs is a list's file.
func (p paths) ExportAs(id attendees.EventID, purpose attendees.PurposeName, format, status string) string {
	q := url.Values{"purpose": {string(purpose)}, "format": {format}}
	if status != "" {
		q.Set("status", status)
	}
	return query(p.Export(id), q)
}

func (paths) Exports() string       { return "/exports" }
func (paths) Participation() string { return "/participation" }

// ExportsBy and ParticipationBy are pages of those lists.
func (p paths) ExportsBy(q url.Values) string       { return query(p.Exports(), q) }
func (p paths) ParticipationBy(q url.Values) string { return query(p.Participation(), q) }

func (p paths) Unagreed(id attendees.EventID) string {
	return p.Participation() + "/" + url.PathEscape(string(id))
}
func (p paths) UnagreedFile(id attendees.EventID) string { return p.Unagreed(id) + "/list.csv" }

func query(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
