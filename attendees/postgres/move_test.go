package postgres_test

import (
	"testing"

	"lethe/attendees/postgres"
)

func TestNobodyMovesOutOfAnEventThatIsOver(t *testing.T) {
	w := newWorld(t)
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers)
	// 4712 goes on for long after 4711 is blocked.
	if _, err := w.DB().Exec(`update events set block_on = '2029-01-01' where source_id = '4712'`); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	moved := hers
	moved.Event, moved.Changed = "4712", july
	equal(t, "moved when its block date had come", w.save(moved)["4712"], postgres.Changes{Late: 1})
	o := officer(t)
	w.block("4711", sealer(t, o))
	equal(t, "moved when it was blocked", w.save(moved)["4712"], postgres.Changes{Late: 1})
	if n := w.count(`select count(*) from personal`); n > 0 {
		t.Errorf("%d rows are readable", n)
	}
	if records := w.opened("4711", o); records["1 registration"] == nil {
		t.Errorf("sealed are %v, want her", records)
	}
	if _, err := w.Forget(t.Context(), "1", "asked"); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from sealed`); n > 0 {
		t.Errorf("%d sealed records outlive her erasure", n)
	}
}
