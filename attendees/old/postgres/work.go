package postgres

import "context"

// Work is how the background jobs of one kind stand, as River keeps them: those that
// ended for about a day, those that were given up for a week.
type Work struct {
	Kind    string `db:"kind"`
	Waiting int    `db:"waiting"`
	Running int    `db:"running"`
	Failing int    `db:"failing"` // tried again later
	Failed  int    `db:"failed"`  // given up, as refused letters are, or cancelled by staff
	Done    int    `db:"done"`
	Failure string `db:"failure"` // what was said last by one that fails or failed
}

// Work tells how all background jobs stand, by kind.
func (s *Store) Work(ctx context.Context) (kinds []Work, err error) {
	err = s.db.SelectContext(ctx, &kinds, `
		select kind,
			count(*) filter (where state in ('available', 'scheduled', 'pending')) as waiting,
			count(*) filter (where state = 'running') as running,
			count(*) filter (where state = 'retryable') as failing,
			count(*) filter (where state in ('discarded', 'cancelled')) as failed,
			count(*) filter (where state = 'completed') as done,
			left(coalesce((array_agg(errors[cardinality(errors)] ->> 'error' order by attempted_at desc)
				filter (where errors is not null and state in ('retryable', 'discarded', 'cancelled')))[1], ''), 200) as failure
		from river_job
		group by kind
		order by kind`)
	return kinds, quiet("look at the jobs", err)
}
