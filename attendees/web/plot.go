package web

import (
	"fmt"
	"html/template"
	"strings"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// plot is how many had registered by each day, as a curve, and by months for those who
// do not see it.
type plot struct {
	Label        string
	Curve, Under template.HTMLAttr
	Most         string
	First, Last  string
	Months       []monthRow
}

type monthRow struct {
	Month    string
	New, All int
}

// The plot's frame, in its own units: the template draws the axes there.
const (
	plotLeft, plotRight = 56.0, 744.0
	plotTop, plotBottom = 24.0, 150.0
)

// plotOf draws the days up to until; nil where nobody registered on a known day.
func plotOf(days []postgres.Day, until attendees.Date) *plot {
	if len(days) == 0 {
		return nil
	}
	first, last := days[0].On, days[len(days)-1].On
	if last.Before(until) {
		last = until
	}
	most := 0
	for _, d := range days {
		most += d.N
	}
	span := float64(max(last.Days(first), 1))
	at := func(d attendees.Date, n int) string {
		x := plotLeft + (plotRight-plotLeft)*float64(d.Days(first))/span
		y := plotBottom - (plotBottom-plotTop)*float64(n)/float64(most)
		return fmt.Sprintf("%.1f %.1f", x, y)
	}
	var curve strings.Builder
	curve.WriteString("M" + at(first, 0))
	n := 0
	p := &plot{Most: count(most), First: shortDate(first), Last: shortDate(last)}
	for i, d := range days {
		if i > 0 && d.On.Days(days[i-1].On) > 1 {
			curve.WriteString(" L" + at(d.On.AddDays(-1), n)) // nobody came until then
		}
		n += d.N
		curve.WriteString(" L" + at(d.On, n))
		p.month(d, n)
	}
	curve.WriteString(" L" + at(last, n))
	line := curve.String()
	// Made of numbers alone.
	p.Curve = template.HTMLAttr(`d="` + line + `"`)
	p.Under = template.HTMLAttr(`d="` + line + fmt.Sprintf(" L%.1f %.1f Z", plotRight, plotBottom) + `"`)
	p.Label = fmt.Sprintf("Registrations over time: from %s to %s, %s in all", longDate(first), longDate(last), count(most))
	return p
}

func (p *plot) month(d postgres.Day, all int) {
	name := fmt.Sprintf("%s %d", d.On.Month, d.On.Year)
	if n := len(p.Months); n == 0 || p.Months[n-1].Month != name {
		p.Months = append(p.Months, monthRow{Month: name})
	}
	m := &p.Months[len(p.Months)-1]
	m.New, m.All = m.New+d.N, all
}
