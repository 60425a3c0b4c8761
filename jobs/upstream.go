package jobs

import (
	"context"
	"errors"

	"github.com/riverqueue/river"

	"lethe/sync/pull"
)

// Upstream deletes at Typeform what is due there, and looks whether it is gone.
type Upstream struct{}

// Kind names the job.
func (Upstream) Kind() string { return "upstream" }

func (s *sweeper) addUpstream(ws *river.Workers, p *pull.Puller) {
	river.AddWorker(ws, &worker[Upstream]{log: s.log, do: func(ctx context.Context, _ Upstream) error {
		if err := s.store.CheckClock(ctx, s.Simulated); err != nil {
			return err
		}
		n, err := p.Upstream(ctx)
		if n.Told+n.Gone > 0 {
			s.log.Info("deleted at Typeform", "told", n.Told, "seen to be gone", n.Gone)
		}
		if n.Gone == 0 {
			return err
		}
		return errors.Join(err, s.KeepCopy(ctx)) // what was seen before it failed is recorded
	}})
}
