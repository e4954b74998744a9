package types

import "fmt"

// TargetError is the failure of one of a sender's URLs.
type TargetError struct {
	// URL names the target by its service, such as "pagerduty". It is never the
	// URL itself, which holds the key.
	URL string
	// Index is the position of the URL among the sender's URLs, from 0.
	Index int
	// Err is what went wrong.
	Err error
}

// Error names the target and what went wrong there.
func (e *TargetError) Error() string { return fmt.Sprintf("%s: %v", e.URL, e.Err) }

// Unwrap returns what went wrong.
func (e *TargetError) Unwrap() error { return e.Err }
