// Package pull is one pull: pages in, minimised batches out, watermark kept.
//
// A Puller reads a listing (a feed) to its end. What a page brings is minimised,
// saved in batches, and the progress is kept in the same transaction, so that a pull
// which is cut off anywhere goes on where it stood. The watermark, up to when a feed
// has been read, moves only when the source ran dry.
//
// Start at Puller, then run.go, which all listings of attendees go through.
// The jobs and `lethe sync` call the same methods; a lock keeps them from reading
// one feed at once.
package pull
