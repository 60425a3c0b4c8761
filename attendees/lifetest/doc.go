// Package lifetest lives whole lives of two events on a store and on a model in memory, and
// compares what each role sees after each act.
//
// Model is what DESIGN.md says, written for clarity: layers and Merge, matching, bars,
// states, records, and who may read what; no SQL, no ciphers. Driver is the small interface
// that a store is driven through. Run draws lives with rapid, which shrinks one that fails.
// Failures name acts and attendees by ids and fields by names, never values.
//
// Besides equality Run checks on its own that nobody who said yes is deleted for want of it,
// that nobody inherits another's layer, that nothing of a held or restricted attendee is
// lost, that blocked means that no organiser and no server reads anything, that deleted
// means nothing at all, and that an erased id never returns.
package lifetest
