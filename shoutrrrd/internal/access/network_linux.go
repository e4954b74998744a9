package access

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// networkMagics are the file systems whose files lie on another machine, by the number
// that statfs(2) gives (linux/magic.h and the file systems' own headers).
var networkMagics = map[uint32]string{
	unix.NFS_SUPER_MAGIC:  "nfs",
	unix.SMB_SUPER_MAGIC:  "smb",
	unix.SMB2_SUPER_MAGIC: "smb",
	unix.CIFS_SUPER_MAGIC: "cifs",
	unix.V9FS_MAGIC:       "9p",
	unix.CEPH_SUPER_MAGIC: "ceph",
	unix.AFS_SUPER_MAGIC:  "afs",
	unix.AFS_FS_MAGIC:     "afs",
	unix.CODA_SUPER_MAGIC: "coda",
	unix.NCP_SUPER_MAGIC:  "ncp",
	0x7461636f:            "ocfs2",
	0x01161970:            "gfs2",
	0x0bd00bd0:            "lustre",
	0x47504653:            "gpfs",
	0x19830326:            "beegfs",
	0xaad7aaea:            "panfs",
}

// NetworkFilesystem returns the kind of the network file system on which a folder is,
// or will be made; "" if it is a local one, or it cannot be told.
func NetworkFilesystem(folder string) string {
	var stat unix.Statfs_t
	err := unix.Statfs(folder, &stat)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(folder) != folder {
		folder = filepath.Dir(folder)
		err = unix.Statfs(folder, &stat)
	}
	if err != nil {
		return ""
	}
	magic := uint32(stat.Type) // some architectures sign-extend it
	if magic != unix.FUSE_SUPER_MAGIC {
		return networkMagics[magic]
	}
	// One number stands for all programs that serve a file system; only the list of
	// mounts tells which one it is.
	var info unix.Stat_t
	if unix.Stat(folder, &info) != nil {
		return ""
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer mounts.Close()
	return networkFuse(fuseType(mounts, unix.Major(info.Dev), unix.Minor(info.Dev)))
}

// fuseType finds the type of the mount with a device number in a list as proc(5)
// describes it: "36 35 98:0 / /mnt rw - fuse.sshfs host:/ rw".
func fuseType(mounts io.Reader, major, minor uint32) string {
	device := fmt.Sprintf("%d:%d", major, minor)
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > 2 && fields[2] == device {
			kind, _, _ := strings.Cut(after, " ")
			return kind
		}
	}
	return ""
}

// localFuse are programs whose files lie on a disk of this machine. Most others bring
// files of another machine or of a cloud, so that what is unknown counts as such.
var localFuse = []string{"fuseblk", "fuse.fuse-overlayfs", "fuse.bindfs", "fuse.mergerfs", "fuse.gocryptfs", "fuse.encfs", "fuse.ntfs-3g", "fuse.lxcfs", "fuse.ext2fs"}

func networkFuse(kind string) string {
	for _, local := range localFuse {
		if kind == local {
			return ""
		}
	}
	if kind == "" {
		return ""
	}
	return kind
}
