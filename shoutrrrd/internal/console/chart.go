package console

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/trend"
)

const (
	barWidth    = 3
	sparkHeight = 24
	limitHeight = 60
)

// spark draws the last hour of a lane: what was accepted as bars, what was delivered
// as a line over them, and a mark for each minute with a 429.
func spark(hour trend.Hour) template.HTML {
	most := 1
	for _, m := range hour {
		most = max(most, m.Accepted, m.Delivered)
	}
	height := func(n int) int { return (n*(sparkHeight-3) + most - 1) / most }
	var b strings.Builder
	total := hour.Total()
	said := fmt.Sprintf("last hour: %s accepted, %s delivered, %s", count(total.Accepted), count(total.Delivered), one(total.Throttled, "answer 429", "answers 429"))
	fmt.Fprintf(&b, `<svg class="spark" role="img" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d"><title>%s</title>`, trend.Minutes*barWidth, sparkHeight, said)
	var line strings.Builder
	for i, m := range hour {
		if h := height(m.Accepted); h > 0 {
			fmt.Fprintf(&b, `<rect class="accepted" x="%d" y="%d" width="%d" height="%d"/>`, i*barWidth, sparkHeight-h, barWidth-1, h)
		}
		if m.Throttled > 0 {
			fmt.Fprintf(&b, `<rect class="throttled" x="%d" y="0" width="%d" height="3"/>`, i*barWidth, barWidth-1)
		}
		fmt.Fprintf(&line, "%d,%d ", i*barWidth+1, sparkHeight-height(m.Delivered))
	}
	if total.Delivered > 0 {
		fmt.Fprintf(&b, `<polyline class="delivered" points="%s"/>`, strings.TrimSpace(line.String()))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers and constant texts alone
}

// limits draws the learned limit over the last hour, below the configured one.
func limits(hour trend.Hour, configured int) template.HTML {
	top := max(1, configured)
	var points strings.Builder
	low := 0
	for i, m := range hour {
		if m.Learned == 0 {
			continue
		}
		if low == 0 || m.Learned < low {
			low = m.Learned
		}
		y := limitHeight - min(m.Learned, top)*(limitHeight-4)/top
		fmt.Fprintf(&points, "%d,%d %d,%d ", i*barWidth*2, y, (i+1)*barWidth*2, y)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="limits" role="img" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d"><title>learned limit in the last hour: at least %d of the %d that are configured</title>`,
		trend.Minutes*barWidth*2, limitHeight, low, configured)
	fmt.Fprintf(&b, `<line class="configured" x1="0" y1="4" x2="%d" y2="4"/><polyline class="learned" points="%s"/></svg>`,
		trend.Minutes*barWidth*2, strings.TrimSpace(points.String()))
	return template.HTML(b.String()) // numbers and constant texts alone
}
