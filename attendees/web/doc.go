// Package web is what people meet in the browser: the organiser's console, rendered
// here and working without scripts. The attendee's portal moves in beside it.
//
// It never shows a person's name before it knows who asks, and never one of an event
// that is blocked. Everything that is served has a row in the route table (route.go),
// which says who may have it; what has no row is not served. Handlers return errors,
// and one place (error.go) turns them into pages.
//
// Start at Site in site.go.
package web
