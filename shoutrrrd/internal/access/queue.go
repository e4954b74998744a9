package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// beside are the ends of the names of a queue's files: the database, the files that
// SQLite keeps beside it, and the lock.
var beside = []string{"", "-wal", "-shm", "-journal", ".lock"}

// Queue judges the files and the folder of a queue before they are opened. The queue
// holds every integration key: its error lists what another user could use to change
// it, its warnings what should not stay as it is. What is missing yet is not judged.
func Queue(path string) (warnings []string, err error) { return queueOf(path, os.Geteuid()) }

// QueueOfItsOwner judges a queue as its relay does, whose user owns the folder: that of a
// service is often another one than whoever looks.
func QueueOfItsOwner(path string) (warnings []string, err error) {
	user := os.Geteuid()
	if info, err := os.Stat(filepath.Dir(path)); err == nil {
		if owner, known := ownerOf(info); known {
			user = owner
		}
	}
	return queueOf(path, user)
}

func queueOf(path string, user int) (warnings []string, err error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the queue %q: %w", path, err)
	}
	folder := filepath.Dir(whole)
	network := NetworkFilesystem(folder)
	if network != "" {
		warnings = append(warnings, fmt.Sprintf("the queue %q is on a network file system (%s), where locks and fsync cannot be relied on: put it on a local disk", path, network))
	}
	if withoutModes {
		return warnings, nil
	}
	told, problems := queueFolder(folder, user)
	warnings = append(warnings, told...)
	for _, end := range beside {
		told, err := queueFile(whole+end, user, network != "")
		warnings = append(warnings, told...)
		problems = append(problems, err)
	}
	return warnings, errors.Join(problems...)
}

// queueFolder judges the folder, or the one in which it will be made.
func queueFolder(folder string, user int) (warnings []string, problems []error) {
	existing := folder
	info, err := os.Stat(existing)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(existing) != existing {
		existing = filepath.Dir(existing)
		info, err = os.Stat(existing)
	}
	if err != nil {
		return nil, nil // to open the queue will fail as well, and says why
	}
	if open := openFolder(existing); open != "" {
		problems = append(problems, fmt.Errorf("every user of this machine can write to the folder %q, and so replace the queue: chmod o-w, or give the queue a folder of its own", open))
	}
	if existing != folder {
		return nil, problems
	}
	if info.Mode()&fs.ModeSticky != 0 && info.Mode().Perm()&othersWrite != 0 {
		warnings = append(warnings, fmt.Sprintf("every user of this machine can put files beside the queue into the folder %q: give the queue a folder of its own", folder))
	}
	if owner, known := ownerOf(info); known && owner != 0 && owner != user {
		problems = append(problems, fmt.Errorf("the folder %q of the queue belongs to user %d and not to user %d, which runs the relay: chown it, or give the queue a folder of its own", folder, owner, user))
	}
	return warnings, problems
}

// queueFile judges one file of the queue. On a network file system the server decides
// who owns a file, so that a foreign owner is only warned of there.
func queueFile(path string, user int, network bool) (warnings []string, err error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, nil // missing yet; anything else is told when it is opened
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("the queue's file %q is a symbolic link: name the file itself", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the queue's file %q is no regular file: name another one", path)
	}
	if owner, known := ownerOf(info); known && owner != user {
		foreign := fmt.Sprintf("the queue's file %q belongs to user %d and not to user %d, which runs the relay: chown it, or name another file", path, owner, user)
		if !network {
			return nil, errors.New(foreign)
		}
		warnings = append(warnings, foreign)
	}
	if info.Mode().Perm()&othersWrite != 0 {
		return nil, fmt.Errorf("every user of this machine can write to the queue's file %q, so that its events cannot be trusted: chmod 600, if you know what it holds", path)
	}
	if info.Mode().Perm()&othersRead != 0 {
		warnings = append(warnings, fmt.Sprintf("every user of this machine can read the queue's file %q, which holds integration keys: chmod 600; the relay does so when it starts", path))
	}
	return warnings, nil
}

// MakePrivate takes away what other users may do with the files of a queue, for the owner
// alone, and lists those that it has changed.
func MakePrivate(path string) (changed []string, err error) {
	for _, end := range beside {
		info, err := os.Lstat(path + end)
		if err != nil || withoutModes || !info.Mode().IsRegular() || info.Mode().Perm()&othersRead == 0 {
			continue
		}
		if err := os.Chmod(path+end, 0o600); err != nil {
			return changed, fmt.Errorf("keep other users from reading the queue's file: %w", err)
		}
		changed = append(changed, path+end)
	}
	return changed, nil
}

// PrivateFolder refuses a folder in which another user could take or change what is put
// there: one that belongs to neither root nor this user, or that others may write to,
// unless they can change only what is their own.
func PrivateFolder(folder string) error {
	if withoutModes {
		return nil
	}
	whole, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	info, err := os.Stat(whole)
	if err != nil {
		return err
	}
	if open := openFolder(whole); open != "" {
		return fmt.Errorf("every user of this machine can write to the folder %q: chmod o-w, or name another one", open)
	}
	if owner, known := ownerOf(info); known && owner != 0 && owner != os.Geteuid() {
		return fmt.Errorf("the folder %q belongs to user %d and not to user %d: name another one", folder, owner, os.Geteuid())
	}
	return nil
}

// GiveToOwner gives a file that root has made in somebody's folder to whoever owns the
// folder: a service could not open it.
func GiveToOwner(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if owner, known := ownerOf(info); known && owner != 0 {
		return os.Lchown(path, owner, -1)
	}
	return nil
}
