package attendees

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// parser reads a layer's text several times faster than package encoding/json: a roster
// opens hundreds of thousands. It reads what Layer.Text writes, and leaves anything else,
// such as an escaped letter or an unknown key, to encoding/json.
type parser struct {
	text   string // kept: what is read are parts of it
	at     int
	odd    bool       // it is not as Layer.Text writes it
	values []Personal // all of the layer: what is given are parts of it
	last   struct {   // the time read last: the next one is often the same
		text string
		time time.Time
	}
}

func parseContent(text []byte) (*content, bool) {
	p := &parser{text: string(text), odd: !plain(text)}
	c := &content{}
	p.content(c)
	if !p.odd && p.at == len(p.text) {
		return c, true
	}
	c = &content{}
	return c, json.Unmarshal(text, c) == nil
}

// plain tells that no letter of a text is escaped, or would have to be.
func plain(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b == '\\' {
			return false
		}
	}
	return utf8.Valid(text)
}

// is takes a byte that comes next.
func (p *parser) is(b byte) bool {
	if p.at < len(p.text) && p.text[p.at] == b {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(b byte) {
	if !p.is(b) {
		p.odd = true
	}
}

// string reads a text, which has no escapes.
func (p *parser) string() string {
	p.want('"')
	n := strings.IndexByte(p.text[p.at:], '"')
	if n < 0 || p.odd {
		p.odd = true
		return ""
	}
	p.at += n + 1
	return p.text[p.at-n-1 : p.at-1]
}

func (p *parser) int() (n int) {
	from := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' && p.at-from < 9 {
		n = 10*n + int(p.text[p.at]-'0')
		p.at++
	}
	p.odd = p.odd || p.at == from || p.text[from] == '0'
	return n
}

// time reads a second in UTC.
func (p *parser) time() time.Time {
	s := p.string()
	if s != p.last.text || s == "" {
		t, err := time.Parse(time.RFC3339, s)
		p.odd = p.odd || err != nil || len(s) != len("2006-01-02T15:04:05Z")
		p.last.text, p.last.time = s, t
	}
	return p.last.time
}

// object reads an object's keys, in the order of read, each of which may be missing.
func (p *parser) object(read func(key string)) {
	p.want('{')
	for first := true; !p.odd && !p.is('}'); first = false {
		if !first {
			p.want(',')
		}
		key := p.string()
		p.want(':')
		if !p.odd {
			read(key)
		}
	}
}

// list reads an array.
func (p *parser) list(read func()) {
	p.want('[')
	for first := true; !p.odd && !p.is(']'); first = false {
		if !first {
			p.want(',')
		}
		read()
	}
}

func (p *parser) content(c *content) {
	p.object(func(key string) {
		switch key {
		case "origin":
			c.Origin = Origin(p.string())
		case "id":
			c.ID = p.string()
		case "holder":
			c.Holder = p.int()
		case "held_since":
			c.HeldSince = p.time()
		case "standing":
			c.Standing = Standing(p.string())
		case "status":
			c.Status = p.string()
		case "registered":
			c.Registered = p.time()
		case "changed":
			c.Changed = p.time()
		case "form":
			c.Form = FormID(p.string())
		case "claims":
			c.Claims = AttendeeID(p.string())
		case "submitted":
			c.Submitted = p.time()
		case "name":
			c.Name = Personal(p.string())
		case "email":
			c.Email = Personal(p.string())
		case "ticket":
			c.Ticket = p.string()
		case "given":
			c.Given, p.values = make([]given, 0, 4), make([]Personal, 0, 6)
			p.list(func() { c.Given = append(c.Given, p.given()) })
		case "attended":
			for _, c := range []byte("true") {
				p.want(c)
			}
			c.Attended = true
		default: // was is rare
			p.odd = true
		}
	})
}

func (p *parser) given() (g given) {
	p.object(func(key string) {
		switch key {
		case "for":
			g.Purpose = PurposeName(p.string())
		case "field":
			g.Field = Field(p.string())
		case "values":
			from := len(p.values)
			p.list(func() { p.values = append(p.values, Personal(p.string())) })
			g.Values = p.values[from:len(p.values):len(p.values)]
		case "at":
			g.At = p.time()
		default:
			p.odd = true
		}
	})
	return g
}

// writer writes a layer's text as encoding/json would, several times faster.
type writer []byte

// key begins a value.
func (w *writer) key(name string) {
	if last := (*w)[len(*w)-1]; last != '{' {
		*w = append(*w, ',')
	}
	*w = append(append(append(*w, '"'), name...), '"', ':')
}

func (w *writer) string(s string) {
	if !plain([]byte(s)) || strings.Contains(s, `"`) {
		quoted, err := json.Marshal(s)
		if err != nil {
			panic("attendees: a text is no JSON") // its words would quote it
		}
		*w = append(*w, quoted...)
		return
	}
	*w = append(append(append(*w, '"'), s...), '"')
}

func (w *writer) text(name, s string) {
	if s != "" {
		w.key(name)
		w.string(s)
	}
}

func (w *writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.key(name)
		*w = append(t.AppendFormat(append(*w, '"'), time.RFC3339), '"')
	}
}

func (w *writer) content(c *content) {
	*w = append(*w, '{')
	w.text("origin", string(c.Origin))
	w.text("id", c.ID)
	if c.Holder != 0 {
		w.key("holder")
		*w = strconv.AppendInt(*w, int64(c.Holder), 10)
	}
	w.time("held_since", c.HeldSince)
	w.text("standing", string(c.Standing))
	w.text("status", c.Status)
	w.time("registered", c.Registered)
	w.time("changed", c.Changed)
	w.text("form", string(c.Form))
	w.text("claims", string(c.Claims))
	w.time("submitted", c.Submitted)
	w.text("name", c.Name.Reveal())
	w.text("email", c.Email.Reveal())
	w.text("ticket", c.Ticket)
	if c.Attended {
		w.key("attended")
		*w = append(*w, "true"...)
	}
	w.list("given", len(c.Given), func(i int) {
		g := c.Given[i]
		*w = append(*w, '{')
		w.text("for", string(g.Purpose))
		w.text("field", string(g.Field))
		w.list("values", len(g.Values), func(i int) { w.string(g.Values[i].Reveal()) })
		w.time("at", g.At)
		*w = append(*w, '}')
	})
	w.list("was", len(c.Was), func(i int) { w.content(c.Was[i]) })
	*w = append(*w, '}')
}

func (w *writer) list(name string, n int, one func(i int)) {
	for i := range n {
		if i == 0 {
			w.key(name)
			*w = append(*w, '[')
		} else {
			*w = append(*w, ',')
		}
		one(i)
	}
	if n > 0 {
		*w = append(*w, ']')
	}
}
