package words

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lethe/attendees"
)

var (
	placeholder = regexp.MustCompile(`\{[a-z]+\}`)
	said        = regexp.MustCompile(`(?:[sS]ay\(|Say )"([a-z.]+)"`)
)

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	c, err := ReadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	english := c.words["en"]
	for _, l := range languages {
		w := c.words[l]
		if len(w.text) != len(english.text) {
			t.Errorf("%s says %d things, English %d", l, len(w.text), len(english.text))
		}
		for key, text := range english.text {
			other, ok := w.text[key]
			if !ok || strings.TrimSpace(other) == "" {
				t.Errorf("%s does not say %s", l, key)
				continue
			}
			want, got := placeholder.FindAllString(text, -1), placeholder.FindAllString(other, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s in %s has the placeholders %v, want %v", key, l, got, want)
			}
		}
	}
	for _, r := range attendees.Rights() {
		if english.Or("right."+string(r), "") == "" {
			t.Errorf("nothing is said of %s", r)
		}
	}
	p, known := attendees.BuiltIn(), map[string]bool{}
	for _, r := range p.AllRules() {
		known[r.Statute] = true
	}
	for _, one := range p.Processors {
		known[one.What], known[one.Where], known[one.Transfer] = true, true, true
	}
	for key, text := range english.text {
		if own, ok := strings.CutPrefix(key, "policy."); ok && (!known[own] || own != text) {
			t.Errorf("%q is translated, which the built-in policy does not say", own)
		}
	}
	for _, f := range attendees.Correctable() {
		if english.Or("field."+string(f), "") == "" {
			t.Errorf("field %s has no name", f)
		}
	}
}

// Whatever the program says stands in the catalogue.
func TestNothingIsSaidThatIsNotInTheCatalogue(t *testing.T) {
	t.Parallel()
	c, err := ReadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"..", "../../web", "../../web/mydata"} {
		files, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, f := range files {
			if f.IsDir() || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(folder + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range said.FindAllStringSubmatch(string(text), -1) {
				if !strings.HasSuffix(m[1], ".") && c.words["en"].Or(m[1], "") == "" {
					t.Errorf("%s/%s says %q, which no language knows", folder, f.Name(), m[1])
				}
			}
		}
	}
}

func TestTheLanguageIsTheOneThatFitsBest(t *testing.T) {
	t.Parallel()
	c, err := ReadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][3]string{
		{"", "", "en"}, {"", "de-AT,de;q=0.9,en;q=0.8", "de"}, {"", "fr-CA", "fr"}, {"", "ja", "en"}, {"", "ja,es;q=0.5", "es"},
		{"fr", "de", "fr"}, {"xx", "de", "de"}, {"", ";;;", "en"},
	} {
		if got := c.In(l[0], l[1]).Language; got != l[2] {
			t.Errorf("chosen %q, accepted %q: %s, want %s", l[0], l[1], got, l[2])
		}
	}
	if got := c.In("de", "").Date(attendees.Date{Year: 2027, Month: 3, Day: 4}); got != "4. März 2027" {
		t.Errorf("a date is %q", got)
	}
}
