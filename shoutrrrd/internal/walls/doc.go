// Package walls has no code: its test holds the walls between the daemon's
// packages. To move one, change the table and say why in docs/ARCHITECTURE.md.
package walls
