package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// sending is a step with its URLs, names and helpers written out.
type sending struct {
	urls    []string
	message string
	title   *string
	params  map[string]string
}

// sender is the command or the library, with what it keeps from one step of a case to the next.
type sender interface {
	send(t *testing.T, s *sending) *result
	forget(t *testing.T)
	kept(t *testing.T) []keyleak.Sink // what it wrote beside its output
}

func TestCases(t *testing.T) {
	cases, err := readCases()
	if err != nil {
		t.Fatal(err)
	}
	senders := []struct {
		name  string
		start func(*testing.T, *sandbox) sender
	}{
		{"command", newCommand},
		{"library", newLibrary},
	}
	for _, by := range senders {
		t.Run(by.name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					box := newSandbox(t)
					runCase(t, &c, box, by.start(t, box))
				})
			}
		})
	}
}

func runCase(t *testing.T, c *conformanceCase, box *sandbox, by sender) {
	t.Log(c.why)
	n := names{}
	keys := map[string]bool{}
	for i := range c.steps {
		step := &c.steps[i]
		if step.forget {
			by.forget(t)
		}
		s, err := step.write(box.Addr(), n)
		if err != nil {
			t.Fatal(err)
		}
		before := len(box.Journal())
		r := by.send(t, s)
		r.requests = box.since(before)
		if err := step.judge(r, n); err != nil {
			t.Errorf("step %d: %v\nexit %d, output:\n%s", i+1, err, r.exit, r.output)
		}
		wantSchema(t, r.requests)
		wantNoLeak(t, step.urls, append(by.kept(t), keyleak.Text("the output", r.output))...)
		for _, request := range r.requests {
			body, _ := parseTree(request.body)
			if key, ok := lookUp(body, "/routing_key"); ok {
				keys[show(key)] = true
			}
		}
	}
	if len(keys) < c.wantKeys {
		t.Errorf("got %d different routing keys, want at least %d", len(keys), c.wantKeys)
	}
}

// write fills in the server's address and the names known so far.
func (s *step) write(address string, n names) (*sending, error) {
	out := &sending{message: s.message, title: s.title, params: map[string]string{}}
	for _, u := range s.urls {
		out.urls = append(out.urls, atHost(u, address))
	}
	for _, m := range s.params {
		text, ok := m.value.(string)
		if !ok {
			return nil, fmt.Errorf("param %s is no text: %s", m.name, show(m.value))
		}
		filled, err := n.fill(text)
		if err != nil {
			return nil, err
		}
		out.params[m.name] = filled
	}
	return out, nil
}

// atHost puts the address of a server that talks plain HTTP in the place of @HOST@.
func atHost(serviceURL, address string) string {
	u, there := strings.CutPrefix(serviceURL, "pagerduty://@HOST@")
	if !there {
		return serviceURL
	}
	path, query, _ := strings.Cut(u, "?")
	if query != "" {
		query = "&" + query
	}
	return "pagerduty://" + address + path + "?disabletls=yes" + query
}

func TestAtHost(t *testing.T) {
	tests := []struct{ url, want string }{
		{"pagerduty:///k", "pagerduty:///k"},
		{"pagerduty://@HOST@/k", "pagerduty://h:1/k?disabletls=yes"},
		{"pagerduty://@HOST@/k?a=b&c=d", "pagerduty://h:1/k?disabletls=yes&a=b&c=d"},
	}
	for _, tt := range tests {
		if got := atHost(tt.url, "h:1"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
}
