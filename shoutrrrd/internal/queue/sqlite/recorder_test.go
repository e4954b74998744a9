package sqlite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// opKind is what SQLite asks of the disk.
type opKind byte

const (
	opWrite    opKind = 'W'
	opTruncate opKind = 'T'
	opSync     opKind = 'S'
	opMark     opKind = 'M' // no operation of SQLite's: a note of the test's
)

// op is one operation, in the order in which SQLite asked for it.
type op struct {
	kind   opKind
	file   string // its ending tells what it is
	offset int64
	data   []byte
	note   int64
	failed bool
}

// recorder is a file system below SQLite that passes everything on, writes down
// what has to reach the disk, and fails when it is told to.
type recorder struct {
	name string
	// fail returns the SQLite error of the nth operation, 0 for none.
	fail func(n int, kind opKind) int32
	// read returns the SQLite error of what is read of the main file at an offset, 0 for none.
	read func(offset int64) int32

	mu    sync.Mutex
	log   []op
	n     int // operations that could have failed
	under map[uintptr]uintptr
	paths map[uintptr]string
	alive []any // what C only has as numbers
	tls   *libc.TLS
	vfs   lib.Tsqlite3_vfs
}

var recorders atomic.Int64

// newRecorder registers a file system of its own.
func newRecorder(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{
		name: fmt.Sprintf("recorder%d", recorders.Add(1)), fail: func(int, opKind) int32 { return 0 }, read: func(int64) int32 { return 0 },
		under: map[uintptr]uintptr{}, paths: map[uintptr]string{}, tls: libc.NewTLS(),
	}
	base := lib.Xsqlite3_vfs_find(r.tls, 0)
	if base == 0 {
		t.Fatal("SQLite has no default file system")
	}
	copied := libc.Xmalloc(r.tls, libc.Tsize_t(unsafe.Sizeof(r.vfs)))
	name, err := libc.CString(r.name)
	if err != nil {
		t.Fatal(err)
	}
	vfs := at[lib.Tsqlite3_vfs](copied)
	*vfs = *at[lib.Tsqlite3_vfs](base)
	vfs.FzName, vfs.FpNext = name, 0
	open := vfs.FxOpen
	vfs.FxOpen = r.function(func(tls *libc.TLS, pVfs, zPath, pFile uintptr, flags int32, pOut uintptr) int32 {
		rc := (*(*func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32)(unsafe.Pointer(&struct{ uintptr }{open})))(tls, pVfs, zPath, pFile, flags, pOut)
		if rc == lib.SQLITE_OK && zPath != 0 {
			r.wrap(pFile, libc.GoString(zPath))
		}
		return rc
	})
	if rc := lib.Xsqlite3_vfs_register(r.tls, copied, 0); rc != lib.SQLITE_OK {
		t.Fatalf("register the file system: %d", rc)
	}
	return r
}

// at makes a pointer of what C's memory is addressed with: that is not Go's memory,
// which may move.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// function makes a C function pointer of a Go function, as modernc's own code does.
func (r *recorder) function(f any) uintptr {
	r.alive = append(r.alive, f)
	type iface [2]uintptr
	return (*iface)(unsafe.Pointer(&f))[1]
}

// wrap puts own methods before those of an open file.
func (r *recorder) wrap(pFile uintptr, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file := at[lib.Tsqlite3_file](pFile)
	under := at[lib.Tsqlite3_io_methods](file.FpMethods)
	copied := libc.Xmalloc(r.tls, libc.Tsize_t(unsafe.Sizeof(*under)))
	methods := at[lib.Tsqlite3_io_methods](copied)
	*methods = *under
	name := filepath.Base(path)
	methods.FxWrite = r.function(func(tls *libc.TLS, id, buf uintptr, n int32, offset int64) int32 {
		data := bytes.Clone(unsafe.Slice(at[byte](buf), n))
		if rc := r.record(op{kind: opWrite, file: name, offset: offset, data: data}); rc != 0 {
			return rc
		}
		return (*(*func(*libc.TLS, uintptr, uintptr, int32, int64) int32)(unsafe.Pointer(&struct{ uintptr }{under.FxWrite})))(tls, id, buf, n, offset)
	})
	methods.FxRead = r.function(func(tls *libc.TLS, id, buf uintptr, n int32, offset int64) int32 {
		if rc := r.read(offset); rc != 0 && filepath.Ext(name) == ".db" {
			return rc
		}
		return (*(*func(*libc.TLS, uintptr, uintptr, int32, int64) int32)(unsafe.Pointer(&struct{ uintptr }{under.FxRead})))(tls, id, buf, n, offset)
	})
	methods.FxTruncate = r.function(func(tls *libc.TLS, id uintptr, size int64) int32 {
		if rc := r.record(op{kind: opTruncate, file: name, offset: size}); rc != 0 {
			return rc
		}
		return (*(*func(*libc.TLS, uintptr, int64) int32)(unsafe.Pointer(&struct{ uintptr }{under.FxTruncate})))(tls, id, size)
	})
	methods.FxSync = r.function(func(tls *libc.TLS, id uintptr, flags int32) int32 {
		return r.record(op{kind: opSync, file: name}) // the real disk may take its time
	})
	file.FpMethods = copied
}

