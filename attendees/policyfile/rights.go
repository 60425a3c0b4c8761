package policyfile

import (
	"slices"
	"strings"

	"lethe/attendees"
)

// HolidayCountries are those whose public holidays Lethe knows; of Germany each state, too.
// Package rights has their calendars.
func HolidayCountries() []string {
	return []string{
		"AT", "BE", "BG", "CH", "CZ", "DE", "DE-BB", "DE-BE", "DE-BW", "DE-BY", "DE-HB", "DE-HE", "DE-HH", "DE-MV", "DE-NI",
		"DE-NW", "DE-RP", "DE-SH", "DE-SL", "DE-SN", "DE-ST", "DE-TH", "DK", "ES", "FR", "GB", "GR", "HR", "IE", "IT", "LT",
		"LV", "NL", "NO", "PL", "RO", "SE", "SI", "SK", "US",
	}
}

func (r *policyReader) country(p *attendees.Policy) error {
	var code string
	if err := r.oneOf(&code, "country", HolidayCountries()...); err != nil {
		return err
	}
	if slices.Contains(p.Countries, code) {
		return r.fail("country %q is there twice", code)
	}
	p.Countries = append(p.Countries, code)
	return nil
}

func (r *policyReader) authority(a *attendees.Authority) error {
	err := r.object(map[string]func() error{
		"name":    func() error { return r.string(&a.Name) },
		"address": func() error { return r.string(&a.Address) },
		"url":     func() error { return r.string(&a.URL) },
	})
	if err != nil {
		return err
	}
	if strings.TrimSpace(a.Name) == "" {
		return r.fail("the authority wants a name")
	}
	if host, ok := strings.CutPrefix(a.URL, "https://"); a.URL != "" && (!ok || host == "" || strings.ContainsAny(host, " \"<>")) {
		return r.fail("the authority's url wants to be https://…")
	}
	return nil
}

func (r *policyReader) processor(p *attendees.Policy) error {
	var one attendees.Processor
	err := r.object(map[string]func() error{
		"name":     func() error { return r.string(&one.Name) },
		"what":     func() error { return r.string(&one.What) },
		"where":    func() error { return r.string(&one.Where) },
		"transfer": func() error { return r.string(&one.Transfer) },
	})
	if err != nil {
		return err
	}
	if one.Name == "" || one.What == "" || one.Where == "" {
		return r.fail("a processor wants a name, what it holds and where")
	}
	p.Processors = append(p.Processors, one)
	return nil
}
