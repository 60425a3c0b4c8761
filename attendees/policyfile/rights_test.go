package policyfile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
	"lethe/attendees/policyfile"
)

const rightsPolicy = `{
  "purposes": [{ "name": "forum", "basis": "a", "fields": ["name"] }],
  "case_years": 2,
  "countries": ["DE-BE", "FR"],
  "organization": "Example Science Foundation",
  "contact": "privacy@example.org",
  "authority": { "name": "Berlin Commissioner", "address": "Alt-Moabit 59, Berlin", "url": "https://authority.example.org" },
  "processors": [{ "name": "Example Host", "what": "the database", "where": "Germany" }]
}`

func TestAPolicyFileSaysWhoAnswersForPeoplesRights(t *testing.T) {
	got, err := policyfile.Parse([]byte(rightsPolicy), "policy.json")
	if err != nil {
		t.Fatal(err)
	}
	want := attendees.BuiltIn()
	want.Purposes = []attendees.Purpose{{Name: attendees.Forum, Basis: "a", Fields: []attendees.Field{attendees.Name}}}
	want.CaseYears, want.Countries = 2, []string{"DE-BE", "FR"}
	want.Organization, want.Contact = "Example Science Foundation", "privacy@example.org"
	want.Authority = attendees.Authority{Name: "Berlin Commissioner", Address: "Alt-Moabit 59, Berlin", URL: "https://authority.example.org"}
	want.Processors = []attendees.Processor{{Name: "Example Host", What: "the database", Where: "Germany"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for what, c := range map[string]struct{ from, to, want string }{
		"unknown country":        {`"FR"`, `"XX"`, `policy.json:4: unknown country "XX"; there are AT, BE`},
		"country twice":          {`"FR"`, `"DE-BE"`, `policy.json:4: country "DE-BE" is there twice`},
		"too many years":         {`"case_years": 2`, `"case_years": 11`, `policy.json:3: a whole number from 0 to 10`},
		"nameless authority":     {`"Berlin Commissioner"`, `""`, `policy.json:7: the authority wants a name`},
		"authority in plain":     {`https://authority`, `http://authority`, `policy.json:7: the authority's url wants to be https://…`},
		"processor nowhere":      {`, "where": "Germany"`, ``, `policy.json:8: a processor wants a name`},
		"contact that is a list": {`"privacy@example.org"`, `[]`, `policy.json:6: a text in quotes`},
	} {
		_, err := policyfile.Parse([]byte(strings.Replace(rightsPolicy, c.from, c.to, 1)), "policy.json")
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}
