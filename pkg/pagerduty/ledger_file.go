package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// FileLedger is a [Ledger] of small files, one for each open incident, that
// lasts from one process to the next. Each change is one rename or one removal,
// so that processes need no lock between them and a crash leaves no half incident.
type FileLedger struct {
	dir string
}

var _ Ledger = (*FileLedger)(nil)

const (
	incidentFile = ".json"
	newPrefix    = ".new-" // of a file that is not complete yet
)

// sweepAt is the number of files from which a Put looks for those that are too
// old; below it, looking would cost every send more than the files do.
const sweepAt = 256

// OpenFileLedger returns the ledger in the folder, which is made when there is
// something to write, readable by its owner alone.
func OpenFileLedger(dir string) *FileLedger { return &FileLedger{dir: dir} }

// keptOld is how many incidents of over 30 days stay in the folder, and are not listed: the
// clock may be wrong by years, and then set right.
const keptOld = 200

// Open implements [Ledger]. Files that cannot be read as an incident are passed
// over: they must not stop an acknowledge. The incidents come in the order in
// which they were last triggered.
func (l *FileLedger) Open(now time.Time) ([]Incident, error) {
	files, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state folder: %w", err)
	}
	var open, old []Incident
	for _, file := range files {
		path := filepath.Join(l.dir, file.Name())
		in, ok := readIncident(file, path)
		switch {
		case !ok:
			sweepAbandoned(file, path, now)
		case now.Sub(in.Triggered) >= ledgerLife:
			old = append(old, in)
		default:
			open = append(open, in)
		}
	}
	for _, list := range [][]Incident{open, old} {
		sort.Slice(list, func(i, j int) bool { return list[i].Triggered.Before(list[j].Triggered) })
	}
	for _, in := range old[:max(0, len(old)-keptOld)] {
		_ = l.Remove(in.KeyID, in.DedupKey) // a file that stays does no harm
	}
	return open, nil
}

// sweepAbandoned removes what a process left that ended while it wrote.
func sweepAbandoned(file fs.DirEntry, path string, now time.Time) {
	info, err := file.Info()
	if err == nil && strings.HasPrefix(file.Name(), newPrefix) && now.Sub(info.ModTime()) >= ledgerLife {
		_ = os.Remove(path) // another process may have been quicker
	}
}

// readIncident reads a file of ours and no other: a pipe would never end.
func readIncident(file fs.DirEntry, path string) (in Incident, ok bool) {
	if !strings.HasSuffix(path, incidentFile) || !file.Type().IsRegular() {
		return in, false
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &in) != nil {
		return in, false
	}
	return in, in.KeyID != "" && in.DedupKey != ""
}

// Add implements [Ledger].
func (l *FileLedger) Add(in Incident) (bool, error) {
	if _, err := os.Lstat(l.path(in.KeyID, in.DedupKey)); err == nil {
		return false, nil
	}
	return true, l.Put(in)
}

// Put implements [Ledger].
func (l *FileLedger) Put(in Incident) error {
	if err := l.write(in); err != nil {
		return fmt.Errorf("remembering the incident: %w", err)
	}
	if names, err := os.ReadDir(l.dir); err == nil && len(names) >= sweepAt {
		_, err = l.Open(in.Triggered)
		return err
	}
	return nil
}

func (l *FileLedger) write(in Incident) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	// CreateTemp makes the file with mode 0600.
	temp, err := os.CreateTemp(l.dir, newPrefix+"*")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(text, '\n'))
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), l.path(in.KeyID, in.DedupKey))
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}

// Remove implements [Ledger].
func (l *FileLedger) Remove(keyID, dedupKey string) error {
	err := os.Remove(l.path(keyID, dedupKey))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the incident: %w", err)
	}
	return nil
}

// path names the file by hashes: a dedup key may hold any character.
func (l *FileLedger) path(keyID, dedupKey string) string {
	sum := sha256.Sum256([]byte(dedupKey))
	return filepath.Join(l.dir, keyID+"-"+hex.EncodeToString(sum[:8])+incidentFile)
}
