package types

import "fmt"

// TargetError is the failure of one of a sender's URLs.
type TargetError struct {
	// URL names the target by its service, such as "pagerduty", or is empty if
	// that is not known. It is never the URL itself, which holds the key.
	URL string
	// Index is the position of the URL among the sender's URLs, from 0.
	Index int
	// Of is how many URLs the sender has, 0 if that is not known yet.
	Of int
	// Err is what went wrong.
	Err error
}

// Error names the target and what went wrong there: "pagerduty: …", and of several
// URLs which one it is, "pagerduty, URL 2 of 3: …".
func (e *TargetError) Error() string {
	target, separator := e.URL, ""
	if target != "" {
		separator = ", "
	}
	switch {
	case e.Of > 1:
		target += fmt.Sprintf("%sURL %d of %d", separator, e.Index+1, e.Of)
	case e.Index > 0:
		target += fmt.Sprintf("%sURL %d", separator, e.Index+1)
	}
	if target == "" {
		return fmt.Sprint(e.Err)
	}
	return fmt.Sprintf("%s: %v", target, e.Err)
}

// Unwrap returns what went wrong.
func (e *TargetError) Unwrap() error { return e.Err }
