package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/seal"
)

func (a *app) unsealCommand() *cobra.Command {
	var file, event, attendee, format string
	cmd := &cobra.Command{
		Use:   "unseal -i KEYFILE",
		Short: "Open sealed records with an officer's key",
		Long: `Open sealed records with an officer's key and write them to the standard output: those of all
events, of one, or of one attendee, as far as they are sealed for this key. The use is in the ledger. Better still, open them
on a machine that never sees this server.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "json" {
				return misused{fmt.Errorf("--format is %q: csv or json", format)}
			}
			officer, err := readOfficer(file)
			if err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			id := eventID(event)
			if id == "" && attendee != "" {
				if id, err = d.EventOf(cmd.Context(), attendees.AttendeeID(attendee)); err != nil {
					return err
				}
			}
			ids := []attendees.EventID{id}
			if id == "" {
				if ids, err = d.SealedEvents(cmd.Context()); err != nil {
					return err
				}
			}
			w, others := a.unsealed(format), 0
			for _, id := range ids {
				n, failed := a.unseal(cmd.Context(), d, officer, id, attendees.AttendeeID(attendee), w)
				if others += n; failed != nil {
					err = failed
					break
				}
			}
			// What was opened is in the ledger, whatever came after.
			if err := errors.Join(err, w.end(), a.keepCopy(cmd.Context(), d)); err != nil {
				return err
			}
			switch {
			case w.n == 0 && others == 0:
				return errors.New("nothing is sealed there: `lethe retention plan` shows which events are blocked")
			case w.n == 0:
				return fmt.Errorf("none of %s opens: %w; `lethe keys list` shows which keys open how many", plural(others, "sealed record"), seal.ErrKey)
			case others == 1:
				fmt.Fprintln(a.err, "1 record is sealed for other keys: `lethe keys list` shows which keys open how many.")
			case others > 0:
				fmt.Fprintf(a.err, "%s records are sealed for other keys: `lethe keys list` shows which keys open how many.\n", count(others))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "identity", "i", "", "the officer's key file")
	f.StringVar(&event, "event", "", "of this event alone")
	f.StringVar(&attendee, "attendee", "", "of this attendee alone")
	f.StringVar(&format, "format", "csv", "csv, or json, which has all that was sealed")
	return cmd
}

// unseal opens those of an event's records that the officer's key opens, and counts the
// others: an older or a newer key has them.
func (a *app) unseal(ctx context.Context, d database, officer seal.Officer, event attendees.EventID, attendee attendees.AttendeeID, w *unsealedWriter) (others int, err error) {
	for r, err := range d.SealedRecords(ctx, event, attendee, officer.ID(), account()) {
		if err != nil {
			return 0, err
		}
		record, err := open(officer, r.Event, r.Attendee, r.Part, r.Officers)
		if err != nil {
			return 0, fmt.Errorf("a sealed record of event %s: %w", r.Event, err)
		}
		if err := w.write(record); err != nil {
			return 0, err
		}
	}
	return d.SealedToOthers(ctx, event, attendee, officer.ID())
}

// open opens a record and checks that it is the one that it stands for. A response of
// nobody has no attendee to check.
func open(o seal.Officer, event attendees.EventID, attendee attendees.AttendeeID, part string, half []byte) (seal.Record, error) {
	if attendee != "" {
		return o.Open(half, string(event), string(attendee), part)
	}
	record, err := o.OpenAny(half)
	if err == nil && (record.Event != string(event) || record.Part != part) {
		err = seal.ErrMoved
	}
	return record, err
}

// unsealedColumns are those of a list of opened records as CSV: what the person's record says.
// What a sealed record has besides, to become readable again as it was (filled, source_status,
// corrected, submitted_at, matched_by), stands in JSON alone.
var unsealedColumns = []string{"event", "attendee_id", "part", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended",
	"affiliation", "forums", "answers"}

type unsealedWriter struct {
	*app
	asJSON bool
	csv    *csv.Writer
	n      int
}

func (a *app) unsealed(format string) *unsealedWriter {
	return &unsealedWriter{app: a, asJSON: format == "json", csv: csv.NewWriter(a.out)}
}

func (w *unsealedWriter) write(r seal.Record) error {
	w.n++
	if w.asJSON {
		var line bytes.Buffer
		if err := json.Compact(&line, r.Fields); err != nil {
			return errors.New("a sealed record's fields are no JSON")
		}
		_, err := fmt.Fprintf(w.out, "{\"event\":%q,\"attendee_id\":%q,\"part\":%q,\"fields\":%s}\n", r.Event, r.Attendee, r.Part, line.Bytes())
		return err
	}
	if w.n == 1 {
		w.csv.UseCRLF = true
		if err := w.csv.Write(unsealedColumns); err != nil {
			return err
		}
	}
	var fields map[string]any
	if err := json.Unmarshal(r.Fields, &fields); err != nil {
		return errors.New("a sealed record's fields are no JSON")
	}
	row := []string{r.Event, r.Attendee, r.Part}
	for _, column := range unsealedColumns[3:] {
		row = append(row, export.Harmless(plainField(fields[column])))
	}
	return w.csv.Write(row)
}

func (w *unsealedWriter) end() error {
	w.csv.Flush()
	return w.csv.Error()
}

func plainField(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return fmt.Sprint(v)
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, fmt.Sprint(e))
		}
		return strings.Join(all, "; ")
	}
	text, _ := json.Marshal(v) // what was decoded from JSON goes back
	return string(text)
}
