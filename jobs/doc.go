// Package jobs is the schedule: River workers that pull on time, one at each feed, and
// block and delete on their days, one event at a time.
//
// A job's arguments are ids, never personal data, and a job may run twice. A rate
// limit snoozes it until the source's named reset, a stop or its own timeout puts it
// back at once; either way the pull goes on where it stood. What has failed is tried
// again by River, and the next tick asks for it anyway.
//
// Start at Schedule in client.go.
package jobs
