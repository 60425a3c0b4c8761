// Package eventbritetest is a sandbox of Eventbrite's API v3: a real HTTP server with
// invented people, for tests and for "lethe demo".
//
// Everything that Lethe must never keep (addresses, telephone numbers, birth dates,
// barcodes, costs, passwords and so on) is filled in and begins with Secret, so that a
// test can search for it wherever it must not be. The world can be changed while it is
// read, and the server can be told to misbehave in every way that was seen at the
// original: see Quirks.
//
// Start reading at New, and at world.go for what can be changed.
package eventbritetest