// Now is the machine's time.
func (r *recorder) Now() time.Time { return time.Now() }

func (r *recorder) Rewrite(file *os.File) error {
	content, err := os.ReadFile(file.Name())
	if err != nil {
		return err
	}
	if rc := r.record(op{kind: opWrite, file: filepath.Base(file.Name()), data: content}); rc != 0 {
		return syscall.EIO
	}
	if rc := r.record(op{kind: opSync, file: filepath.Base(file.Name())}); rc != 0 {
		return syscall.EIO
	}
	return nil
}

// record writes an operation down and decides whether it fails.
func (r *recorder) record(o op) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	rc := r.fail(r.n, o.kind)
	o.failed = rc != 0
	r.log = append(r.log, o)
	return rc
}

// mark notes that something was promised by now.
func (r *recorder) mark(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, op{kind: opMark, note: id})
}

// platter is what a power cut may leave: per file what was synced, and what was not.
type platter struct {
	synced  map[string][]byte
	pending map[string][]op
}

func newPlatter() *platter { return &platter{synced: map[string][]byte{}, pending: map[string][]op{}} }

// apply takes one operation. A failed fsync has thrown away what it should have
// kept, as Linux does; a failed write has not happened.
func (d *platter) apply(o op) {
	switch {
	case o.kind == opSync && o.failed:
		delete(d.pending, o.file)
	case o.kind == opSync:
		for _, p := range d.pending[o.file] {
			d.synced[o.file] = changed(d.synced[o.file], p)
		}
		delete(d.pending, o.file)
		if d.synced[o.file] == nil {
			d.synced[o.file] = []byte{}
		}
	case o.failed || o.kind == opMark:
	default:
		d.pending[o.file] = append(d.pending[o.file], o)
	}
}

func changed(content []byte, o op) []byte {
	if o.kind == opTruncate {
		if o.offset < int64(len(content)) {
			return content[:o.offset]
		}
		return append(content, make([]byte, o.offset-int64(len(content)))...)
	}
	if end := o.offset + int64(len(o.data)); end > int64(len(content)) {
		content = append(content, make([]byte, end-int64(len(content)))...)
	}
	copy(content[o.offset:], o.data)
	return content
}

const sector = 512

// crash returns the files as a power cut may leave them: each operation that was
// not synced is there, or is not, or is there in part, whatever their order was.
func (d *platter) crash(random *rand.Rand) map[string][]byte {
	files := map[string][]byte{}
	for name, content := range d.synced {
		files[name] = bytes.Clone(content)
	}
	mode := random.IntN(4) // all of it lost, all of it kept, or each as it comes
	for name, pending := range d.pending {
		content, known := files[name]
		for _, o := range pending {
			fate := random.IntN(3)
			if mode < 2 {
				fate = mode
			}
			switch {
			case fate == 0:
				continue
			case fate == 2 && o.kind == opWrite:
				for from := 0; from < len(o.data); from += sector {
					if random.IntN(2) == 0 {
						part := o.data[from:min(from+sector, len(o.data))]
						content, known = changed(content, op{kind: opWrite, offset: o.offset + int64(from), data: part}), true
					}
				}
			default:
				content, known = changed(content, o), true
			}
		}
		if known {
			files[name] = content
		}
	}
	return files
}

// write puts the files into a folder.
func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for _, name := range []string{"queue.db", "queue.db-wal", "queue.db-shm"} {
		path := filepath.Join(dir, name)
		content, ok := files[name]
		if !ok || name == "queue.db-shm" { // that is memory, and made anew
			_ = os.Remove(path)
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// memoryDir is a folder in memory where there is one: thousands of images are
// written to it and no disk need see them.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "images-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
