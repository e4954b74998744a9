// Package unit reads the systemd unit of the relay: what the service is started with, for
// those who look at its settings from a shell of their own.
package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

// Standard is the name of the unit that the documentation has.
const Standard = "shoutrrrd.service"

// folders are where systemd looks for units, the first one that has it wins
// (man systemd.unit); SYSTEMD_UNIT_PATH stands in their place.
var folders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// Unit is what a unit says of the relay that it starts.
type Unit struct {
	Name string // shoutrrrd.service
	Path string
	Args []string // of the program, without its name
	// State is the folder that systemd makes for the service, "" for none.
	State string
	// MadeUp reports whether the user of the service is made up at its start (DynamicUser=):
	// it reads what every user may, and its credentials.
	MadeUp bool

	environment map[string]string
	credentials map[string]string // source by name
}

// Find reads the unit of that name, or at that path. fs.ErrNotExist: there is none.
func Find(name string, getenv func(string) string) (*Unit, error) {
	where := folders
	if list := getenv("SYSTEMD_UNIT_PATH"); list != "" {
		where = filepath.SplitList(strings.TrimSuffix(list, ":"))
	}
	if strings.ContainsRune(name, filepath.Separator) {
		return read(filepath.Base(name), []string{filepath.Dir(name)}, where)
	}
	if filepath.Ext(name) != ".service" {
		name += ".service"
	}
	return read(name, where, where)
}

// read reads the file of a unit, and the drop-ins that stand above it.
func read(name string, at, dropIns []string) (*Unit, error) {
	u := &Unit{Name: name, environment: map[string]string{}, credentials: map[string]string{}}
	var file string
	for _, folder := range at {
		file = filepath.Join(folder, name)
		if _, err := os.Stat(file); err == nil {
			u.Path = file
			break
		}
	}
	if u.Path == "" {
		return nil, fmt.Errorf("there is no unit %s in %s: %w", name, strings.Join(at, ", "), fs.ErrNotExist)
	}
	for _, file := range append([]string{u.Path}, dropInsOf(name, dropIns)...) {
		if err := u.add(file); err != nil {
			return nil, fmt.Errorf("the unit %s: %w", file, err)
		}
	}
	if len(u.Args) == 0 || u.Args[0] != "run" {
		return nil, fmt.Errorf("the unit %s does not start shoutrrrd run", u.Path)
	}
	return u, nil
}

// dropInsOf lists what stands above a unit. Of two files of one name the first folder
// has the one that counts; they are read in the order of their names.
func dropInsOf(name string, folders []string) []string {
	byName := map[string]string{}
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, name+".d", "*.conf")) // the pattern is valid
		for _, file := range found {
			if _, taken := byName[filepath.Base(file)]; !taken {
				byName[filepath.Base(file)] = file
			}
		}
	}
	var files []string
	for _, file := range byName {
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return files
}

func (u *Unit) add(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	options, err := unit.DeserializeOptions(file)
	if err != nil {
		return err
	}
	for _, o := range options {
		if o.Section != "Service" {
			continue
		}
		if err := u.set(o.Name, o.Value); err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	return nil
}

// set takes one line of the unit. An empty value takes back what stood before it.
func (u *Unit) set(name, value string) error {
	switch name {
	case "ExecStart":
		line := words(u.expand(strings.TrimLeft(value, "@-:+!|")))
		if u.Args = nil; len(line) > 1 {
			u.Args = line[1:]
		}
	case "Environment":
		if value == "" {
			clear(u.environment)
		}
		for _, word := range words(u.expand(value)) {
			u.setVariable(word)
		}
	case "EnvironmentFile":
		return u.environmentFile(value)
	case "StateDirectory":
		first, _, _ := strings.Cut(value+" ", " ") // the settings take the first one as well
		if u.State = ""; first != "" {
			first, _, _ = strings.Cut(first, ":")
			u.State = filepath.Join("/var/lib", first)
		}
	case "DynamicUser":
		u.MadeUp = slices.Contains([]string{"1", "yes", "true", "on", "y", "t"}, strings.ToLower(value))
	case "LoadCredential":
		if value == "" {
			clear(u.credentials)
		}
		if id, source, given := strings.Cut(value, ":"); given {
			u.credentials[id] = source
		}
	}
	return nil
}

func (u *Unit) setVariable(word string) {
	if name, value, given := strings.Cut(word, "="); given {
		u.environment[name] = value
	}
}

// environmentFile takes the variables of a file. One that is missing is none if the path
// has a dash before it.
func (u *Unit) environmentFile(path string) error {
	path, optional := strings.CutPrefix(path, "-")
	data, err := os.ReadFile(u.expand(path))
	if optional && errors.Is(err, fs.ErrNotExist) || path == "" {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		u.setVariable(name + "=" + strings.Join(words(value), " "))
	}
	return nil
}

// expand puts in what systemd does for the specifiers that are of use here.
func (u *Unit) expand(text string) string {
	plain := strings.TrimSuffix(u.Name, ".service")
	return strings.NewReplacer("%%", "%", "%n", u.Name, "%N", plain, "%p", plain, "%S", "/var/lib", "%E", "/etc", "%d", u.credentialFolder()).Replace(text)
}

func (u *Unit) credentialFolder() string { return "/run/credentials/" + u.Name }

// Getenv returns the variables that the service has. Those of a shell do not count.
func (u *Unit) Getenv(name string) string {
	switch value, given := u.environment[name]; {
	case given:
		return value
	case name == "STATE_DIRECTORY":
		return u.State
	case name == "CREDENTIALS_DIRECTORY" && len(u.credentials) > 0:
		return u.credentialFolder()
	}
	return ""
}

// Locate returns where a file of the service can be read while it is stopped: that of a
// credential is a copy which systemd makes at the start.
func (u *Unit) Locate(path string) string {
	if name, inside := strings.CutPrefix(path, u.credentialFolder()+"/"); inside {
		if source, given := u.credentials[name]; given {
			return source
		}
	}
	return path
}

// words splits a line as systemd does, which knows both quotes and the backslash.
func words(line string) []string {
	var list []string
	var word strings.Builder
	quote, inside := rune(0), false
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inside = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inside = r, true
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			if inside {
				list = append(list, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if inside {
		list = append(list, word.String())
	}
	return list
}
