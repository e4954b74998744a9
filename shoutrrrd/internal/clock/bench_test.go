package clock

import "testing"

func BenchmarkNow(b *testing.B) {
	l := NewLine(System)
	for b.Loop() {
		l.Now()
	}
}
