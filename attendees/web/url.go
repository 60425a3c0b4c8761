package web

import (
	"net/url"

	"lethe/attendees"
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
