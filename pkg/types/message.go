package types

import (
	"strings"
	"time"
)

// MessageLevel is how urgent a [MessageItem] is.
type MessageLevel uint8

// The message levels. Unknown leaves the choice to the service.
const (
	Unknown MessageLevel = iota
	Debug
	Info
	Warning
	Error
)

var levelNames = [...]string{"Unknown", "Debug", "Info", "Warning", "Error"}

// String returns the level's name, "Unknown" for a number that is no level.
func (l MessageLevel) String() string {
	if int(l) >= len(levelNames) {
		return levelNames[Unknown]
	}
	return levelNames[l]
}

// ParseMessageLevel reads a level's name in any case of letters.
func ParseMessageLevel(name string) (MessageLevel, bool) {
	for level, known := range levelNames {
		if strings.EqualFold(name, known) {
			return MessageLevel(level), true
		}
	}
	return Unknown, false
}

// Field is a named value that belongs to a [MessageItem].
type Field struct {
	Key   string
	Value string
}

// MessageItem is one part of a message that is made of several.
type MessageItem struct {
	Text      string
	Timestamp time.Time
	Level     MessageLevel
	Fields    []Field
}

// WithField adds a field and returns the item, so that calls can be chained.
func (m *MessageItem) WithField(key, value string) *MessageItem {
	m.Fields = append(m.Fields, Field{Key: key, Value: value})
	return m
}
