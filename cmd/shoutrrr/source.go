package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/spf13/cobra"
)

const urlVariable = "SHOUTRRR_URL"

// longestURLFile bounds what is read of a --url-file, which may be a pipe.
const longestURLFile = 16 << 20

// sources are the places from which URLs come.
type sources struct {
	urls  []string
	files []string
}

func (s *sources) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&s.urls, "url", "u", nil, "service `URL` (repeatable)")
	cmd.Flags().StringArrayVar(&s.files, "url-file", nil, "`file` with service URLs, one a line; # begins a comment (repeatable)")
}

// collect returns the URLs that were given and the arguments that are none. An
// argument is asked for a URL only if no flag gives one, the environment only if
// nothing else does.
func (s *sources) collect(sys *system, args []string) (urls, rest []string, err error) {
	urls, rest = slices.Clone(s.urls), args
	for _, name := range s.files {
		more, err := readURLFile(sys, name)
		if err != nil {
			return nil, nil, err
		}
		urls = append(urls, more...)
	}
	if len(urls) == 0 && len(rest) > 0 && looksLikeURL(rest[0]) {
		urls, rest = rest[:1], rest[1:]
	}
	if len(urls) == 0 {
		urls = urlLines(sys.getenv(urlVariable))
	}
	for i := range urls {
		urls[i] = sys.text(urls[i])
	}
	if urls = separate(urls); len(urls) == 0 {
		return nil, nil, usagef("there is no URL: give it with -u, with --url-file, as the first argument or in %s", urlVariable)
	}
	return urls, rest, nil
}

// looksLikeURL tells a URL from a message. A text that merely begins with a URL,
// such as "https://example.com is down", is a message; only behind our own scheme
// may blanks stand, in raw JSON.
func looksLikeURL(arg string) bool {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(arg), ":/")
	if !ok || scheme == "" || strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" {
		return false
	}
	return strings.EqualFold(scheme, pagerduty.Scheme) ||
		strings.HasPrefix(rest, "/") && !strings.ContainsFunc(rest, unicode.IsSpace)
}

func readURLFile(sys *system, name string) ([]string, error) {
	if looksLikeURL(name) {
		return nil, failf(exitConfig, "--url-file takes the name of a file, and this is a URL: give it with -u")
	}
	file, err := os.Open(name)
	name = redact.Line(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer file.Close() // read only
	text, err := io.ReadAll(io.LimitReader(file, longestURLFile+1))
	switch {
	case err != nil:
		return nil, unreadable(name, err)
	case len(text) > longestURLFile:
		return nil, failf(exitConfig, "--url-file %s is too long: it should hold URLs, one a line", name)
	}
	if info, err := file.Stat(); err == nil && othersRead(info) {
		notify(sys.stderr, "warning: ", "others than its owner can read "+name+", and with it the integration keys: chmod 600 "+name)
	}
	urls := urlLines(sys.text(string(text)))
	if len(urls) == 0 {
		return nil, failf(exitConfig, "--url-file %s holds no URL: write one a line", name)
	}
	return urls, nil
}

func unreadable(name string, err error) error {
	return failf(exitConfig, "--url-file %s cannot be read: %w", name, withoutPath(err))
}

// withoutPath is the error of a file without the file's name, which stands before
// it already.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// othersRead knows the permissions of Unix only.
func othersRead(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0
}

// separate takes apart what stands together: programs that read several URLs of one variable
// have blanks or commas between them, and files of variables keep the quotes that a shell would
// take away.
func separate(given []string) []string {
	var urls []string
	for _, text := range given {
		around := "" // the quote that stands around several
		for text = strings.TrimSpace(text); text != ""; {
			end, next := endOfURL(text)
			url := pagerduty.Unquote(text[:end])
			if url == text[:end] && (strings.HasPrefix(url, `"`) || strings.HasPrefix(url, "'")) {
				around, url = url[:1], url[1:]
			}
			if text = text[next:]; text == "" {
				url = strings.TrimSuffix(url, around)
			}
			if url != "" {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

// endOfURL returns where the first URL of a text ends and where the next one begins, the length
// of the text for none. A text in a URL may speak of another URL: only what has a key of its own
// is one.
func endOfURL(text string) (end, next int) {
	depth := 0 // in raw JSON
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ' ', '\t', ',':
			from := len(text) - len(strings.TrimLeft(text[i:], ", \t"))
			behind := strings.TrimLeft(text[from:], "\"'")
			if depth != 0 || !looksLikeURL(behind) {
				continue
			}
			place, _, _ := strings.Cut(behind[:wordEnd(behind)], "?")
			if _, err := pagerduty.Parse(place); err == nil {
				return i, from
			}
		}
	}
	return len(text), len(text)
}

// wordEnd returns the length of the word at the start of a text.
func wordEnd(text string) int {
	if end := strings.IndexAny(text, " \t,\"'"); end >= 0 {
		return end
	}
	return len(text)
}

// urlLines returns the lines that are neither blank nor comments.
func urlLines(text string) []string {
	var urls []string
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			urls = append(urls, line)
		}
	}
	return urls
}
