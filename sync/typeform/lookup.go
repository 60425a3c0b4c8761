package typeform

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lethe/attendees/old/attendees"
)

// lookupBatch keeps the query, of some 36 letters an id, below the 8 kB that proxies take.
const lookupBatch = 100

// Lookup asks which of some responses are still there; no answers travel. Those that
// it leaves out are gone, or were never visible: gone is proven only for a response
// that was seen before. Where the wrong region was asked it gives *WrongRegion.
func (c *Client) Lookup(ctx context.Context, form attendees.FormID, ids []attendees.ResponseID) (present []attendees.ResponseID, err error) {
	for batch := range slices.Chunk(ids, lookupBatch) {
		got, err := c.page(ctx, form, nil, url.Values{
			"included_response_ids": {join(batch)},
			"page_size":             {strconv.Itoa(lookupBatch)}, // 25 without
			"fields":                {noField},
		})
		if err != nil {
			return nil, err
		}
		for _, r := range got.Responses {
			if !slices.Contains(batch, r.ID) { // so "not among them" would prove nothing
				return nil, fmt.Errorf("typeform: look up responses of form %s: got some that were not asked for: %w", form, ErrUnsupported)
			}
			present = append(present, r.ID)
		}
		if got.Odd > 0 || got.Total > got.items {
			return nil, fmt.Errorf("typeform: look up responses of form %s: the list is not whole: %w", form, ErrReply)
		}
	}
	if len(present) > 0 {
		c.settle(form)
		return present, nil
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return nil, c.believeEmpty(ctx, form)
}

func join(ids []attendees.ResponseID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(id))
	}
	return b.String()
}
