package door

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

func TestBearer(t *testing.T) {
	a := NewAuthenticator(NewCredential("ana", true, "token-of-ana"), NewCredential("wall", false, "token-of-the-wall"))
	ana, wall := Identity{Name: "ana", Operator: true}, Identity{Name: "wall"}
	tests := []struct {
		name   string
		header []string
		want   Identity
		ok     bool
	}{
		{"an operator", []string{"Bearer token-of-ana"}, ana, true},
		{"a viewer", []string{"Bearer token-of-the-wall"}, wall, true},
		{"another case of the scheme", []string{"bearer token-of-ana"}, ana, true},
		{"more spaces", []string{"Bearer   token-of-ana "}, ana, true},
		{"nothing", nil, Identity{}, false},
		{"an empty header", []string{""}, Identity{}, false},
		{"no token", []string{"Bearer"}, Identity{}, false},
		{"an empty token", []string{"Bearer "}, Identity{}, false},
		{"a piece of a token", []string{"Bearer token-of-an"}, Identity{}, false},
		{"more than a token", []string{"Bearer token-of-anaa"}, Identity{}, false},
		{"another case of the token", []string{"Bearer TOKEN-OF-ANA"}, Identity{}, false},
		{"another scheme", []string{"Basic token-of-ana"}, Identity{}, false},
		{"no scheme", []string{"token-of-ana"}, Identity{}, false},
		{"two headers", []string{"Bearer token-of-ana", "Bearer token-of-ana"}, Identity{}, false},
		{"two tokens", []string{"Bearer token-of-ana token-of-ana"}, Identity{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := a.Bearer(&http.Request{Header: http.Header{"Authorization": tt.header}})
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestAuthenticatorReplace(t *testing.T) {
	var a Authenticator
	if _, ok := a.Identify(""); ok || a.Required() {
		t.Error("one that knows nobody asks for a token or lets somebody in")
	}
	a.Replace([]Credential{NewCredential("ana", true, "first")})
	if _, ok := a.Identify("first"); !ok || !a.Required() {
		t.Error("a token is not known")
	}
	a.Replace([]Credential{NewCredential("ana", true, "second")})
	if _, ok := a.Identify("first"); ok {
		t.Error("a token that was taken away is still known")
	}
	if who, ok := a.Identify("second"); !ok || who.Name != "ana" {
		t.Error("the new token is not known")
	}
}

// A credential does not show its token, however it is printed.
func TestCredentialKeepsNoToken(t *testing.T) {
	token := "0123456789abcdef0123456789abcdef"
	c := NewCredential("ana", true, token)
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, c), fmt.Sprintf(verb, NewAuthenticator(c)))
	}
	keyleak.Check(t, token, keyleak.Text("a printed credential", strings.Join(printed, "\n")))
}
