package main

import (
	"testing"

	"lethe/attendees/db/localpg"
)

// startServer starts a PostgreSQL that keeps what it has committed, in a folder.
func startServer(t *testing.T, dir string) *localpg.Server {
	t.Helper()
	server, err := localpg.Start(t.Context(), localpg.Options{Dir: dir + "/postgres"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })
	return server
}
