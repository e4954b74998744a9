package eventsv2

import (
	"bytes"
	"strings"
)

// isPage recognises a web page, or the beginning of one.
func isPage(answer []byte) bool {
	return bytes.HasPrefix(trimAnswer(answer), []byte("<"))
}

// htmlReason returns the title of a page such as a proxy or a load balancer
// answers with, or its text if it has no title.
func htmlReason(page string) string {
	if title := unescapeHTML(stripTags(between(page, "title"))); !isBlank(title) {
		return title
	}
	return unescapeHTML(stripTags(page))
}

// between returns the content of the first element of that name, "" if there is
// none.
func between(page, name string) string {
	lower := strings.ToLower(page)
	if len(lower) != len(page) {
		return "" // a letter whose lower case is of another length moves the offsets
	}
	open := strings.Index(lower, "<"+name)
	if open < 0 {
		return ""
	}
	gt := strings.IndexByte(lower[open:], '>')
	if gt < 0 {
		return ""
	}
	start := open + gt + 1
	end := strings.Index(lower[start:], "</"+name)
	if end < 0 {
		return page[start:]
	}
	return page[start : start+end]
}

// silent are the elements whose content is not meant to be read.
var silent = []string{"script", "style"}

// stripTags leaves the text between the tags, a space for each tag.
func stripTags(page string) string {
	var b strings.Builder
	for page != "" {
		open := strings.IndexByte(page, '<')
		if open < 0 {
			b.WriteString(page)
			break
		}
		b.WriteString(page[:open])
		b.WriteByte(' ')
		page = afterTag(page[open:])
	}
	return b.String()
}

// afterTag returns what follows the tag, comment or silent element at the start
// of page.
func afterTag(page string) string {
	if strings.HasPrefix(page, "<!--") {
		return after(page, "-->")
	}
	for _, name := range silent {
		if len(page) > len(name) && strings.EqualFold(page[1:1+len(name)], name) {
			page = page[1:]
			for page != "" && !(len(page) > 2+len(name) && page[:2] == "</" && strings.EqualFold(page[2:2+len(name)], name)) {
				page = from(page[1:], "</")
			}
			break
		}
	}
	return after(page, ">")
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

func from(s, mark string) string {
	if i := strings.Index(s, mark); i >= 0 {
		return s[i:]
	}
	return ""
}

// unescapeHTML knows the entities of error pages; package html would bring all
// two thousand.
func unescapeHTML(s string) string {
	return htmlEntities.Replace(s)
}

var htmlEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#34;", `"`,
	"&#39;", "'", "&apos;", "'", "&nbsp;", " ", "&amp;", "&")
