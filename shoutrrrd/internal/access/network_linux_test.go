package access

import (
	"path/filepath"
	"strings"
	"testing"
)

const mounts = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:35 / /mnt/far\040away rw,nosuid - fuse.sshfs ana@host:/srv rw,user_id=0
41 22 0:36 / /mnt/disk rw - fuseblk /dev/sdb1 rw
42 22 0:37 / /mnt/bucket rw shared:7 master:1 - fuse.s3fs s3fs rw
`

func TestFuse(t *testing.T) {
	for minor, want := range map[uint32][2]string{35: {"fuse.sshfs", "fuse.sshfs"}, 36: {"fuseblk", ""}, 37: {"fuse.s3fs", "fuse.s3fs"}, 38: {"", ""}} {
		kind := fuseType(strings.NewReader(mounts), 0, minor)
		if kind != want[0] || networkFuse(kind) != want[1] {
			t.Errorf("device 0:%d: %q, which counts as %q", minor, kind, networkFuse(kind))
		}
	}
}

// What is on this machine is no network file system, whether it is there yet or not.
func TestLocalFilesystem(t *testing.T) {
	for _, folder := range []string{"/proc", "/dev/shm", filepath.Join("/dev/shm", "none", "none")} {
		if kind := NetworkFilesystem(folder); kind != "" {
			t.Errorf("%s is on %s", folder, kind)
		}
	}
}

// A relay cannot rely on the locks of any of these.
func TestNetworkMagics(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb", 0x517b: "smb", 0x01021997: "9p", 0x00c36400: "ceph", 0x7461636f: "ocfs2"} {
		if got := networkMagics[magic]; got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
	for _, magic := range []uint32{0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630} { // ext4, xfs, btrfs, tmpfs, overlayfs
		if got := networkMagics[magic]; got != "" {
			t.Errorf("%#x is %q", magic, got)
		}
	}
}
