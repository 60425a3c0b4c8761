package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
	textwidth "golang.org/x/text/width"

	"lethe/sync/pull"
)

// isTerminal tells whether somebody is watching.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*said); ok {
		w = s.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeJSON writes what scripts read.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// count writes a number as people read it: 1,108.
func count(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// size writes bytes as people read them: 31 MB.
func size(n int) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1_000_000)
	case n >= 1_000:
		return fmt.Sprintf("%d KB", n/1_000)
	}
	return fmt.Sprintf("%d bytes", n)
}

// seconds writes a duration as people read it.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// table is rows of cells in columns as wide as their widest cell. Numbers stand to
// the right.
type table struct {
	head  []string
	right []bool
	rows  [][]string
	below map[int]string // lines below a row, by how many rows stand above
}

func newTable(head ...string) *table {
	t := &table{right: make([]bool, len(head)), below: map[int]string{}}
	for i, h := range head {
		h, t.right[i] = strings.CutPrefix(h, ">")
		t.head = append(t.head, h)
	}
	return t
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// under puts a line below the row that was added last: what it says widens no column.
func (t *table) under(line string) { t.below[len(t.rows)] = line }

// widest keeps one long title from pushing every number off the screen.
const widest = 44

func (t *table) write(w io.Writer) {
	width := make([]int, len(t.head))
	all := append([][]string{t.head}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			row[i] = printable(cell)
			if i < len(row)-1 { // what comes last pushes nothing
				row[i] = clip(row[i], widest)
			}
			width[i] = max(width[i], cells(row[i]))
		}
	}
	for above, row := range all {
		var line strings.Builder
		line.WriteString(" ")
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-cells(cell))
			if t.right[i] {
				line.WriteString(" " + pad + cell)
			} else {
				line.WriteString(" " + cell + pad)
			}
			line.WriteString(" ")
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		if below := t.below[above]; below != "" {
			fmt.Fprintln(w, "    "+printable(below))
		}
	}
}

// cells is how many columns of a terminal a text takes: East Asian wide characters
// take two (Unicode TR 11).
func cells(s string) (n int) {
	for _, r := range s {
		n++
		if k := textwidth.LookupRune(r).Kind(); k == textwidth.EastAsianWide || k == textwidth.EastAsianFullwidth {
			n++
		}
	}
	return n
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// printable takes from text that came from outside what would steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
}

// progress shows how a pull comes along: one line that is written over on a
// terminal, a plain line now and then elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	feed     string
	page     int       // shown last
	first    int       // of this reading, which may go on where another was cut off
	since    time.Time // when first was read
	last     time.Time
	shown    bool
}

const (
	redrawEvery = 100 * time.Millisecond
	plainEvery  = 5 * time.Second
	barWidth    = 20
)

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func (p *progress) show(s pull.Progress) {
	p.showAt(s, time.Now())
}

func (p *progress) showAt(s pull.Progress, now time.Time) {
	other := string(s.Feed) != p.feed
	if other || s.Page <= p.page { // another feed, or the same read again
		p.feed, p.first, p.since = string(s.Feed), s.Page, now
	}
	p.page = s.Page
	if other && !p.terminal {
		p.last = now
		return // a plain line comes only where it takes longer
	}
	every := plainEvery
	if p.terminal {
		every = redrawEvery
	}
	final := s.Pages > 0 && s.Page == s.Pages
	if now.Sub(p.last) < every && !(final && p.terminal) {
		return
	}
	p.last = now
	line := p.line(s, now)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, line)
}

func (p *progress) line(s pull.Progress, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  page %s", count(s.Page))
	if s.Pages > 0 {
		fmt.Fprintf(&b, " of %s", count(s.Pages))
		if p.terminal {
			full := barWidth * s.Page / s.Pages
			fmt.Fprintf(&b, "  %s%s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full))
		}
	}
	fmt.Fprintf(&b, "  %s people", count(s.People))
	if s.Limit > 0 {
		fmt.Fprintf(&b, "  budget %s of %s calls left", count(max(s.Limit-s.Used, 0)), count(s.Limit))
	}
	if gone, read := now.Sub(p.since), s.Page-p.first; s.Pages > s.Page && gone > time.Second && read > 0 {
		left := gone / time.Duration(read) * time.Duration(s.Pages-s.Page)
		fmt.Fprintf(&b, "  %d s to go", int(left.Seconds())+1)
	}
	return b.String()
}

// clear takes the line away before other lines come.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// texts are the words of a list of names.
func texts[T ~string](all []T) []string {
	list := make([]string, len(all))
	for i, one := range all {
		list[i] = string(one)
	}
	return list
}
