package attendees

import "slices"

// Role is what somebody of the organisation may do. The zero Role may nothing.
type Role string

// The roles. One person may have several; each opens its own pages and no others.
const (
	Organiser Role = "organiser" // sees the people of the events she is given
	Operator  Role = "operator"  // sees jobs, plan, audit, users and counts, no names
	Officer   Role = "officer"   // sees requests, holds and the ledger
)

// Roles are all roles there are.
func Roles() []Role { return []Role{Organiser, Operator, Officer} }

// Known tells whether there is such a role.
func (r Role) Known() bool { return slices.Contains(Roles(), r) }
