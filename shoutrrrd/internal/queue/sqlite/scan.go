package sqlite

import "math"

// A column that the disk has changed may hold another type than it should. That is
// no error of reading: the row's checksum tells.

// integer takes a column of integers.
type integer[T ~int | ~int64 | ~uint8] struct{ to *T }

// Scan implements sql.Scanner.
func (n integer[T]) Scan(value any) error {
	i, ok := value.(int64)
	if !ok {
		i = math.MinInt32 // which no column ever holds
	}
	*n.to = T(i)
	return nil
}

// text takes a column of texts.
type text[T ~string] struct{ to *T }

// Scan implements sql.Scanner.
func (t text[T]) Scan(value any) error {
	switch value := value.(type) {
	case string:
		*t.to = T(value)
	case []byte:
		*t.to = T(value)
	default:
		*t.to = ""
	}
	return nil
}

func num[T ~int | ~int64 | ~uint8](to *T) integer[T] { return integer[T]{to} }
func txt[T ~string](to *T) text[T]                   { return text[T]{to} }
