package eventbritetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Secret begins every value that must never be kept. Search for it wherever it must
// not be: in the database's files, in logs, in errors, in exports.
const Secret = "FORBIDDEN-7f3a"

// must renders what is made of maps, texts and numbers alone, which cannot fail.
func must(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// object is name, value, name, value: members stay in their order, which is
// Eventbrite's own.
type object []any

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i := 0; i+1 < len(o); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, must(o[i])...)
		b = append(b, ':')
		b = append(b, must(o[i+1])...)
	}
	return append(b, '}'), nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// secret is a value that must not be kept; what says where it stood.
func secret(what string) string { return Secret + "-" + what }

// render writes one attendee as Eventbrite would: about 1.9 KB.
func (s *Server) render(a *attendee, e *event) []byte {
	var answers []object
	for _, q := range e.questions {
		kind := q.Type
		if len(q.Choices) > 0 {
			kind = "multiple_choice"
		}
		answer := object{"question_id", q.ID, "attendee_id", a.id, "question", q.Title, "type", kind}
		if said, ok := a.Answers[q.ID]; ok {
			answer = append(answer, "answer", strings.Join(said, " | "))
		}
		answers = append(answers, answer)
	}
	answers = append(answers, object{"question_id", "999", "attendee_id", a.id, "question", "Address", "type", "address", "answer", address("answer")})
	var p any // null
	if !a.NoProfile {
		p = profile(a)
	}
	return must(object{
		"costs", object{"base_price", price(1200), "gross", price(1296)},
		"resource_uri", fmt.Sprintf("https://www.eventbriteapi.com/v3/events/%s/attendees/%s/", a.event, a.id),
		"id", a.id, "changed", stamp(a.Changed), "created", stamp(a.Created), "quantity", 1, "variant_id", nil,
		"profile", p,
		"barcodes", []object{{"status", "unused", "barcode", secret("barcode"), "qr_code_url", "https://" + secret("qr") + ".example/", "is_printed", false}},
		"answers", answers,
		"checked_in", a.CheckedIn, "cancelled", a.Cancelled, "refunded", a.Refunded,
		"affiliate", secret("affiliate"), "notes", secret("notes"), "invited_by", secret("host"),
		"promotional_code", object{"code", secret("promo")},
		"status", a.Status, "ticket_class_name", a.Ticket, "event_id", a.event, "order_id", a.Order, "ticket_class_id", "12345678",
		"team", nil, "guestlist_id", nil, "delivery_method", "electronic",
	})
}

func profile(a *attendee) object {
	var p object
	for _, m := range [][2]string{{"first_name", a.First}, {"last_name", a.Last}, {"email", a.Email}, {"name", a.Name}} {
		if m[1] != "" {
			p = append(p, m[0], m[1])
		}
	}
	return append(p,
		"prefix", secret("prefix"), "age", 33, "job_title", secret("job"), "company", secret("company"),
		"website", secret("web"), "blog", secret("blog"), "gender", secret("gender"), "birth_date", secret("birth"),
		"cell_phone", secret("cell"), "work_phone", secret("work"),
		"addresses", object{"home", address("home"), "bill", address("bill")},
	)
}

func address(what string) object {
	return object{"address_1", secret(what + "-street"), "city", secret("city"), "postal_code", secret("zip"), "country", "ZZ"}
}

func price(minor int) object {
	return object{"currency", "EUR", "value", minor, "display", secret("price")}
}

func renderOrganization(o *organization) []byte {
	return must(object{"id", o.id, "name", o.name, "vertical", "default", "image_id", nil})
}

func renderEvent(e *event) []byte {
	zone, err := time.LoadLocation(e.Zone)
	if err != nil {
		zone = time.UTC
	}
	moment := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return object{"timezone", e.Zone, "utc", stamp(t), "local", t.In(zone).Format("2006-01-02T15:04:05")}
	}
	return must(object{
		"id", e.id, "organization_id", e.org, "name", object{"text", e.Name, "html", e.Name}, "status", e.Status,
		"start", moment(e.Start), "end", moment(e.End), "changed", stamp(e.Changed), "created", stamp(e.Changed),
		"is_series", e.SeriesParent, "is_series_parent", e.SeriesParent, "online_event", false, "capacity", 500,
		"password", secret("password"), "organizer_id", "1", "venue_id", nil, "currency", "EUR",
	})
}

func renderQuestion(q Question) []byte {
	choices := []object{}
	for i, c := range q.Choices {
		choices = append(choices, object{"id", fmt.Sprint(i + 1), "answer", object{"text", c, "html", c}, "quantity_available", nil})
	}
	return must(object{
		"id", q.ID, "question", object{"text", q.Title, "html", q.Title}, "type", q.Type, "required", true,
		"respondent", "attendee", "choices", choices, "ticket_classes", []object{},
	})
}
