package typeform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"lethe/attendees/old/attendees"
)

const (
	// deleteBatch is the vendor's maximum for one call.
	deleteBatch = 1000
	// deleteInQuery is how many ids go into the query; more would make it too long for
	// proxies, and go into the body.
	deleteInQuery = lookupBatch
)

// Delete asks Typeform to delete responses. It is carried out later, and ids that are
// unknown are ignored: only Lookup tells that they are gone. Responses of batches that
// came before an error are accepted; doing it again does no harm.
func (c *Client) Delete(ctx context.Context, form attendees.FormID, ids []attendees.ResponseID) error {
	p, err := path(form, "/responses")
	if err != nil {
		return err
	}
	if slices.Contains(ids, "") { // an empty list must never be read as "all"
		return fmt.Errorf("typeform: delete responses of form %s: one of the ids is empty", form)
	}
	for batch := range slices.Chunk(ids, deleteBatch) {
		tried := fmt.Sprintf("delete %d responses of form %s", len(batch), form)
		var q url.Values
		var body []byte
		if len(batch) <= deleteInQuery {
			q = url.Values{"included_response_ids": {join(batch)}}
		} else if body, err = json.Marshal(map[string]any{"included_response_ids": batch}); err != nil {
			return fmt.Errorf("typeform: %s: %w", tried, err)
		}
		if _, err := c.rest.Do(ctx, http.MethodDelete, p, q, body); err != nil {
			return failed(tried, err)
		}
	}
	return nil
}
