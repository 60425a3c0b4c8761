// Package policyfile reads the file that replaces the built-in policy. It keeps nothing and
// knows no database: start at Parse.
package policyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"lethe/attendees"
)

// Parse reads a policy file, which replaces the built-in policy. README
// describes its format. An unknown key, field or rule, a key given twice, or a value
// of the wrong type is refused, with file and line: what is misspelt must not
// silently keep, or lose, anybody.
func Parse(text []byte, file string) (attendees.Policy, error) {
	p := attendees.BuiltIn()
	p.Purposes = nil
	r := &policyReader{file: file, text: text, tokens: json.NewDecoder(bytes.NewReader(text))}
	r.tokens.UseNumber()
	err := r.object(map[string]func() error{
		"purposes":         func() error { return r.list(func() error { return r.purpose(&p) }) },
		"retention":        func() error { return r.ruleName(&p.Rule) },
		"rules":            func() error { return r.list(func() error { return r.rule(&p) }) },
		"events":           func() error { return r.events(&p) },
		"grace_days":       func() error { return r.number(&p.GraceDays, 0, maxGraceDays) },
		"unmatched_days":   func() error { return r.number(&p.UnmatchedDays, 0, maxUnmatchedDays) },
		"seal":             func() error { return r.seal(&p.OfficersOnly) },
		"upstream":         func() error { return r.upstream(&p.Upstream) },
		"forms":            func() error { return r.forms(&p) },
		"person_opens_for": func() error { return r.number(&p.PersonOpensMonths, 0, maxPersonOpensMonths) },
		"evidence_years":   func() error { return r.number(&p.EvidenceYears, 0, maxRuleYears) },
		"case_years":       func() error { return r.number(&p.CaseYears, 0, maxCaseYears) },
		"countries":        func() error { p.Countries = nil; return r.list(func() error { return r.country(&p) }) },
		"organization": func() error {
			return r.string(&p.Organization)
		},
		"contact":   func() error { return r.string(&p.Contact) },
		"authority": func() error { return r.authority(&p.Authority) },
		"processors": func() error {
			p.Processors = nil
			return r.list(func() error { return r.processor(&p) })
		},
		"financial_year_end": func() error {
			return r.monthDay(&p.FinancialYearEnd)
		},
	})
	if err != nil {
		return attendees.Policy{}, err
	}
	if _, err := r.tokens.Token(); !errors.Is(err, io.EOF) {
		return attendees.Policy{}, r.fail("there is text behind the policy")
	}
	if len(p.Purposes) == 0 {
		return attendees.Policy{}, r.fail("the policy names no purpose, so nothing could be kept")
	}
	for _, use := range r.uses {
		if _, ok := p.RuleNamed(use.name); !ok {
			return attendees.Policy{}, r.failAt(use.line, "no retention rule is called %q; there are %s", use.name, strings.Join(p.RuleNames(), ", "))
		}
	}
	return p, nil
}

const (
	// maxGraceDays: who keeps people open for over a year after an event has not blocked them.
	maxGraceDays = 366
	// maxUnmatchedDays: a response without an attendee after three months stays without one.
	maxUnmatchedDays = 90
	// maxPersonOpensMonths: no mailbox is its owner's for longer than ten years with certainty.
	maxPersonOpensMonths = 120
	// maxCaseYears: claims about a request are time-barred long before.
	maxCaseYears = 10
	// maxRuleYears: no statute that we know keeps longer than thirty.
	maxRuleYears = 40
)

// policyReader walks a policy file token by token, so that what it refuses has a line.
type policyReader struct {
	file   string
	text   []byte
	tokens *json.Decoder
	uses   []ruleUse // the retention rules that the policy names
}

func (r *policyReader) line() int {
	return 1 + bytes.Count(r.text[:min(int(r.tokens.InputOffset()), len(r.text))], []byte("\n"))
}

func (r *policyReader) fail(format string, args ...any) error {
	return r.failAt(r.line(), format, args...)
}

func (r *policyReader) failAt(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...))
}

func (r *policyReader) token() (json.Token, error) {
	t, err := r.tokens.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, r.fail("the file ends in the middle")
	}
	if err != nil {
		return nil, r.fail("this is no JSON: %v", err)
	}
	return t, nil
}

func (r *policyReader) open(delim json.Delim, what string) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != delim {
		return r.fail("%s is wanted here", what)
	}
	return nil
}

// object reads an object of known keys, each at most once.
func (r *policyReader) object(keys map[string]func() error) error {
	return r.anyObject(func(key string) error {
		read, ok := keys[key]
		if !ok {
			return r.fail("unknown key %q; there are %s", key, strings.Join(sortedKeys(keys), ", "))
		}
		return read()
	})
}

