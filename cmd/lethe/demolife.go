package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
)

// jumpTo lets the demo's time go on from the morning of a day.
func (d *demo) jumpTo(day attendees.Date) {
	d.jump = time.Until(time.Date(day.Year, time.Month(day.Month), day.Day, 3, 0, 0, 0, time.UTC))
	d.say("It is the morning of %s now.", day)
}

// watch remembers texts of people who are shown, to look for their traces later; not
// those that somebody of the event that stays open has, too.
func (d *demo) watch(texts ...string) {
	for _, text := range texts {
		stays := slices.ContainsFunc(d.eventbrite.Attendees(d.world.Far, nil), func(r attendees.Registration) bool {
			return r.Name.Reveal() == text || r.Email.Reveal() == text
		})
		if !stays {
			d.watched = append(d.watched, text)
		}
	}
}

// traces counts the files of the private database that hold one of the watched texts,
// and all files.
func (d *demo) traces(ctx context.Context) (found, files int, err error) {
	if _, err := d.database.FlushWAL(ctx); err != nil {
		return 0, 0, err
	}
	err = filepath.WalkDir(filepath.Join(d.folder, "postgres"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // files come and go below a running server
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, w := range d.watched {
			if bytes.Contains(text, []byte(w)) {
				found++
				break
			}
		}
		return nil
	})
	return found, files, err
}

func (d *demo) coming(ctx context.Context) (postgres.Event, error) {
	return d.database.Event(ctx, d.world.Coming)
}

func (d *demo) keys(context.Context) error {
	d.chapter("Who may open what is sealed? The data-protection officer alone", "lethe keys new --out officer.key")
	officer, err := seal.NewOfficer()
	if err != nil {
		return err
	}
	d.officer = officer
	d.config.OfficerKey = officer.Public()
	path := filepath.Join(d.folder, "officer.key")
	if err := writeNew(path, officer.File(d.now())); err != nil {
		return err
	}
	d.say("%s (a demo keeps both halves; you would keep the private one elsewhere)", path)
	return nil
}

// history shows what becomes of an event that was over long before anybody looked.
func (d *demo) history(ctx context.Context) (err error) {
	d.chapter("One event was past its block date before anybody looked. Now there is a key, its people are sealed as they come", "lethe sync")
	if d.sync.puller.Sealer, err = d.sealer(d.database); err != nil {
		return err
	}
	d.sync.sum = pull.Report{}
	return d.sync.run(ctx, nil)
}

func (d *demo) block(ctx context.Context) error {
	found, files, err := d.traces(ctx)
	if err != nil {
		return err
	}
	d.chapter("The event is over, and its grace period too: its people are blocked", "lethe retention run")
	d.say("The names and addresses of the %d people shown above lie in %d of the database's %s files.", shownPeople, found, count(files))
	e, err := d.coming(ctx)
	if err != nil {
		return err
	}
	d.jumpTo(e.BlockOn.AddDays(1))
	if err := d.plan(ctx, d.database, false); err != nil {
		return err
	}
	d.say("")
	if err := d.sweep(ctx, d.database, false); err != nil {
		return err
	}
	if found, files, err = d.traces(ctx); err != nil {
		return err
	}
	d.say("Now they lie in %d of %s files.", found, count(files))
	if found > 0 {
		return errors.New("a name is left behind: this must not happen, please report it")
	}
	for _, err := range d.database.Attending(ctx, e.ID, attendees.Forum, attendees.Attending) {
		d.say("$ lethe export %s --purpose forum --out -\nlethe: %v", e.ID, err)
	}
	return nil
}

func (d *demo) open(ctx context.Context) error {
	d.chapter("The officer opens a record, nobody else does", fmt.Sprintf("lethe unseal -i officer.key --event %s", d.world.Coming))
	stranger, err := seal.NewOfficer()
	if err != nil {
		return err
	}
	for r, err := range d.database.SealedRecords(ctx, d.world.Coming, "", d.officer.ID(), account()) {
		if err != nil {
			return err
		}
		record, err := d.officer.Open(r.Officers, string(r.Event), string(r.Attendee), r.Part)
		if err != nil {
			return err
		}
		d.say("officer.key: %s", record.Fields)
		if _, err := stranger.OpenAny(r.Officers); err == nil {
			return errors.New("a stranger's key opens a sealed record: this must not happen, please report it")
		} else {
			d.say("another key: %v", err)
		}
		break
	}
	return nil
}

func (d *demo) delete(ctx context.Context) error {
	d.chapter("Six years later no statute keeps them any longer: they are deleted", "lethe retention run")
	e, err := d.coming(ctx)
	if err != nil {
		return err
	}
	d.jumpTo(e.DeleteOn.Date)
	if err := d.sweep(ctx, d.database, false); err != nil {
		return err
	}
	d.say("")
	return d.plan(ctx, d.database, false)
}

func (d *demo) again(ctx context.Context) error {
	d.chapter("Eventbrite still has them, and sends them again. Nobody comes back", "lethe sync")
	for i, r := range d.eventbrite.Attendees(d.world.Coming, nil) {
		if i == shownPeople {
			break
		}
		if err := d.eventbrite.Change(r.ID, func(*eventbritetest.Person) {}); err != nil {
			return err
		}
	}
	d.sync.sum = pull.Report{}
	if err := d.sync.run(ctx, nil); err != nil {
		return err
	}
	found, files, err := d.traces(ctx)
	if err != nil {
		return err
	}
	d.say("The people shown above lie in %d of %s files.", found, count(files))
	if found > 0 {
		return errors.New("somebody came back: this must not happen, please report it")
	}
	return nil
}

func (d *demo) prove(ctx context.Context) error {
	d.chapter("All of it is recorded, without personal data, and can be proven to a stranger",
		fmt.Sprintf("lethe ledger verify; lethe ledger certificate --event %s", d.world.Coming))
	keys, err := d.database.LedgerKeys()
	if err != nil {
		return err
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		return err
	}
	t, err := d.database.Ledger(ctx)
	if err != nil {
		return err
	}
	c, err := t.Verify(v)
	if err != nil {
		return err
	}
	for i, leaf := range t.Leaves {
		d.say("  %d  %s", i, leaf)
	}
	d.say("Sound: %s entries, root %s.", count(int(c.Size)), c.Root)
	certificate, err := d.database.Certificate(ctx, d.world.Coming, "")
	if err != nil {
		return err
	}
	path := filepath.Join(d.folder, "certificate.txt")
	if err := writeNew(path, certificate.Text()); err != nil {
		return err
	}
	d.say("A certificate of the deletion is in %s.\n$ lethe ledger verify --certificate %s --key %s", path, path, keys[0])
	if err := d.verifyCertificate(path, keys[:1]); err != nil {
		return err
	}
	t.Leaves[certificate.Index] = bytes.Replace(t.Leaves[certificate.Index], []byte("deleted"), []byte("Deleted"), 1)
	d.say("And with one letter changed in a copy:")
	if _, err := t.Verify(v); err != nil {
		d.say("DAMAGED at %v.", err)
		return nil
	}
	return errors.New("a changed ledger is found sound: this must not happen, please report it")
}
