// Package lifetest lives whole lives of two events on a store and on a model in memory, and
// compares what each role sees after each act.
//
// The model and the interface that a store is driven through are in package life. Run draws
// lives with rapid, which shrinks one that fails. Failures name acts and attendees by ids and
// fields by names, never values.
//
// Besides equality Run checks that nobody who said yes is deleted for want of it, that nobody
// inherits another's layer, that nothing of a held or restricted attendee is lost, that
// deleted means nothing at all, and that an erased id never returns. That blocked means locked
// is equality: organisers, server and the wrong address then see nothing.
//
// # Differences of the old core
//
// Run on the store below attendees/old it finds what FAULTS.md lists under A, B and C, and
// nothing else but rules that are new (N). The old store's test matches each by a predicate,
// and lists them with -v.
//
//	A1   a later reading of the same response takes its yes away, of any number of responses,
//	     and nobody is asked
//	A2   an attendee who is cancelled loses the forum's answers until the form is read again
//	A3   a new holder has the former one's agreement and answers; where only the address
//	     changes, a yes that was matched by it and a correction are lost
//	A4   an attendee who moves to another event takes no agreement along
//	A5   a yes counts with the version of a later no
//	A6   somebody who cancelled and bought again counts as two people who share an address: a
//	     response finds neither, and neither sees anything
//	B1   the forum's list has everybody
//	B2   a purpose on consent lists and shows people who never consented
//	C9   a response under another address counts at once, and takes the person's access and
//	     half away
//	C10  a stranger's response that names a ticket counts, and staff are not asked
//	D6   dates that move in steps pass the fuse
//	N1   between block date and blocking nothing is stored
//	N2   what arrives for a restricted attendee is not stored, and until the restriction is
//	     lifted it is readable in another event that shares the form; where the event is
//	     blocked before that, it is lost
//	N3   a corrected value overwrites what the source said
//	N4   blocking keeps of somebody on hold what is shown, not what a newer answer, a correction
//	     or a cancellation covers
//	N5   a response of an attendee of a blocked event is readable in another event where it
//	     finds an attendee, too
//	N6   a further ticket under an address takes away the responses that were matched by it
//	N7   whether too few agreed is counted without restricted attendees
//
// The old store has no cutting off from outside, no second holder, no policy that narrows or
// widens, and no reopening (A14): those acts are skipped.
package lifetest
