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

type object = map[string]any

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// secret is a value that must not be kept; what says where it stood.
func secret(what string) string { return Secret + "-" + what }

// render writes one attendee as Eventbrite would: about 1.9 KB.
func (s *Server) render(a *attendee, e *event) []byte {
	o := object{
		"id": a.id, "event_id": a.event, "order_id": a.Order, "status": a.Status,
		"created": stamp(a.Created), "changed": stamp(a.Changed),
		"ticket_class_id": "12345678", "ticket_class_name": a.Ticket, "variant_id": nil, "quantity": 1,
		"cancelled": a.Cancelled, "refunded": a.Refunded, "checked_in": a.CheckedIn,
		"resource_uri": fmt.Sprintf("https://www.eventbriteapi.com/v3/events/%s/attendees/%s/", a.event, a.id),
		"affiliate":    secret("affiliate"), "notes": secret("notes"), "invited_by": secret("host"),
		"promotional_code": object{"code": secret("promo")},
		"team":             nil, "guestlist_id": nil, "delivery_method": "electronic",
		"barcodes": []object{{
			"barcode": secret("barcode"), "status": "unused", "checkin_type": 0, "is_printed": false,
			"created": stamp(a.Created), "changed": stamp(a.Changed),
			"qr_code_url": "https://www.eventbriteapi.com/qrcode/" + secret("qr") + "/?sig=" + secret("sig"),
		}},
		"costs":    object{"base_price": price("1200"), "eventbrite_fee": price("96"), "gross": price("1296"), "tax": price("0")},
		"profile":  nil,
		"answers":  []object{},
		"survey":   nil,
		"assigned": nil,
	}
	if !a.NoProfile {
		o["profile"] = profile(a)
	}
	var answers []object
	for _, q := range e.questions {
		kind := q.Type
		if len(q.Choices) > 0 {
			kind = "multiple_choice"
		}
		answer := object{"question_id": q.ID, "attendee_id": a.id, "question": q.Title, "type": kind}
		if said, ok := a.Answers[q.ID]; ok {
			answer["answer"] = strings.Join(said, " | ")
		}
		answers = append(answers, answer)
	}
	o["answers"] = append(answers, object{
		"question_id": "999", "attendee_id": a.id, "question": "Where do you live?", "type": "address",
		"answer": address("answer"),
	})
	return must(o)
}

func profile(a *attendee) object {
	p := object{
		"prefix": secret("prefix"), "age": 33, "job_title": secret("job"), "company": secret("company"),
		"website": "https://" + secret("web") + ".example", "blog": secret("blog"), "gender": secret("gender"),
		"birth_date": secret("birth"), "cell_phone": secret("cell"), "work_phone": secret("work"),
		"addresses": object{"home": address("home"), "bill": address("bill")},
	}
	for name, value := range map[string]string{"name": a.Name, "first_name": a.First, "last_name": a.Last, "email": a.Email} {
		if value != "" {
			p[name] = value
		}
	}
	return p
}

func address(what string) object {
	return object{"address_1": secret(what + "-street"), "city": secret(what + "-city"), "postal_code": secret("zip"), "country": "ZZ", "address_2": nil}
}

func price(minor string) object {
	return object{"currency": "EUR", "value": json.Number(minor), "display": secret("price-" + minor)}
}

func renderOrganization(o *organization) []byte {
	return must(object{"id": o.id, "name": o.name, "vertical": "default", "image_id": nil})
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
		return object{"timezone": e.Zone, "utc": stamp(t), "local": t.In(zone).Format("2006-01-02T15:04:05")}
	}
	return must(object{
		"id": e.id, "organization_id": e.org, "name": object{"text": e.Name, "html": e.Name}, "status": e.Status,
		"start": moment(e.Start), "end": moment(e.End), "changed": stamp(e.Changed), "created": stamp(e.Changed),
		"is_series": e.SeriesParent, "is_series_parent": e.SeriesParent, "online_event": false, "capacity": 500,
		"password": secret("password"), "organizer_id": "1", "venue_id": nil, "currency": "EUR",
	})
}

func renderQuestion(q Question) []byte {
	choices := []object{}
	for i, c := range q.Choices {
		choices = append(choices, object{"id": fmt.Sprint(i + 1), "answer": object{"text": c, "html": c}, "quantity_available": nil})
	}
	return must(object{
		"id": q.ID, "question": object{"text": q.Title, "html": q.Title}, "type": q.Type, "required": true,
		"respondent": "attendee", "choices": choices, "ticket_classes": []object{},
	})
}
