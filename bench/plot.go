package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The plot's size, and where its axes are.
const (
	plotWidth, plotHeight = 900, 520
	plotLeft, plotRight   = 80, 880
	plotTop, plotBottom   = 70, 460
	neverAt               = 50 // what PagerDuty never got stands above the axis
)

// plot is an SVG of how long each critical event took, by the time at which it was sent.
func (d *augustDay) plot(ways []*way, start time.Time) string {
	const least, most = time.Millisecond, 1000 * time.Second
	x := func(at time.Duration) float64 {
		return plotLeft + (plotRight-plotLeft)*float64(at)/float64(d.peak+d.then)
	}
	y := func(wait time.Duration) float64 {
		part := math.Log10(float64(min(max(wait, least), most))/float64(least)) / math.Log10(float64(most)/float64(least))
		return plotBottom - (plotBottom-plotTop)*part
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	text := func(x, y float64, anchor, what string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, what)
	}
	line := func(x1, y1, x2, y2 float64, colour string) {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
	}
	text(plotLeft, 22, "start", "How long a critical event took until PagerDuty had it, by when it was sent")
	for wait := least; wait <= most; wait *= 10 {
		line(plotLeft, y(wait), plotRight, y(wait), "#ddd")
		label := wait.String()
		if wait >= time.Second {
			label = fmt.Sprintf("%.0fs", wait.Seconds())
		}
		text(plotLeft-8, y(wait)+4, "end", label)
	}
	text(plotLeft-8, neverAt+4, "end", "never")
	step := time.Minute
	for (d.peak+d.then)/step > 14 {
		step *= 2
	}
	for at := time.Duration(0); at <= d.peak+d.then; at += step {
		text(x(at), plotBottom+18, "middle", fmt.Sprintf("%.0f", at.Minutes()))
	}
	text((plotLeft+plotRight)/2, plotBottom+36, "middle", "minutes")
	line(x(d.peak), neverAt-8, x(d.peak), plotBottom, "#888")
	text(x(d.peak)-6, plotBottom-8, "end", fmt.Sprintf("%.0f %% fail", 100*peakShare))
	text(x(d.peak)+6, plotBottom-8, "start", fmt.Sprintf("%.0f %% fail", 100*thenShare))
	for i, w := range ways {
		var dots strings.Builder
		for _, e := range d.events {
			if e.severity != "critical" {
				continue
			}
			high := float64(neverAt)
			if at, taken := w.taken[w.dedup(e)]; taken {
				high = y(at.Sub(start.Add(e.at)))
			} else {
				high += 3 * float64(i-len(ways)/2) // side by side, as many fall on one line
			}
			fmt.Fprintf(&dots, "M%.1f %.1fh0", x(e.at), high)
		}
		fmt.Fprintf(&b, `<path d="%s" stroke="%s" stroke-width="4" stroke-linecap="round" stroke-opacity="0.7"/>`+"\n", &dots, w.colour)
		at := plotLeft + float64(i)*(plotRight-plotLeft)/float64(len(ways))
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="5" fill="%s"/>`+"\n", at+5, plotHeight-14, w.colour)
		text(at+14, plotHeight-10, "start", w.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
