package types

import "log"

// StdLogger is what the library needs of a logger. *log.Logger is one.
type StdLogger interface {
	Print(v ...any)
	Printf(format string, v ...any)
	Println(v ...any)
}

var _ StdLogger = (*log.Logger)(nil)
