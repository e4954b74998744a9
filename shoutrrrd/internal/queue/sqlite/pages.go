package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
)

// pages reads rows of a damaged file where they lie: whatever has happened to the pages
// that lead to them and to the order of their numbers, a row whose own bytes are right
// is found (https://www.sqlite.org/fileformat2.html). SQLite hands over the pages, so
// that what only the WAL has counts as well.
//
// A page that no tree uses any more may hold rows that have left the queue. This program
// has SQLite overwrite what is deleted (secure_delete), version 1 did not; so a page of
// which SQLite's map of the pages says that it is free is not looked at, and of other
// pages only the rows that the page's own list names. What remains: if a disk loses
// every write to a page, to its place in the map and to all later copies of an event,
// for as long as delivered events are kept, then that event is found as it was.
type pages struct {
	fetch  func(ctx context.Context, number uint32) ([]byte, error) // nil if the page cannot be read
	count  uint32                                                   // pages that there are
	mapped bool                                                     // the file has a map of its pages
	last   [2]kept                                                  // of the tree and of the map: neighbours are on one page, mostly
}

// kept is the page that was read last.
type kept struct {
	number uint32 // 0 for none
	bytes  []byte // nil if it cannot be read
}

// pagesOf reads the pages of a file that SQLite can open. One that it cannot has none.
func pagesOf(ctx context.Context, db *sql.DB) (*pages, error) {
	f := &pages{fetch: func(ctx context.Context, number uint32) (page []byte, err error) {
		err = db.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage WHERE pgno = ?1", number).Scan(&page)
		if errors.Is(err, sql.ErrNoRows) || err != nil && isUnreadable(err) {
			return nil, nil
		}
		return page, err
	}}
	err := db.QueryRowContext(ctx, "PRAGMA page_count").Scan(&f.count)
	if err != nil && !isUnreadable(err) {
		return nil, err
	}
	const largestRoot = 52 // in the header; not 0 if there is a map
	first, err := f.page(ctx, 1)
	f.mapped = len(first) > largestRoot+4 && binary.BigEndian.Uint32(first[largestRoot:]) != 0
	return f, err
}

func (f *pages) page(ctx context.Context, number uint32) ([]byte, error) {
	return f.keep(ctx, &f.last[0], number)
}

func (f *pages) keep(ctx context.Context, last *kept, number uint32) ([]byte, error) {
	if last.number == number {
		return last.bytes, nil
	}
	page, err := f.fetch(ctx, number)
	if err == nil {
		*last = kept{number, page}
	}
	return page, err
}

// isFree looks into the map that a file with auto_vacuum has: page 2 and each one that
// follows on the pages that it is about, five bytes for each of those. A free page has
// type 2 and no parent; no single changed bit makes that of the entry of a page in use.
func (f *pages) isFree(ctx context.Context, number uint32) (bool, error) {
	page, err := f.page(ctx, number)
	if !f.mapped || number < 3 || page == nil || err != nil {
		return false, err
	}
	const entry, pendingByte = 5, 1 << 30 // SQLite locks this byte, and uses no page with it
	group := uint32(len(page)/entry) + 1
	at := (number-2)/group*group + 2
	if at == pendingByte/uint32(len(page))+1 {
		at++
	}
	if number <= at {
		return false, nil
	}
	of, err := f.keep(ctx, &f.last[1], at)
	place := entry * int(number-at-1)
	return err == nil && place+entry <= len(of) && string(of[place:place+entry]) == "\x02\x00\x00\x00\x00", err
}

// rows lists where on a page of a table a row may begin. The first byte says what kind
// of page it is; another than that of such a page is not believed, as what is no row has
// no seal. A page with the rest of a long row begins with 0, and its bytes are those
// that a client has sent: it is left out.
func (f *pages) rows(page []byte) (places []int) {
	const header, counted = 8, 3
	if len(page) < header || page[0] == 0 {
		return nil
	}
	n := min(int(binary.BigEndian.Uint16(page[counted:])), (len(page)-header)/2)
	for i := range n {
		at := int(binary.BigEndian.Uint16(page[header+2*i:])) & (len(page) - 1) // as SQLite does
		if at >= header {
			places = append(places, at)
		}
	}
	return places
}

