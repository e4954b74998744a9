package console

import (
	"net/http"
	"net/url"
	"strings"
)

type signInBody struct {
	Next  string
	Wrong bool
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request) {
	c.writeSignIn(w, r, http.StatusOK, signInBody{Next: nextOf(r.URL.Query().Get("next"))})
}

func (c *Console) writeSignIn(w http.ResponseWriter, r *http.Request, status int, body signInBody) {
	v := &view{Page: "signin", Title: "sign in", Here: "/signin", Now: c.date(), Body: body}
	v.Status.Accepting = true // nothing is told to those who have not signed in
	c.write(w, r, status, v)
}

// nextOf is where to go after signing in: a path of this site, whatever a link says.
func nextOf(given string) string {
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(given, "/") || strings.HasPrefix(given, "//") || strings.ContainsAny(given, "\\\r\n") {
		return "/"
	}
	return given
}

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.writeSignIn(w, r, http.StatusBadRequest, signInBody{Next: "/", Wrong: true})
		return
	}
	next := nextOf(r.PostForm.Get("next"))
	who, ok := c.o.Sessions.SignIn(w, r, strings.TrimSpace(r.PostForm.Get("token")))
	if !ok {
		c.writeSignIn(w, r, http.StatusUnauthorized, signInBody{Next: next, Wrong: true})
		return
	}
	c.o.Log.Info("signed in", "who", who.Name, "from", r.RemoteAddr)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	c.o.Sessions.SignOut(w, r)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}
