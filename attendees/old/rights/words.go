package rights

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"lethe/attendees/old/attendees"
)

//go:embed words/*.json
var wordFiles embed.FS

// languages are those that people are spoken to in, the one for everybody else first.
var languages = []string{"en", "de", "fr", "es"}

// Languages are those that people are spoken to in.
func Languages() []string { return append([]string(nil), languages...) }

// Words are what is said to people in one language, by key. The zero Words says keys.
type Words struct {
	Language string
	text     map[string]string
	builtIn  map[string]string // keys of what the built-in policy says, by its words
}

// builtIn begins the keys of what the built-in policy says.
const builtIn = "builtin."

// Catalogue is all that is said, in all languages.
type Catalogue struct {
	words   map[string]Words
	matcher language.Matcher
}

// ReadCatalogue reads the words that are built in.
func ReadCatalogue() (*Catalogue, error) {
	c := &Catalogue{words: map[string]Words{}}
	var tags []language.Tag
	for _, l := range languages {
		text, err := wordFiles.ReadFile("words/" + l + ".json")
		if err != nil {
			return nil, fmt.Errorf("words of %s: %w", l, err)
		}
		w := Words{Language: l}
		if err := json.Unmarshal(text, &w.text); err != nil {
			return nil, fmt.Errorf("words of %s: %w", l, err)
		}
		c.words[l] = w
		tags = append(tags, language.Make(l))
	}
	known := map[string]string{}
	for key, text := range c.words[languages[0]].text {
		if strings.HasPrefix(key, builtIn) {
			known[text] = key
		}
	}
	for l, w := range c.words {
		w.builtIn = known
		c.words[l] = w
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// In are the words of the language that was chosen, else of the one that fits best what a
// browser accepts (RFC 9110 sec. 12.5.4), else English.
func (c *Catalogue) In(chosen, accepts string) Words {
	if w, ok := c.words[chosen]; ok {
		return w
	}
	wanted, _, err := language.ParseAcceptLanguage(accepts)
	if err != nil {
		return c.words[languages[0]]
	}
	_, i, _ := c.matcher.Match(wanted...)
	return c.words[languages[i]]
}

// Say says what stands under a key, with pairs of a placeholder's name and its value.
func (w Words) Say(key string, pairs ...string) string {
	text, ok := w.text[key]
	if !ok {
		return key
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs[:len(pairs)/2*2]...).Replace(text)
}

// Has tells whether something stands under a key.
func (w Words) Has(key string) bool {
	_, ok := w.text[key]
	return ok
}

// Or says what stands under a key, or, where nothing does, other.
func (w Words) Or(key, other string) string {
	if w.Has(key) {
		return w.Say(key)
	}
	return other
}

// Policy says what a policy says: its own words, but where they are the built-in ones.
func (w Words) Policy(text string) string {
	if key, ok := w.builtIn[text]; ok {
		return w.Say(key)
	}
	return text
}

// Date writes a day as people say it.
func (w Words) Date(d attendees.Date) string {
	day := strconv.Itoa(d.Day)
	if d.Day == 1 {
		day = w.Say("date.first")
	}
	return w.Say("date", "day", day, "month", w.Say("month."+strconv.Itoa(int(d.Month))), "year", strconv.Itoa(d.Year))
}

// Field is a field's name.
func (w Words) Field(f attendees.Field) string {
	if name, ok := f.AnswerName(); ok {
		return w.Say("field.answers") + " (" + name + ")"
	}
	return w.Or("field."+string(f), string(f))
}

// Purpose is a purpose's name.
func (w Words) Purpose(p attendees.PurposeName) string { return w.Or("purpose."+string(p), string(p)) }

// Right is what is asked for.
func (w Words) Right(r attendees.Right) string { return w.Say("right." + string(r)) }