// row reads a row with so many columns. Those are nil, int64 or string. It reports
// whether there is one; what it holds may be anything.
func (f *pages) row(ctx context.Context, page []byte, at, columns int) (id int64, values []any, found bool, err error) {
	size, n := varint(page[at:])
	at += n
	id, n = varint(page[at:])
	at += n
	local := localSize(size, len(page))
	if n == 0 || size <= 0 || size > int64(f.count)*int64(len(page)) || at+local > len(page) {
		return id, nil, false, nil
	}
	payload := page[at : at+local : at+local]
	types, begin, whole := recordTypes(payload, columns)
	if types == nil || whole != size {
		return id, nil, false, nil
	}
	if at += local; size > int64(local) {
		if at+4 > len(page) {
			return id, nil, false, nil
		}
		payload, err = f.overflow(ctx, payload, int(size), binary.BigEndian.Uint32(page[at:]))
		if payload == nil || err != nil {
			return id, nil, false, err
		}
	}
	values = make([]any, columns)
	for i, kind := range types {
		n := int(typeSize(kind))
		values[i] = value(kind, payload[begin:begin+n])
		begin += n
	}
	return id, values, true, nil
}

// localSize is how many bytes of a row lie on the page of its table.
func localSize(size int64, page int) int {
	if size <= int64(page-35) {
		return int(max(0, size))
	}
	least := (page-12)*32/255 - 23
	if k := least + int((size-int64(least))%int64(page-4)); k <= page-35 {
		return k
	}
	return least
}

// overflow appends what lies on further pages; nil if it does not lie there.
func (f *pages) overflow(ctx context.Context, payload []byte, size int, next uint32) ([]byte, error) {
	for len(payload) < size {
		if next < 2 || next > f.count {
			return nil, nil
		}
		page, err := f.fetch(ctx, next)
		if len(page) < 5 || err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(page)
		payload = append(payload, page[4:min(len(page), 4+size-len(payload))]...)
	}
	return payload, nil
}

// recordTypes reads the header of a record that has so many columns, which lies on the
// first page whole. It returns where the values begin and how long the record is, and no
// types if it is none.
func recordTypes(record []byte, columns int) (types []int64, begin int, size int64) {
	length, at := varint(record)
	if at == 0 || length > int64(len(record)) {
		return nil, 0, 0
	}
	const longest = 1 << 31 // bytes of a text that SQLite takes
	for size = length; at < int(length); {
		kind, n := varint(record[at:length])
		if n == 0 || kind < 0 || kind > 2*longest || len(types) == columns {
			return nil, 0, 0
		}
		types = append(types, kind)
		size += typeSize(kind)
		at += n
	}
	if at != int(length) || len(types) != columns {
		return nil, 0, 0
	}
	return types, at, size
}

// typeSize is how many bytes a value of a type has.
func typeSize(kind int64) int64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [...]int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]
}

// value reads a number or a text; of anything else, which no column has, nil. A text
// that one changed bit has made a BLOB is a text still.
func value(kind int64, bytes []byte) any {
	switch {
	case kind >= 12:
		return string(bytes)
	case kind == 8 || kind == 9:
		return kind - 8
	case kind < 1 || kind > 6:
		return nil
	}
	n := int64(int8(bytes[0])) // the sign is that of the first byte
	for _, b := range bytes[1:] {
		n = n<<8 | int64(b)
	}
	return n
}

// varint reads a number of one to nine bytes, seven bits each and eight in the ninth.
// It returns how many there are; 0 if they are cut off.
func varint(b []byte) (value int64, n int) {
	for n < len(b) && n < 9 {
		if n == 8 {
			return value<<8 | int64(b[n]), 9
		}
		value = value<<7 | int64(b[n]&0x7f)
		if n++; b[n-1] < 0x80 {
			return value, n
		}
	}
	return 0, 0
}

// tableOrder are the columns of an event in the order in which they lie in the file, by
// version.
var tableOrder = map[int]string{
	1: "id lane state priority severity kind action dedup next accepted fresh due ended attempts repeats status reason pool repairs checksum body",
	2: "id lane state priority severity prev next fresh due ended attempts repeats status reason seal kind action dedup accepted pool key repairs summary source size content body",
}

// orderOf says for each of the selected columns which of the table it is.
func orderOf(selected string, version int) (order []int, columns int) {
	table := strings.Fields(tableOrder[version])
	place := map[string]int{}
	for i, name := range table {
		place[name] = i
	}
	for _, name := range strings.Split(strings.ReplaceAll(selected, "coalesce(next, 0)", "next"), ", ") {
		order = append(order, place[name])
	}
	return order, len(table)
}
