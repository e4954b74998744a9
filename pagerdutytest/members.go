package pagerdutytest

import (
	"iter"
	"slices"
)

// maxProblems is more than anybody reads.
const maxProblems = 100

func (r *reading) add(p problem) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, p)
	}
}

// optional reads a text that may be left out.
func (r *reading) optional(v value, path, name string) string {
	m := v.get(name)
	switch {
	case m.kind == jsonAbsent || (m.kind == jsonNull && r.lenient):
	case m.kind != jsonText:
		r.add(problem{flaw: wrongType, path: join(path, name), want: "a string"})
	}
	return m.text
}

// required reads a text that must hold something.
func (r *reading) required(v value, path, name string) string {
	m := v.get(name)
	switch {
	case m.kind <= jsonNull || (m.kind == jsonText && isBlank(m.text)):
		r.add(problem{flaw: blank, path: join(path, name)})
		return ""
	case m.kind != jsonText:
		r.add(problem{flaw: wrongType, path: join(path, name), want: "a string"})
	}
	return m.text
}

// choice reads a required text that is one of those allowed, in that case.
func (r *reading) choice(v value, path, name, want string, allowed ...string) string {
	before := len(r.problems)
	s := r.required(v, path, name)
	if len(r.problems) == before && !slices.Contains(allowed, s) {
		r.add(problem{flaw: wrongValue, path: join(path, name), want: "one of the following: " + want})
	}
	return s
}

// isObject reports whether v, which is required, is an object.
func (r *reading) isObject(v value, path string) bool {
	switch {
	case v.kind <= jsonNull:
		r.add(problem{flaw: blank, path: path})
	case v.kind != jsonObject:
		r.add(problem{flaw: wrongType, path: path, want: "an object"})
	}
	return v.kind == jsonObject
}

// elements yields the objects of an optional array with their paths.
func (r *reading) elements(v value, name string) iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		list := v.get(name)
		switch {
		case list.kind == jsonAbsent || (list.kind == jsonNull && r.lenient):
			return
		case list.kind != jsonArray:
			r.add(problem{flaw: wrongType, path: name, want: "an array"})
			return
		}
		for i, item := range list.items {
			path := index(name, i)
			if item.kind != jsonObject {
				r.add(problem{flaw: wrongType, path: path, want: "an object"})
				continue
			}
			if !yield(path, item) {
				return
			}
		}
	}
}

// known reports each member that the published schema does not have. PagerDuty
// drops them without a word, which is how data is lost unnoticed.
func (r *reading) known(v value, path string, names ...string) {
	if r.lenient {
		return
	}
	for _, m := range v.members {
		if !slices.Contains(names, m.name) {
			r.add(problem{flaw: unknown, path: join(path, m.name)})
		}
	}
}

// repeated reports members that come twice. Which of the two counts depends on
// the reader, so that not even lenient reading takes them.
func (r *reading) repeated(root value) {
	for _, path := range root.repeated("") {
		r.add(problem{flaw: repeated, path: path})
	}
}
