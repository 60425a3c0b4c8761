// Package words is the texts of the attendees' pages and letters, in all languages, by key.
package words

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"lethe/attendees"
)

//go:embed *.json
var wordFiles embed.FS

// languages are those of the pages and letters; the first is for everybody else.
var languages = []string{"en", "de", "fr", "es"}

// Languages are those of the pages and letters.
func Languages() []string { return append([]string(nil), languages...) }

// Words are the texts of one language, by key. The zero Words gives keys.
type Words struct {
	Language string
	text     map[string]string
}

// Catalogue is all texts in all languages.
type Catalogue struct {
	words   map[string]Words
	matcher language.Matcher
}

// ReadCatalogue reads the embedded texts.
func ReadCatalogue() (*Catalogue, error) {
	c := &Catalogue{words: map[string]Words{}}
	var tags []language.Tag
	for _, l := range languages {
		text, err := wordFiles.ReadFile(l + ".json")
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

// Say gives the text of a key, with pairs of a placeholder's name and its value filled in.
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

// Or gives the text of a key, or other where it has none.
func (w Words) Or(key, other string) string {
	if text, ok := w.text[key]; ok {
		return text
	}
	return other
}

// Policy translates a text of the built-in policy; another policy's own words stay.
func (w Words) Policy(text string) string { return w.Or("policy."+text, text) }

// Date writes a day in the language's way.
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

// Right is a right's name.
func (w Words) Right(r attendees.Right) string { return w.Say("right." + string(r)) }
