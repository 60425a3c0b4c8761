// Package web is what people meet in the browser. For now that is little: whether
// the program lives, whether it can work, and a plain page that says what runs. The
// organiser's console and the attendee's portal move in here.
//
// It never shows a person's name before it knows who asks.
package web
