package attendees

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// parser reads a layer's text several times faster than package encoding/json: a roster
// opens hundreds of thousands. It reads what Layer.Text writes, and leaves anything else,
// such as an escaped letter or an unknown key, to encoding/json.
type parser struct {
	text string // kept: what is read are parts of it
	at   int
	odd  bool // it is not as Layer.Text writes it
}

func parseContent(text []byte) (*content, bool) {
	p := &parser{text: string(text), odd: !utf8.Valid(text)}
	c := &content{}
	p.content(c)
	if !p.odd && p.at == len(p.text) {
		return c, true
	}
	c = &content{}
	return c, json.Unmarshal(text, c) == nil
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

// string reads a text without escapes.
func (p *parser) string() string {
	p.want('"')
	from := p.at
	for p.at < len(p.text) && !p.odd {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[from : p.at-1]
		case c == '\\' || c < ' ':
			p.odd = true
		}
		p.at++
	}
	p.odd = true
	return ""
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
	t, err := time.Parse(time.RFC3339, s)
	p.odd = p.odd || err != nil || len(s) != len("2006-01-02T15:04:05Z")
	return t
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
			c.Name = p.string()
		case "email":
			c.Email = p.string()
		case "ticket":
			c.Ticket = p.string()
		case "given":
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
			p.list(func() { g.Values = append(g.Values, p.string()) })
		case "at":
			g.At = p.time()
		default:
			p.odd = true
		}
	})
	return g
}
