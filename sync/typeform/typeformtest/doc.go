// Package typeformtest is a Typeform to test against: a real HTTP server on loopback
// that answers like the Responses and Create APIs do, peculiarities included. Tests
// use it, and so does the demo; its people are whomever the caller names.
//
// Whatever Lethe must never keep (metadata, foreign hidden fields, scores, variables,
// answers to questions that nobody links) holds [Secret], so that a test can search a
// database, a log or a file for it and must find nothing.
//
// Start with [New], [Server.AddForm] and [Server.Fill]; [Server.Responses] is the truth
// to compare with.
package typeformtest
