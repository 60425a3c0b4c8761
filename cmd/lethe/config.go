package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"lethe/attendees/old/attendees"
)

// config is the environment, read in one place. Everything is text here and is
// parsed by whoever understands it: envconfig's own errors would print the value,
// and some of these are secrets.
type config struct {
	DatabaseURL   string `envconfig:"DATABASE_URL"`
	Port          string `envconfig:"PORT" default:"8080"`
	BaseURL       string `envconfig:"LETHE_BASE_URL"`
	Secret        string `envconfig:"LETHE_SECRET"`
	OfficerKey    string `envconfig:"LETHE_OFFICER_KEY"`
	Retention     string `envconfig:"LETHE_RETENTION"`
	Policy        string `envconfig:"LETHE_POLICY"`
	Eventbrite    string `envconfig:"EVENTBRITE_TOKEN"`
	Organizations string `envconfig:"EVENTBRITE_ORGANIZATION"`
	EventbriteURL string `envconfig:"EVENTBRITE_URL" default:"https://www.eventbriteapi.com/v3"`
	Typeform      string `envconfig:"TYPEFORM_TOKEN"`
	TypeformURL   string `envconfig:"TYPEFORM_URL" default:"https://api.typeform.com"`
	SMTP          string `envconfig:"SMTP_URL"`
	MailFrom      string `envconfig:"LETHE_MAIL_FROM"`
	Data          string `envconfig:"LETHE_DATA"`
	Ledger        string `envconfig:"LETHE_LEDGER"`
	Log           string `envconfig:"LETHE_LOG" default:"text"`
	LogLevel      string `envconfig:"LETHE_LOG_LEVEL" default:"info"`
	Clock         string `envconfig:"LETHE_CLOCK"`
}

var ours = regexp.MustCompile(`^(DATABASE_URL|PORT|SMTP_URL|(LETHE|EVENTBRITE|TYPEFORM)_.*)$`)

// readConfig reads the environment. What is set but empty counts as unset, as it
// does for a person who comments out a value.
func readConfig() (config, error) {
	var c config
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if ours.MatchString(name) && strings.TrimSpace(value) == "" {
			_ = os.Unsetenv(name)
		}
	}
	if err := envconfig.Process("", &c); err != nil {
		return c, errors.New("the environment cannot be read") // cannot happen: all is text
	}
	for name, value := range map[string]string{"EVENTBRITE_URL": c.EventbriteURL, "TYPEFORM_URL": c.TypeformURL, "LETHE_BASE_URL": c.BaseURL} {
		if err := checkURL(name, value); err != nil {
			return c, err
		}
	}
	if _, err := strconv.ParseUint(c.Port, 10, 16); err != nil {
		return c, fmt.Errorf("PORT is %q, which is no port: a number from 0 to 65535", c.Port)
	}
	if c.Log != "text" && c.Log != "json" {
		return c, fmt.Errorf("LETHE_LOG is %q: text or json", c.Log)
	}
	if err := new(slog.Level).UnmarshalText([]byte(c.LogLevel)); err != nil {
		return c, fmt.Errorf("LETHE_LOG_LEVEL is %q: debug, info, warn or error", c.LogLevel)
	}
	return c, nil
}

func checkURL(name, value string) error {
	u, err := url.Parse(value)
	if value == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" {
		return nil
	}
	return fmt.Errorf("%s is no URL that can be asked: it wants https://host, without user or query", name)
}

// policy is the built-in one, or the file that LETHE_POLICY names, with the default
// retention rule that LETHE_RETENTION names.
func (c config) policy() (attendees.Policy, error) {
	p := attendees.BuiltIn()
	if c.Policy != "" {
		text, err := os.ReadFile(c.Policy)
		if err != nil {
			return p, fmt.Errorf("read LETHE_POLICY: %w", err)
		}
		if p, err = attendees.ParsePolicy(text, c.Policy); err != nil {
			return p, err
		}
	}
	if c.Retention != "" {
		if _, ok := p.RuleNamed(c.Retention); !ok {
			return p, fmt.Errorf("LETHE_RETENTION names no rule %q: %s", c.Retention, strings.Join(p.RuleNames(), ", "))
		}
		p.Rule = c.Retention
	}
	return p, nil
}

// organizations are those to be asked for; none: all that the token sees.
func (c config) organizations() []attendees.OrganizationID {
	var ids []attendees.OrganizationID
	for id := range strings.SplitSeq(c.Organizations, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, attendees.OrganizationID(id))
		}
	}
	return ids
}

// data is the folder of the private database and of what up makes: lethe in the XDG
// data folder, unless LETHE_DATA says otherwise.
func (c config) data() (string, error) {
	if c.Data != "" {
		return filepath.Abs(c.Data)
	}
	if xdg := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "lethe"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no home folder to keep data in: set LETHE_DATA to a folder")
	}
	return filepath.Join(home, ".local", "share", "lethe"), nil
}

// clock is the time: the host's, or the simulated one that LETHE_CLOCK begins at.
func (c config) clock() (now func() time.Time, simulated bool, err error) {
	if c.Clock == "" {
		return time.Now, false, nil
	}
	start, err := time.Parse(time.RFC3339, c.Clock)
	if err != nil {
		return nil, false, fmt.Errorf("LETHE_CLOCK is %q, which is no RFC 3339 instant such as 2027-06-14T12:00:00Z", c.Clock)
	}
	began := time.Now()
	return func() time.Time { return start.Add(time.Since(began)) }, true, nil
}

func (c config) level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(c.LogLevel)) // readConfig has read it
	return l
}
