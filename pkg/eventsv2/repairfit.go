package eventsv2

// sureToFit is a size of body from which no event becomes too long: the worst is
// an element of two bytes in a list that becomes a detail of nineteen, and a
// control character of one byte that is escaped with six.
const sureToFit = MaxEventBytes / 20

// shorten makes an event whose texts or links are very long leave half of the room
// to the details, where Fit decides what stays.
func (r *repairer) shorten() {
	if len(r.src) < sureToFit {
		return
	}
	e := &r.e
	size := func() int {
		bare := *e
		bare.Payload.CustomDetails = nil
		bare.Payload.Summary, _ = CutSummary(bare.Payload.Summary)
		return len(bare.AppendJSON(nil))
	}
	if size() <= MaxEventBytes/2 {
		return
	}
	p := &e.Payload
	for _, field := range []struct {
		name string
		text *string
	}{{"client", &e.Client}, {"source", &p.Source}, {"component", &p.Component}, {"group", &p.Group}, {"class", &p.Class}} {
		if len(*field.text) > maxMessageBytes {
			r.note("%s was too long: the whole of it stands in custom_details", field.name)
			r.keepText(field.name, *field.text)
			*field.text = cut(*field.text, maxMessageBytes)
		}
	}
	if len(e.ClientURL) > maxMessageBytes {
		r.note("client_url was too long: it stands in custom_details")
		r.keepText("client_url", e.ClientURL)
		e.ClientURL = ""
	}
	links, images := len(e.Links), len(e.Images)
	for size() > MaxEventBytes/2 {
		e.Links, e.Images = e.Links[:len(e.Links)*3/4], e.Images[:len(e.Images)*3/4]
	}
	if gone := links + images - len(e.Links) - len(e.Images); gone > 0 {
		r.note("the event was too large: %d of %d links and images were left out", gone, links+images)
	}
}

// fit makes the details fit. They have room since shorten, so that Fit cannot fail.
func (r *repairer) fit() error {
	if len(r.src) < sureToFit {
		return nil
	}
	done, err := r.e.Fit(MaxEventBytes)
	for _, line := range done {
		r.note("%s", line)
	}
	return err
}
