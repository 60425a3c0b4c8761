package main

import (
	"context"
	"fmt"

	"lethe/sync/pull"
)

// upstream deletes at Typeform what is due there, and says what it did.
func (a *app) upstream(ctx context.Context, d database) (pull.Upstreamed, error) {
	p, err := a.puller(d)
	if err != nil {
		return pull.Upstreamed{}, err
	}
	n, err := p.Upstream(ctx)
	if n.Told > 0 {
		fmt.Fprintf(a.out, "told     Typeform to delete %s: a day from now it is looked whether they are gone\n", plural(n.Told, "response"))
	}
	if n.Gone > 0 {
		fmt.Fprintf(a.out, "gone     at Typeform: %s\n", plural(n.Gone, "response"))
	}
	return n, err
}