func (r *policyReader) anyObject(read func(key string) error) error {
	if err := r.open('{', "an object, { … },"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.tokens.More() {
		t, err := r.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return r.fail("a key is wanted here")
		}
		if seen[key] {
			return r.fail("key %q is there twice", key)
		}
		seen[key] = true
		if err := read(key); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

func (r *policyReader) list(read func() error) error {
	if err := r.open('[', "a list, [ … ],"); err != nil {
		return err
	}
	for r.tokens.More() {
		if err := read(); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

func (r *policyReader) string(s *string) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	text, ok := t.(string)
	if !ok {
		return r.fail("a text in quotes is wanted here")
	}
	*s = text
	return nil
}

func (r *policyReader) number(n *int, least, most int) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	number, ok := t.(json.Number)
	v, err := number.Int64()
	if !ok || err != nil || v < int64(least) || v > int64(most) {
		return r.fail("a whole number from %d to %d is wanted here", least, most)
	}
	*n = int(v)
	return nil
}

func (r *policyReader) bool(b *bool) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	v, ok := t.(bool)
	if !ok {
		return r.fail("true or false is wanted here")
	}
	*b = v
	return nil
}

// oneOf reads a text that is one of a few.
func (r *policyReader) oneOf(s *string, what string, all ...string) error {
	if err := r.string(s); err != nil {
		return err
	}
	if !slices.Contains(all, *s) {
		return r.fail("unknown %s %q; there are %s", what, *s, strings.Join(all, ", "))
	}
	return nil
}

// seal reads who records are sealed to.
func (r *policyReader) seal(officersOnly *bool) error {
	var to string
	err := r.oneOf(&to, "way to seal", "officer", "officer_and_person")
	*officersOnly = to == "officer"
	return err
}

func (r *policyReader) monthDay(m *attendees.MonthDay) error {
	var text string
	if err := r.string(&text); err != nil {
		return err
	}
	t, err := time.Parse(time.DateOnly, "2024-"+text)
	if err != nil {
		return r.fail("%q is no day of the year such as 03-31", text)
	}
	*m = attendees.MonthDay{Month: t.Month(), Day: t.Day()}
	return nil
}

// Names are short enough for a file's name and a log's line.
var (
	purposeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)
	ruleName    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,40}$`)
)

func (r *policyReader) purpose(p *attendees.Policy) error {
	var u attendees.Purpose
	fields := attendees.AllFields()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	err := r.object(map[string]func() error{
		"name":   func() error { return r.string((*string)(&u.Name)) },
		"basis":  func() error { return r.oneOf(&u.Basis, "legal basis", "a", "b", "c", "f") },
		"sealed": func() error { return r.bool(&u.Sealed) },
		"fields": func() error {
			return r.list(func() error {
				var f string
				if err := r.oneOf(&f, "field", names...); err != nil {
					return err
				}
				if slices.Contains(u.Fields, attendees.Field(f)) {
					return r.fail("field %q is there twice", f)
				}
				u.Fields = append(u.Fields, attendees.Field(f))
				return nil
			})
		},
	})
	switch _, taken := p.Purpose(u.Name); {
	case err != nil:
		return err
	case !purposeName.MatchString(string(u.Name)):
		return r.fail("a purpose wants a name of small letters, digits and _, such as forum")
	case taken:
		return r.fail("purpose %q is there twice", u.Name)
	case u.Basis == "":
		return r.fail("purpose %q wants a legal basis: a, b, c or f of GDPR Art. 6(1)", u.Name)
	case len(u.Fields) == 0:
		return r.fail("purpose %q names no fields", u.Name)
	}
	p.Purposes = append(p.Purposes, u)
	return nil
}

func (r *policyReader) rule(p *attendees.Policy) error {
	rule := attendees.Rule{Years: -1}
	err := r.object(map[string]func() error{
		"name":  func() error { return r.string(&rule.Name) },
		"years": func() error { return r.number(&rule.Years, 0, maxRuleYears) },
		"from": func() error {
			return r.oneOf((*string)(&rule.From), "start", string(attendees.FromEventEnd), string(attendees.FromEndOfCalendarYear), string(attendees.FromEndOfFinancialYear))
		},
		"statute": func() error { return r.string(&rule.Statute) },
		"basis":   func() error { return r.oneOf(&rule.Basis, "legal basis", "c", "f") },
	})
	switch {
	case err != nil:
		return err
	case !ruleName.MatchString(rule.Name):
		return r.fail("a rule wants a name of small letters, digits, - and _, such as de-ao-6")
	case slices.ContainsFunc(p.Rules, func(o attendees.Rule) bool { return o.Name == rule.Name }):
		return r.fail("rule %q is there twice", rule.Name)
	case rule.Years < 0 || rule.From == "" || rule.Statute == "" || rule.Basis == "":
		return r.fail("rule %q wants years, from, statute and basis", rule.Name)
	}
	p.Rules = append(p.Rules, rule)
	return nil
}

func (r *policyReader) events(p *attendees.Policy) error {
	p.EventRules = map[attendees.EventID]string{}
	return r.anyObject(func(id string) error {
		var name string
		if err := r.object(map[string]func() error{"retention": func() error { return r.ruleName(&name) }}); err != nil {
			return err
		}
		if name != "" { // an event that picks no rule follows the policy's
			p.EventRules[attendees.EventID(id)] = name
		}
		return nil
	})
}

func (r *policyReader) upstream(u *attendees.Upstream) error {
	return r.oneOf((*string)(u), "way with responses at their source",
		string(attendees.UpstreamAsk), string(attendees.UpstreamWhenDue), string(attendees.UpstreamWhenBlocked), string(attendees.UpstreamNever))
}

func (r *policyReader) forms(p *attendees.Policy) error {
	p.FormUpstream = map[attendees.FormID]attendees.Upstream{}
	return r.anyObject(func(id string) error {
		var u attendees.Upstream
		if err := r.object(map[string]func() error{"upstream": func() error { return r.upstream(&u) }}); err != nil {
			return err
		}
		p.FormUpstream[attendees.FormID(id)] = u
		return nil
	})
}

// ruleUse is where a retention rule was named.
type ruleUse struct {
	name string
	line int
}

// ruleName reads the name of a rule, which may be defined further down: Parse
// looks for it at the end.
func (r *policyReader) ruleName(name *string) error {
	if err := r.string(name); err != nil {
		return err
	}
	r.uses = append(r.uses, ruleUse{*name, r.line()})
	return nil
}

func sortedKeys(m map[string]func() error) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
