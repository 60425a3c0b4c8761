// Package life is what lives of events are made of: the acts, the Driver through which a store
// does them, what each role sees, and Model, which says by DESIGN.md what must be seen.
//
// Start with Driver and Act. Model has no SQL and no ciphers: an event's people with their
// layers, states and bars, the records of a blocked one, and holds. merge derives what is
// shown (model.go); source.go and match.go are what comes in; acts.go is what people and
// staff do; retention.go is what becomes due; view.go is who may see what.
package life
