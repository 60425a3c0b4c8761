// Package web is what people meet in the browser: the organiser's console, and beside it
// the attendee's own pages below /my-data (mydata.go), which know no console session and
// have a layout of their own. All is rendered here and works without scripts.
//
// It never shows a person's name before it knows who asks, and never one of an event
// that is blocked. Everything that is served has a row in the route table (route.go),
// which says who may have it; what has no row is not served. Handlers return errors,
// and one place (error.go) turns them into pages.
//
// Start at Site in site.go.
package web
