package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors are the house from the ground up: a package may import those of lower
// floors, never one of its own floor or above. Test support is above what it serves.
var floors = [][]string{
	{"lethe/attendees", "lethe/migrations", "lethe/sync/internal/rest", "lethe/attendees/db/localpg"},
	{"lethe/attendees/db"},
	{"lethe/attendees/seal", "lethe/attendees/policyfile", "lethe/attendees/ledger", "lethe/attendees/mail", "lethe/attendees/db/pgtest", "lethe/attendees/lifetest/life"},
	{"lethe/attendees/events", "lethe/attendees/vault"},
	{"lethe/attendees/reader", "lethe/attendees/rights/words", "lethe/attendees/rights/deadline"},
	{"lethe/attendees/people/sheet"},
	{"lethe/attendees/people"},
	{"lethe/attendees/roster"},
	{"lethe/attendees/export"},
	{"lethe/attendees/retention"},
	{"lethe/attendees/rights"},
	{"lethe/attendees/replay"},
	{"lethe/attendees/staff", "lethe/attendees/coretest", "lethe/attendees/lifetest"},
	{"lethe/attendees/old/attendees", "lethe/attendees/old/seal"},
	{
		"lethe/attendees/old/postgres", "lethe/sync/eventbrite", "lethe/sync/typeform",
		"lethe/sync/eventbrite/eventbritetest", "lethe/sync/typeform/typeformtest",
	},
	{"lethe/attendees/old/export", "lethe/attendees/old/rights", "lethe/sync/pull"},
	{"lethe/jobs", "lethe/attendees/web"},
	{"lethe/cmd/lethe"},
}

// mute may not speak to a database: they are pure, or ask a store.
var mute = []string{
	"lethe/attendees", "lethe/attendees/seal", "lethe/attendees/policyfile", "lethe/attendees/old/attendees", "lethe/attendees/old/seal", "lethe/attendees/old/export",
	"lethe/attendees/old/rights", "lethe/attendees/web", "lethe/sync/eventbrite", "lethe/sync/typeform",
	"lethe/sync/eventbrite/eventbritetest", "lethe/sync/typeform/typeformtest", "lethe/sync/internal/rest", "lethe/attendees/lifetest",
	"lethe/attendees/lifetest/life",
}

// testSupport is for tests alone: the program contains none of it.
var testSupport = []string{"lethe/attendees/db/pgtest", "lethe/attendees/coretest", "lethe/attendees/lifetest", "lethe/attendees/lifetest/life"}

// roomFree are names under which everything and nothing fits.
var roomFree = []string{"util", "utils", "common", "helpers", "models", "types"}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// wrong tells what a package does that it may not.
func wrong(p goPackage) (faults []string) {
	floor := func(name string) int {
		return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
	}
	mine := floor(p.ImportPath)
	if mine < 0 {
		return []string{"is on no floor: give it one in house_test.go"}
	}
	for _, name := range p.Deps {
		if strings.HasPrefix(name, "lethe/") && floor(name) >= mine {
			faults = append(faults, "imports upwards: "+name)
		}
		if slices.Contains(testSupport, name) && !slices.Contains(testSupport, p.ImportPath) {
			faults = append(faults, "imports what is for tests alone: "+name)
		}
	}
	outside := func(name string) bool { return strings.Contains(strings.Split(name, "/")[0], ".") }
	for _, name := range p.Imports {
		switch {
		case p.ImportPath == "lethe/attendees" && (outside(name) || name == "database/sql" || strings.HasPrefix(name, "net/")):
			faults = append(faults, "the domain imports "+name)
		case (name == "database/sql" || strings.HasSuffix(name, "/sqlx") || strings.HasSuffix(name, "lib/pq")) && slices.Contains(mute, p.ImportPath):
			faults = append(faults, "speaks to a database: "+name)
		case strings.HasSuffix(name, "go-retryablehttp") && p.ImportPath != "lethe/sync/internal/rest":
			faults = append(faults, "has a second HTTP client: "+name)
		}
	}
	if slices.Contains(roomFree, path.Base(p.ImportPath)) {
		faults = append(faults, "has a name that says nothing")
	}
	return faults
}

func TestImportsPointDownwardsOnly(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps", "lethe/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for packages := json.NewDecoder(bufio.NewReader(out)); ; {
		var p goPackage
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, "lethe/") {
			continue
		}
		ours++
		for _, fault := range wrong(p) {
			t.Errorf("%s %s", p.ImportPath, fault)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if ours < 15 {
		t.Errorf("only %d packages of ours were looked at", ours)
	}
}

func TestTheHouseRulesCanBeBroken(t *testing.T) {
	t.Parallel()
	for fault, p := range map[string]goPackage{
		"imports upwards":      {ImportPath: "lethe/attendees/people", Deps: []string{"lethe/attendees/retention"}},
		"imports the old core": {ImportPath: "lethe/attendees/rights", Deps: []string{"lethe/attendees/old/postgres"}},
		"imports its own":      {ImportPath: "lethe/sync/eventbrite", Deps: []string{"lethe/sync/typeform"}},
		"ledger knows nobody":  {ImportPath: "lethe/attendees/ledger", Deps: []string{"lethe/attendees/seal"}},
		"ships test support":   {ImportPath: "lethe/cmd/lethe", Deps: []string{"lethe/attendees/coretest"}},
		"is on no floor":       {ImportPath: "lethe/attendees/util"},
		"the domain asks":      {ImportPath: "lethe/attendees", Imports: []string{"net/http"}},
		"the domain borrows":   {ImportPath: "lethe/attendees", Imports: []string{"github.com/google/uuid"}},
		"speaks to a database": {ImportPath: "lethe/attendees/seal", Imports: []string{"github.com/lib/pq"}},
		"a second client":      {ImportPath: "lethe/sync/typeform", Imports: []string{"github.com/hashicorp/go-retryablehttp"}},
	} {
		if len(wrong(p)) == 0 {
			t.Errorf("%s: nothing is found wrong", fault)
		}
	}
	if faults := wrong(goPackage{ImportPath: "lethe/jobs", Deps: []string{"lethe/sync/pull", "fmt"}}); len(faults) > 0 {
		t.Error(faults)
	}
}

// The zones that a test would ask for come from the machine, or from Go's own folder.
func TestTheBinaryBringsItsTimeZones(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "lethe/cmd/lethe").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(out)), "time/tzdata") {
		t.Error("time/tzdata is not linked: where the machine has no zoneinfo every event is planned in UTC")
	}
}

func TestTheTopLevelIsAsGiven(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lethe" { // the binary that README builds
			found = append(found, e.Name())
		}
	}
	want := []string{"Procfile", "README.md", "attendees", "cmd", "go.mod", "go.sum", "jobs", "migrations", "sync"}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("the top level holds %v, want %v", found, want)
	}
	shadows, err := filepath.Glob(filepath.Join(root, "sync", "*.go"))
	if err != nil || len(shadows) > 0 {
		t.Errorf("sync/ holds %v (%v), which would shadow the standard library's sync", shadows, err)
	}
}
