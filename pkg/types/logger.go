package types

import (
	"log"
	"reflect"
)

// StdLogger is what the library needs of a logger. *log.Logger is one.
type StdLogger interface {
	Print(v ...any)
	Printf(format string, v ...any)
	Println(v ...any)
}

var _ StdLogger = (*log.Logger)(nil)

// IsNilLogger reports whether there is nobody to log to: no logger, or a nil pointer
// to one, which is what a program hands over whose logging is switched off.
func IsNilLogger(logger StdLogger) bool {
	if logger == nil {
		return true
	}
	v := reflect.ValueOf(logger)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
