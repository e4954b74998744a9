package sqlite

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// fileSystem returns the size of the path's file system and what is free of it for
// this user, in bytes.
func fileSystem(path string) (total, free int64, err error) {
	folder, err := windows.UTF16PtrFromString(filepath.Dir(path))
	if err != nil {
		return 0, 0, err
	}
	var forUs, all uint64
	if err := windows.GetDiskFreeSpaceEx(folder, &forUs, &all, nil); err != nil {
		return 0, 0, err
	}
	return int64(all), int64(forUs), nil
}
