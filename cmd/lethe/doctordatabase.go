package main

import (
	"context"
	"fmt"
	"slices"
)

// setting is one of a database's settings that decides where else than in the tables
// names lie.
type setting struct {
	name string
	good []string // the first is what the private database has
	why  string
	mend string // empty: alter system
}

// settings are those that the private PostgreSQL sets for itself.
func settings() []setting {
	return []setting{
		{name: "log_error_verbosity", good: []string{"terse"}, why: "errors in its log quote values"},
		{name: "log_min_error_statement", good: []string{"panic", "fatal"}, why: "its log keeps statements that failed"},
		{name: "log_parameter_max_length", good: []string{"0"}, why: "its log keeps the values of logged statements, which are names"},
		{name: "log_parameter_max_length_on_error", good: []string{"0"}, why: "its log keeps the values of statements that failed, which are names"},
		{name: "log_statement", good: []string{"none", "ddl"}, why: "its log keeps every statement"},
		{name: "wal_recycle", good: []string{"off"}, why: "old files of its write-ahead log are kept to be used again, with what they held"},
		{
			name: "archive_mode", good: []string{"off"}, why: "its write-ahead log is archived, with every name that was written",
			mend: "Let the archive, and the backups made with it, go after a time that you can promise: they outlive blocking and deletion here.",
		},
	}
}

// setup looks at how an operator's own database logs, archives and replicates: names
// outlive their rooms there. The private one is set up by Lethe.
func (d *doctor) setup(ctx context.Context, store database) {
	if d.config.DatabaseURL == "" {
		return
	}
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
	}
	found, err := store.Setup(ctx, names...)
	if err != nil {
		d.find(broken, "database set-up", err.Error(), "")
		return
	}
	quiet := true
	warn := func(says, mend string) {
		quiet = false
		d.find(doubtful, "database set-up", says, mend)
	}
	for _, s := range settings() {
		value, there := found.Settings[s.name]
		if !there || slices.Contains(s.good, value) {
			continue
		}
		mend := s.mend
		if mend == "" {
			mend = fmt.Sprintf("As its superuser: alter system set %s = '%s'; select pg_reload_conf();", s.name, s.good[0])
		}
		warn(fmt.Sprintf("%s is %s: %s", s.name, value, s.why), mend)
	}
	for _, s := range found.Slots {
		if s.Active {
			warn(fmt.Sprintf("replication slot %s is in use: a replica has every name, too", s.Name),
				"Let the replica follow closely, and log as this one should.")
			continue
		}
		warn(fmt.Sprintf("nobody reads replication slot %s: it keeps the write-ahead log, with every name, for good", s.Name),
			fmt.Sprintf("If nobody will: select pg_drop_replication_slot('%s');", s.Name))
	}
	if found.Statements {
		warn("pg_stat_statements keeps the texts of statements: Lethe's hold no values, those that people type may",
			"Let it forget: select pg_stat_statements_reset(); or do without: drop extension pg_stat_statements;")
	}
	if quiet {
		d.find(healthy, "database set-up", "logs no values, archives and replicates nothing", "")
	}
}

// holds asks about those that have stood for over a year.
func (d *doctor) holds(ctx context.Context, store database) {
	holds, err := store.OldHolds(ctx)
	if err != nil {
		d.find(broken, "holds", err.Error(), "")
		return
	}
	for _, h := range holds {
		d.find(doubtful, "holds", h.Nag(), "")
	}
}
