package eventsv2

// sureToFit is a size of body from which no event becomes too long: the worst is
// an element of two bytes in a list that becomes a detail of nineteen, and a
// control character of one byte that is escaped with six.
const sureToFit = MaxEventBytes / 20

// shorten makes an event whose texts or links are very long leave half of the room
// to the details, where Fit decides what stays. It has to come after all that can
// make a text long.
func (r *repairer) shorten() {
	if len(r.src) < sureToFit {
		return
	}
	e := &r.e
	bare := *e
	bare.Payload.CustomDetails, bare.Links, bare.Images = nil, nil, nil
	links, images := sizes(e.Links, linkSize), sizes(e.Images, imageSize)
	if len(bare.AppendJSON(nil))+links+images <= MaxEventBytes/2 {
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
	// Each text is short now, so that what is left is for the links and images, half
	// of it for each at least.
	bare = *e
	bare.Payload.CustomDetails, bare.Links, bare.Images = nil, nil, nil
	room := MaxEventBytes/2 - len(bare.AppendJSON(nil))
	before := len(e.Links) + len(e.Images)
	e.Links = thatFit(e.Links, linkSize, max(room/2, room-images))
	e.Images = thatFit(e.Images, imageSize, room-sizes(e.Links, linkSize))
	if gone := before - len(e.Links) - len(e.Images); gone > 0 {
		r.note("the event was too large: %d of %d links and images were left out", gone, before)
	}
}

// thatFit returns the elements that room is enough for, in their order. One that is
// too long does not keep out those after it.
func thatFit[E any](all []E, size func(*E) int, room int) []E {
	kept := all[:0:0]
	for i := range all {
		if n := size(&all[i]); n <= room {
			kept = append(kept, all[i])
			room -= n
		}
	}
	return kept
}

func sizes[E any](all []E, size func(*E) int) (n int) {
	for i := range all {
		n += size(&all[i])
	}
	return n
}

// linkSize and imageSize are what an element takes at most in the encoded event.
// Both are generous to the first of its list, which opens it.
func linkSize(l *Link) int {
	return len(`,"links":[{"href":,"text":}]`) + stringSize(l.Href) + stringSize(l.Text)
}

func imageSize(m *Image) int {
	return len(`,"images":[{"src":,"href":,"alt":}]`) + stringSize(m.Src) + stringSize(m.Href) + stringSize(m.Alt)
}

// fit makes the details fit. They have room since shorten, so that Fit cannot fail.
func (r *repairer) fit() error {
	if len(r.src) < sureToFit {
		return nil
	}
	done, err := r.e.fit(MaxEventBytes, r.left)
	for _, line := range done {
		r.note("%s", line)
	}
	return err
}
