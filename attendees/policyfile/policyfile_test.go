package policyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
	"lethe/attendees/policyfile"
)

const wholePolicy = `{
  "purposes": [
    {"name": "participation_agreement", "basis": "b", "sealed": true,
     "fields": ["name", "email", "ticket", "agreement_version", "agreed_at", "attended"]},
    {"name": "forum", "basis": "a", "fields": ["name", "forums", "answers"]}
  ],
  "retention": "house-3",
  "rules": [
    {"name": "house-3", "years": 3, "from": "end_of_financial_year", "statute": "our statutes § 4", "basis": "f"}
  ],
  "events": {"4711": {"retention": "none"}, "12": {}},
  "grace_days": 0,
  "unmatched_days": 7,
  "financial_year_end": "02-29",
  "upstream": "when_blocked",
  "forms": {"u6nXL7": {"upstream": "when_due"}, "abc": {}}
}
`

func TestAPolicyFileReplacesTheBuiltInPolicy(t *testing.T) {
	got, err := policyfile.Parse([]byte(wholePolicy), "policy.json")
	if err != nil {
		t.Fatal(err)
	}
	want := attendees.Policy{
		Purposes: []attendees.Purpose{
			attendees.BuiltIn().Purposes[0],
			{Name: attendees.Forum, Basis: "a", Fields: []attendees.Field{attendees.Name, attendees.Forums, attendees.Answers}},
		},
		Rules: []attendees.Rule{
			{Name: "house-3", Years: 3, From: attendees.FromEndOfFinancialYear, Statute: "our statutes § 4", Basis: "f"},
		},
		Rule:              "house-3",
		EventRules:        map[attendees.EventID]string{"4711": "none"},
		GraceDays:         0,
		UnmatchedDays:     7,
		PersonOpensMonths: 24, EvidenceYears: 3, CaseYears: 3,
		Countries: attendees.BuiltIn().Countries, Processors: attendees.BuiltIn().Processors,
		FinancialYearEnd: attendees.MonthDay{Month: time.February, Day: 29},
		Upstream:         attendees.UpstreamWhenBlocked,
		FormUpstream:     map[attendees.FormID]attendees.Upstream{"u6nXL7": attendees.UpstreamWhenDue, "abc": ""},
	}
	for form, way := range map[attendees.FormID]attendees.Upstream{"u6nXL7": "when_due", "abc": "when_blocked", "other": "when_blocked"} {
		if u := got.UpstreamOf(form); u != way {
			t.Errorf("of form %s: %s, want %s", form, u, way)
		}
	}
	if u := (&attendees.Policy{}).UpstreamOf("u6nXL7"); u != attendees.UpstreamAsk {
		t.Errorf("where nothing is said: %s", u)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatAPolicyFileDoesNotSayIsAsBuiltIn(t *testing.T) {
	got, err := policyfile.Parse([]byte(`{"purposes": [{"name": "forum", "basis": "b", "fields": ["name"]}]}`), "p")
	if err != nil {
		t.Fatal(err)
	}
	want := attendees.BuiltIn()
	want.Purposes = []attendees.Purpose{{Name: attendees.Forum, Basis: "b", Fields: []attendees.Field{attendees.Name}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Each file is the whole one with a mistake in it.
func TestAMistakeInAPolicyFileIsRefusedWithItsLine(t *testing.T) {
	for what, c := range map[string]struct{ from, to, want string }{
		"unknown key":            {`"retention":`, `"retentoin":`, `policy.json:7: unknown key "retentoin"; there are authority, case_years, contact, countries, events,`},
		"key in capitals":        {`"grace_days"`, `"Grace_Days"`, `policy.json:12: unknown key "Grace_Days"`},
		"key of later":           {`"grace_days": 0`, `"mail": "yes"`, `policy.json:12: unknown key "mail"`},
		"unknown upstream":       {`"upstream": "when_blocked"`, `"upstream": "soon"`, `policy.json:15: unknown way with responses at their source "soon"; there are ask, when_due, when_blocked, never`},
		"form's unknown one":     {`"when_due"`, `"delete"`, `policy.json:16: unknown way with responses at their source "delete"`},
		"form's unknown key":     {`{"upstream": "when_due"}`, `{"retention": "none"}`, `policy.json:16: unknown key "retention"; there are upstream`},
		"unknown field":          {`"forums"`, `"diet"`, `policy.json:5: unknown field "diet"; there are name, email, ticket,`},
		"what a link fills":      {`"forums"`, `"agreed"`, `policy.json:5: unknown field "agreed"`},
		"one answer":             {`"answers"`, `"answers.chair"`, `policy.json:5: unknown field "answers.chair"`},
		"field twice":            {`"forums"`, `"name"`, `policy.json:5: field "name" is there twice`},
		"purpose twice":          {`"name": "forum"`, `"name": "participation_agreement"`, `policy.json:5: purpose "participation_agreement" is there twice`},
		"purpose with a hyphen":  {`"name": "forum"`, `"name": "our-forum"`, `policy.json:5: a purpose wants a name of small letters`},
		"purpose in capitals":    {`"name": "forum"`, `"name": "Forum"`, `policy.json:5: a purpose wants a name`},
		"purpose without a name": {`"name": "forum", `, ``, `policy.json:5: a purpose wants a name`},
		"purpose without basis":  {`"basis": "a", `, ``, `policy.json:5: purpose "forum" wants a legal basis`},
		"unknown legal basis":    {`"basis": "a"`, `"basis": "z"`, `policy.json:5: unknown legal basis "z"; there are a, b, c, f`},
		"purpose without fields": {`["name", "forums", "answers"]`, `[]`, `policy.json:5: purpose "forum" names no fields`},
		"no purposes":            {wholePolicy, `{"purposes": []}`, `policy.json:1: the policy names no purpose`},
		"nothing":                {wholePolicy, `{}`, `policy.json:1: the policy names no purpose`},
		"empty file":             {wholePolicy, ``, `policy.json:1: the file ends in the middle`},
		"no object":              {wholePolicy, `[]`, `policy.json:1: an object, { … }, is wanted here`},
		"unknown rule":           {`"house-3",` + "\n", `"de-ao-7",` + "\n", `policy.json:7: no retention rule is called "de-ao-7"; there are de-ao-6, de-ao-8,`},
		"empty rule":             {`"retention": "house-3"`, `"retention": ""`, `policy.json:7: no retention rule is called ""`},
		"event's unknown rule":   {`"retention": "none"`, `"retention": "never"`, `policy.json:11: no retention rule is called "never"`},
		"event's empty rule":     {`"retention": "none"`, `"retention": ""`, `policy.json:11: no retention rule is called ""`},
		"event twice":            {`"12": {}`, `"4711": {}`, `policy.json:11: key "4711" is there twice`},
		"event's unknown key":    {`{"retention": "none"}`, `{"grace_days": 3}`, `policy.json:11: unknown key "grace_days"; there are retention`},
		"rule twice":             {`"f"}`, `"f"}, {"name": "house-3", "years": 1, "from": "event_end", "statute": "§", "basis": "f"}`, `policy.json:9: rule "house-3" is there twice`},
		"rule without statute":   {`"statute": "our statutes § 4", `, ``, `policy.json:9: rule "house-3" wants years, from, statute and basis`},
		"rule without years":     {`"years": 3, `, ``, `policy.json:9: rule "house-3" wants years, from, statute and basis`},
		"rule of consent":        {`"basis": "f"`, `"basis": "a"`, `policy.json:9: unknown legal basis "a"; there are c, f`},
		"unknown start":          {`end_of_financial_year`, `end_of_time`, `policy.json:9: unknown start "end_of_time"; there are event_end, end_of_calendar_year, end_of_financial_year`},
		"negative years":         {`"years": 3`, `"years": -3`, `policy.json:9: a whole number from 0 to 40 is wanted here`},
		"key twice":              {`"unmatched_days": 7`, `"grace_days": 7`, `policy.json:13: key "grace_days" is there twice`},
		"grace beyond a year":    {`"grace_days": 0`, `"grace_days": 367`, `policy.json:12: a whole number from 0 to 366 is wanted here`},
		"half a day of grace":    {`"grace_days": 0`, `"grace_days": 0.5`, `policy.json:12: a whole number`},
		"grace in words":         {`"grace_days": 0`, `"grace_days": "30"`, `policy.json:12: a whole number`},
		"no grace":               {`"grace_days": 0`, `"grace_days": null`, `policy.json:12: a whole number`},
		"unmatched too long":     {`"unmatched_days": 7`, `"unmatched_days": 91`, `policy.json:13: a whole number from 0 to 90 is wanted here`},
		"no day of the year":     {`"02-29"`, `"02-30"`, `policy.json:14: "02-30" is no day of the year such as 03-31`},
		"sealed in words":        {`"sealed": true`, `"sealed": "yes"`, `policy.json:3: true or false is wanted here`},
		"name of a number":       {`"name": "forum"`, `"name": 7`, `policy.json:5: a text in quotes is wanted here`},
		"purposes in an object":  {`"purposes": [`, `"purposes": {`, `policy.json:2: a list, [ … ], is wanted here`},
		"comma too many":         {`"abc": {}}`, `"abc": {}},`, `policy.json:17: this is no JSON`},
		"comma missing":          {`"unmatched_days": 7,`, `"unmatched_days": 7`, `policy.json:14: this is no JSON`},
		"comment":                {`"grace_days": 0,`, `"grace_days": 0, // none`, `policy.json:12: this is no JSON`},
		"cut off":                {`"abc": {}}` + "\n}\n", ``, `policy.json:16: the file ends in the middle`},
		"text behind":            {"}\n" + "", "}\n", ``},
	} {
		text := strings.Replace(wholePolicy, c.from, c.to, 1)
		if c.want == "" { // the replacement cannot say where the end is
			text, c.want = wholePolicy+"\n\n{}", "policy.json:20: there is text behind the policy"
		} else if text == wholePolicy {
			t.Fatalf("%s: %q is not in the file", what, c.from)
		}
		got, err := policyfile.Parse([]byte(text), "policy.json")
		if err == nil {
			t.Errorf("%s was taken", what)
			continue
		}
		if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\n got %s\nwant %s…", what, err, c.want)
		}
		if len(got.Purposes) > 0 {
			t.Errorf("%s: a policy came with the error", what)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(wholePolicy))
	f.Add([]byte(`{"purposes":[{"name":"f","basis":"b","fields":["name"]}],"events":{"":{}}}`))
	f.Add([]byte("{\"grace_days\":1e9999}"))
	f.Add([]byte{0xef, 0xbb, 0xbf, '{', '}'})
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policyfile.Parse(text, "policy.json")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy.json:") {
				t.Errorf("an error without its file: %s", err)
			}
			return
		}
		for id := range p.EventRules {
			if _, err := p.Schedule(attendees.Event{ID: id}, attendees.Date{Year: 2026, Month: 1, Day: 1}); err != nil {
				t.Errorf("a policy was taken that plans nothing: %v", err)
			}
		}
		if _, err := p.Schedule(attendees.Event{}, attendees.Date{Year: 2026, Month: 1, Day: 1}); err != nil || len(p.Purposes) == 0 {
			t.Errorf("a policy was taken that plans nothing: %v", err)
		}
	})
}

func TestTheREADMEsPolicyIsOne(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```json\n")
	text, _, ends := strings.Cut(rest, "```")
	if !ok || !ends {
		t.Fatal("README shows no policy")
	}
	p, err := policyfile.Parse([]byte(text), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Purposes) != 2 || p.EventRules["4711"] != "club-2" || p.PersonOpensMonths != 24 || p.OfficersOnly {
		t.Errorf("it says %+v", p)
	}
}
