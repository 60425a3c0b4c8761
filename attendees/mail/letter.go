package mail

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"log/slog"
	"strings"
)

// Letter is a mail to one person. It prints and logs as "[letter]": its text and its
// address are personal data, and what it says may open a door.
type Letter struct {
	To      string   // one address, normalised
	Subject string   // names nobody
	Text    []string // paragraphs of plain text
	Link    string   // on a line of its own behind a paragraph of Text; may be empty
	// LinkAfter is the paragraph that the link comes behind, counted from 0.
	LinkAfter int
	Attached  []Attachment
	Quoted    string // text that is kept as it is, line by line, at the end; may be empty
	// Language is the one that it is written in, as BCP 47 has it; empty: en.
	Language string
}

// Attachment is a file that is sent with a letter.
type Attachment struct {
	Name, Type string // Type: a MIME type
	Text       []byte
}

const redacted = "[letter]"

// String hides the letter.
func (l Letter) String() string { return redacted }

// Format hides the letter from every verb of package fmt.
func (l Letter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the letter from log/slog.
func (l Letter) LogValue() slog.Value { return slog.StringValue(redacted) }

// Plain is the letter as plain text.
func (l Letter) Plain() string {
	var b strings.Builder
	for i, p := range l.Text {
		b.WriteString(p + "\n\n")
		if i == l.LinkAfter && l.Link != "" {
			b.WriteString(l.Link + "\n\n")
		}
	}
	if l.Quoted != "" {
		b.WriteString(strings.TrimRight(l.Quoted, "\n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// HTML is the letter's small twin: the same words, nothing fetched from anywhere.
func (l Letter) HTML() string {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"" + html.EscapeString(cmp.Or(l.Language, "en")) + "\"><meta charset=\"utf-8\"><title>" + html.EscapeString(l.Subject) + "</title>\n")
	for i, p := range l.Text {
		b.WriteString("<p>" + html.EscapeString(p) + "</p>\n")
		if i == l.LinkAfter && l.Link != "" {
			link := html.EscapeString(l.Link)
			b.WriteString("<p><a href=\"" + link + "\">" + link + "</a></p>\n")
		}
	}
	if l.Quoted != "" {
		b.WriteString("<pre>" + html.EscapeString(l.Quoted) + "</pre>\n")
	}
	return b.String() + "</html>\n"
}
