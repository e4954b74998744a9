// Package conformance holds the tests of the whole: every example of the PagerDuty service page and every case of testdata/cases.json, through
// the real command and through the library, against the emulator, with each recorded body checked against PagerDuty's published schema.
//
// It has no code of its own beside its tests. testdata/README.md gives the grammar of the cases.
package conformance
