// Package plain makes plain text of what programs and people send: UTF-8, without the control
// sequences with which programs colour a terminal. What a responder reads must not act on his
// screen, and must say what the sender meant.
package plain
